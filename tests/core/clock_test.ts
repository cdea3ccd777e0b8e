import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { nextTurn, sleep, systemClock, yieldToEventLoop } from "../../src/core/clock.ts";
import { heldClock } from "../../src/testing/held_clock.ts";

const MAX_TIMER_MS = 2 ** 31 - 1;

/** Runs `body` with timers that are fired by hand, and returns the delays they were armed with. */
function withTimers(body: (fire: () => void, armed: Map<number, number>) => void): void {
  const { setTimeout: realSet, clearTimeout: realClear } = globalThis;
  const armed = new Map<number, number>();
  const runs = new Map<number, () => void>();
  let last = 0;
  Object.assign(globalThis, {
    setTimeout: (run: () => void, ms: number) => (armed.set(++last, ms), runs.set(last, run), last),
    clearTimeout: (id: number) => void armed.delete(id),
  });
  const fire = () => {
    const [id] = armed.keys();
    armed.delete(id);
    runs.get(id)!();
  };
  try {
    body(fire, armed);
  } finally {
    Object.assign(globalThis, { setTimeout: realSet, clearTimeout: realClear });
  }
}

describe("systemClock", () => {
  it("waits for months in steps that timers can take", () => {
    withTimers((fire, armed) => {
      let ran = 0;
      systemClock.after(2.5 * MAX_TIMER_MS, () => ran++);
      assertEquals([...armed.values()], [MAX_TIMER_MS]);
      fire();
      assertEquals([...armed.values()], [MAX_TIMER_MS]);
      fire();
      assertEquals(ran, 0);
      assertEquals([...armed.values()], [0.5 * MAX_TIMER_MS]);
      fire();
      assertEquals([ran, armed.size], [1, 0]);
    });
  });

  it("can be stopped at any step", () => {
    withTimers((fire, armed) => {
      const cancel = systemClock.after(3 * MAX_TIMER_MS, () => assert(false));
      fire();
      cancel();
      assertEquals(armed.size, 0);
    });
  });

  it("never arms a timer that would fire at once instead of late", () => {
    withTimers((_, armed) => {
      for (const ms of [-1, 0, 5, MAX_TIMER_MS, MAX_TIMER_MS + 1, 9e12, Infinity]) {
        systemClock.after(ms, () => {});
      }
      for (const ms of armed.values()) assert(ms >= 0 && ms <= MAX_TIMER_MS);
    });
  });
});

describe("sleep()", () => {
  it("ends after its time", async () => {
    const clock = heldClock();
    let awake = false;
    const sleeping = sleep(clock, 1000).then(() => (awake = true));
    await clock.advance(999);
    assertEquals(awake, false);
    await clock.advance(1);
    await sleeping;
  });

  it("ends when its signal aborts, and then holds neither timer nor listener", async () => {
    let armed = 0;
    const clock = { ...heldClock(), after: () => (armed++, () => armed--) };
    const controller = new AbortController();
    const sleeping = sleep(clock, 1000, controller.signal);
    assertEquals(armed, 1);
    controller.abort();
    await sleeping;
    assertEquals(armed, 0);
    await sleep(clock, 1000, controller.signal);
    assertEquals(armed, 0);
  });
});

describe("nextTurn()", () => {
  it("lets timers fire while someone does nothing but yield", async () => {
    let fired = false;
    setTimeout(() => (fired = true), 1);
    for (let i = 0; i < 1e6 && !fired; i++) await nextTurn();
    assert(fired);
  });
});

describe("yieldToEventLoop()", () => {
  it("lets sockets through, which a turn of a busy loop does not", async () => {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    let arrived = false;
    const talk = async () => {
      const { port } = listener.addr;
      const [client, server] = await Promise.all([Deno.connect({ port }), listener.accept()]);
      const heard = new Uint8Array(1);
      await server.write(heard);
      await client.read(heard);
      arrived = true;
      for (const end of [client, server, listener]) end.close();
    };
    const talking = talk();
    let yields = 0;
    for (; !arrived && yields < 1000; yields++) await yieldToEventLoop();
    await talking;
    assert(yields < 30, `an answer on the same machine took ${yields} yields`);
  });
});
