import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { nextTurn, sleep } from "../../src/core/clock.ts";
import { DispatchError } from "../../src/core/errors.ts";
import { heldClock } from "../../src/testing/mod.ts";

const START = Date.UTC(2026, 0, 1);

describe("heldClock()", () => {
  it("stands still at its start", async () => {
    const moment = new Date("2026-03-29T00:59:00Z");
    assertEquals(heldClock().now(), START);
    assertEquals(heldClock(moment).held, moment.getTime());
    const clock = heldClock(1000);
    await nextTurn();
    assertEquals([clock.now(), clock.held], [1000, 1000]);
  });

  it("advances by durations, and lands exactly", async () => {
    const clock = heldClock(0);
    for (const duration of [250, "1s", "1m30s", 0]) await clock.advance(duration);
    assertEquals(clock.held, 91_250);
    await assertRejects(() => clock.advance("soon"), DispatchError, "time to advance");
    assertEquals(clock.held, 91_250);
  });

  it("calls timers in the order of their moments, each at its own", async () => {
    const clock = heldClock(0);
    const calls: [string, number][] = [];
    for (const [name, ms] of [["c", 300], ["a", 100], ["b", 200], ["late", 301]] as const) {
      clock.after(ms, () => calls.push([name, clock.now()]));
    }
    await clock.advance(300);
    assertEquals(calls, [["a", 100], ["b", 200], ["c", 300]]);
    await clock.advance(1);
    assertEquals(calls.at(-1), ["late", 301]);
  });

  it("calls timers of the same moment in the order in which they were armed", async () => {
    const clock = heldClock(0);
    const calls: number[] = [];
    for (const n of [1, 2, 3]) clock.after(100, () => calls.push(n));
    await clock.advance(100);
    assertEquals(calls, [1, 2, 3]);
  });

  it("calls each timer once, and none that was cancelled", async () => {
    const clock = heldClock(0);
    const calls: string[] = [];
    clock.after(100, () => calls.push("once"));
    const cancel = clock.after(100, () => calls.push("never"));
    cancel();
    cancel();
    await clock.advance(1000);
    assertEquals(calls, ["once"]);
  });

  it("lets a timer cancel another of the same moment", async () => {
    const clock = heldClock(0);
    const calls: string[] = [];
    clock.after(100, () => cancel());
    const cancel = clock.after(100, () => calls.push("never"));
    await clock.advance(100);
    assertEquals(calls, []);
  });

  it("calls what is due at once only when time is advanced, also by nothing", async () => {
    const clock = heldClock(0);
    const calls: string[] = [];
    clock.after(0, () => calls.push("zero"));
    clock.after(-5, () => calls.push("negative"));
    await nextTurn();
    assertEquals(calls, []);
    await clock.advance(0);
    assertEquals(calls, ["zero", "negative"]);
  });

  it("runs a loop that sleeps and works as often as it fits in", async () => {
    const clock = heldClock(0);
    const turns: number[] = [];
    const stop = new AbortController();
    const loop = async () => {
      while (!stop.signal.aborted) {
        await sleep(clock, 1000, stop.signal);
        await nextTurn(); // the work
        turns.push(clock.now());
      }
    };
    const ended = loop();
    await clock.advance("3500ms");
    assertEquals(turns, [1000, 2000, 3000]);
    await clock.advance("1s");
    assertEquals(turns, [1000, 2000, 3000, 4000]);
    stop.abort();
    await ended;
  });

  it("lets promises settle before the first timer and after the last", async () => {
    const clock = heldClock(0);
    const calls: string[] = [];
    void Promise.resolve().then(() => clock.after(100, () => calls.push("armed late")));
    clock.after(100, () => void Promise.resolve().then(() => calls.push("settled")));
    await clock.advance(100);
    assertEquals(calls.sort(), ["armed late", "settled"]);
  });

  it("adds up advances that overlap, and never goes back", async () => {
    const clock = heldClock(0);
    const moments: number[] = [];
    for (const ms of [50, 150, 250]) clock.after(ms, () => moments.push(clock.now()));
    await Promise.all([clock.advance(100), clock.advance(100)]);
    assertEquals(clock.held, 200);
    assertEquals(moments, [50, 150]);
  });

  it("rejects with what a timer throws", async () => {
    const clock = heldClock(0);
    clock.after(100, () => {
      throw new RangeError("boom");
    });
    await assertRejects(() => clock.advance(200), RangeError, "boom");
  });
});
