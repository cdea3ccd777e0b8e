import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { cancel } from "../../src/core/outcome.ts";
import { defineJob } from "../../src/engine/definition.ts";
import { parseRetention } from "../../src/engine/retention.ts";
import { Noop, noops, startRig } from "../harness.ts";

const DAY = 864e5;

const End = defineJob({
  name: "end",
  maxRetries: 0,
  handler: (how: string) => {
    if (how === "failed") throw new Error("no");
    if (how === "cancelled") throw cancel();
  },
});

describe("parseRetention()", () => {
  const defaults = {
    completed: DAY,
    failed: 14 * DAY,
    cancelled: DAY,
    deadLetters: 30 * DAY,
    events: DAY,
  };
  for (
    const [given, expected] of [
      [undefined, defaults],
      [null, defaults],
      [{}, defaults],
      ["1h", { ...defaults, completed: 36e5, failed: 36e5, cancelled: 36e5 }],
      [0, { ...defaults, completed: 0, failed: 0, cancelled: 0 }],
      [false, { completed: null, failed: null, cancelled: null, deadLetters: null, events: null }],
      [{ completed: false, failed: "1d" }, { ...defaults, completed: null, failed: DAY }],
      [{ deadLetters: 5 }, { ...defaults, deadLetters: 5 }],
    ] as const
  ) {
    it(`reads ${JSON.stringify(given)}`, () => {
      assertEquals(parseRetention(given as undefined), expected);
    });
  }

  it("refuses durations that make no sense", () => {
    for (const given of ["soon", -1, true, { failed: "x" }]) {
      const error = assertThrows(() => parseRetention(given as string), DispatchError);
      assertEquals(error.code, "invalid_duration");
    }
  });
});

describe("retention", () => {
  it("removes finished jobs and dead letters by their age, by itself", async () => {
    await using rig = await startRig({
      jobs: [End],
      retention: { completed: "1h", failed: "2h", cancelled: "3h", deadLetters: "4h" },
    });
    const ids: Record<string, string> = {};
    for (const how of ["completed", "failed", "cancelled"]) {
      ids[how] = (await rig.engine.enqueue(End, how)).id;
    }
    await rig.drained();
    const waiting = await rig.engine.enqueue(End, "completed", { delay: "100d" });
    const left = async () => {
      const jobs = await rig.engine.jobs.list();
      const states: string[] = jobs.filter(({ id }) => id !== waiting.id).map(({ state }) => state);
      if (await rig.engine.dlq.count() > 0) states.push("letter");
      return states.sort();
    };
    const minutes = (n: number) => rig.advance(n * 60_000);
    assertEquals(await left(), ["cancelled", "completed", "failed", "letter"]);
    await minutes(58);
    assertEquals(await left(), ["cancelled", "completed", "failed", "letter"]);
    await minutes(5);
    assertEquals(await left(), ["cancelled", "failed", "letter"]);
    await minutes(60);
    assertEquals(await left(), ["cancelled", "letter"]);
    await minutes(60);
    assertEquals(await left(), ["letter"]);
    await minutes(60);
    assertEquals(await left(), []);
    assertEquals((await rig.job(waiting.id))?.state, "pending");
  });

  it("removes ten thousand in small writes with turns between them", async () => {
    const prunes: number[] = [];
    await using rig = await startRig({
      jobs: [Noop],
      retention: "10s",
      around: async ({ name }, proceed) => {
        const result = await proceed();
        if (name === "jobs.prune") prunes.push(result as number);
        return result;
      },
    });
    await rig.engine.enqueueMany(noops(9999));
    await rig.drained();
    await rig.advance("2m");
    assertEquals((await rig.engine.jobs.counts()).completed, 0);
    assert(Math.max(...prunes) <= 1000);
  });

  it("keeps everything when it is off", async () => {
    await using rig = await startRig({ jobs: [End], retention: false });
    for (const how of ["completed", "failed", "cancelled"]) await rig.engine.enqueue(End, how);
    await rig.drained();
    await rig.advance("1d");
    assertEquals((await rig.engine.jobs.list()).length, 3);
    assertEquals(await rig.engine.dlq.count(), 1);
  });

  it("goes on after an outage, which is logged once", async () => {
    let down = true;
    await using rig = await startRig({
      jobs: [Noop],
      retention: "10s",
      around: ({ name }, proceed) =>
        down && name === "jobs.prune" ? Promise.reject(new Error("away")) : proceed(),
    });
    const { id } = await rig.engine.enqueue(Noop, undefined);
    await rig.advance("10m");
    assertEquals(rig.log.count("could not prune"), 1);
    down = false;
    await rig.advance("2m");
    assertEquals([await rig.job(id), rig.log.count("can prune finished records again")], [null, 1]);
  });
});
