import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { ClaimedJob, Lease } from "../../src/core/lease.ts";
import type { Settlement } from "../../src/store/store.ts";
import { defineJob } from "../../src/engine/definition.ts";
import { heldJob, Noop, noops, type Rig, startRig, type StoreCall, turns } from "../harness.ts";

/** Lets a test have methods of the store fail, and counts the calls of each. */
function faults() {
  const failing = new Set<string>();
  const calls = new Map<string, number>();
  return {
    failing,
    calls: (name: string) => calls.get(name) ?? 0,
    around: ({ name }: StoreCall, proceed: () => Promise<unknown>) => {
      calls.set(name, (calls.get(name) ?? 0) + 1);
      return failing.has(name) ? Promise.reject(new Error("connection reset")) : proceed();
    },
  };
}

/** A job that counts how often each input was handled. */
function counting() {
  const handled = new Map<number, number>();
  const definition = defineJob({
    name: "count",
    handler: (n: number) => void handled.set(n, (handled.get(n) ?? 0) + 1),
  });
  return { definition, handled };
}

describe("a store that does not take outcomes", () => {
  for (const alsoPing of [true, false]) {
    it(`gets each of them exactly once in the end (${alsoPing ? "outage" : "writes refused"})`, async () => {
      const { failing, around, calls } = faults();
      const { definition, handled } = counting();
      await using rig = await startRig({ jobs: [definition], around });
      failing.add("jobs.settle");
      if (alsoPing) failing.add("ping");
      await rig.engine.enqueueMany(
        Array.from({ length: 300 }, (_, n) => ({ job: definition, input: n })),
      );
      await rig.advance("10m");
      assertEquals((await rig.engine.jobs.counts()).completed, 0);
      assert(calls("jobs.settle") < 600, `${calls("jobs.settle")} tries`);
      assertEquals(rig.log.count("could not settle"), 1);
      failing.clear();
      await rig.advance("30s");
      await rig.drained();
      assertEquals((await rig.engine.jobs.counts()).completed, 300);
      assertEquals([handled.size, Math.max(...handled.values())], [300, 1]);
    });
  }

  it("does not have more jobs run meanwhile than its backlog may hold", async () => {
    const { failing, around } = faults();
    const { definition, handled } = counting();
    await using rig = await startRig({ jobs: [definition], around, concurrency: 5 });
    failing.add("jobs.settle").add("ping");
    await rig.engine.enqueueMany(
      Array.from({ length: 5000 }, (_, n) => ({ job: definition, input: n })),
    );
    await rig.advance("1m");
    assert(handled.size < 1600, `${handled.size} jobs were run`);
    failing.clear();
    await rig.advance("10s");
    await rig.drained();
    assertEquals(handled.size, 5000);
  });

  it("but refuses one of them holds up no other, and is left with that one only", async () => {
    const refused: string[] = [];
    const Poison = defineJob({
      name: "poison",
      handler: (n: number) => n === 250 ? "poison" : "fine",
    });
    await using rig = await startRig({
      jobs: [Poison],
      around: ({ name, args }, proceed) => {
        const settlements: Settlement[] = name === "jobs.settle" ? args[0] : [];
        const poison = settlements.find(({ outcome }) =>
          outcome.kind === "complete" && outcome.result === '"poison"'
        );
        if (poison === undefined) return proceed();
        refused.push(poison.lease.jobId);
        return Promise.reject(new Error("invalid byte sequence"));
      },
    });
    const jobs = await rig.engine.enqueueMany(
      Array.from({ length: 500 }, (_, n) => ({ job: Poison, input: n })),
    );
    await turns(200); // without any time passing
    assertEquals((await rig.engine.jobs.counts()).completed, 499);
    // It is tried again, but given up while others pass; its lease then runs out.
    for (let i = 0; i < 40; i++) {
      await rig.engine.enqueue(Poison, 0);
      await rig.advance("5s");
    }
    assertEquals(rig.log.count("gave up settling") > 0, true);
    await rig.advance("10m");
    const job = (await rig.job(jobs[250].id))!;
    assertEquals((await rig.engine.jobs.counts()).completed, 539);
    assert(job.attempt > 1 || job.state === "failed");
  });

  it("but lost only its answer is not asked twice in vain: the job has ended", async () => {
    let lost = 0;
    const { definition, handled } = counting();
    await using rig = await startRig({
      jobs: [definition],
      around: async ({ name }, proceed) => {
        const result = await proceed();
        if (name === "jobs.settle" && lost++ === 0) throw new Error("connection reset");
        return result;
      },
    });
    const { id } = await rig.engine.enqueue(definition, 1);
    await rig.advance("1s");
    await rig.reaches(id, "completed");
    assertEquals([handled.get(1), rig.log.count("gave up")], [1, 0]);
  });
});

describe("a store that does not give jobs", () => {
  it("is asked again at the pace of polls, logged once, and served when it is back", async () => {
    const { failing, around, calls } = faults();
    await using rig = await startRig({ jobs: [Noop], around });
    failing.add("jobs.claim");
    const { id } = await rig.engine.enqueue(Noop, undefined);
    const before = calls("jobs.claim");
    await rig.advance("10m");
    const tries = calls("jobs.claim") - before;
    assert(tries < 220, `${tries} tries in 10 minutes`);
    assertEquals(rig.log.count("could not claim"), 1);
    failing.clear();
    await rig.advance("5s");
    await rig.reaches(id, "completed");
    assertEquals(rig.log.count("claims work again"), 1);
  });

  it("although they are due is not asked without end", async () => {
    let claims = 0;
    await using rig = await startRig({
      jobs: [Noop],
      around: ({ name }, proceed) => {
        if (name === "jobs.claim") claims++;
        // What others hold locked is due, and yet no claim brings it.
        return name === "jobs.claim" ? Promise.resolve([]) : proceed();
      },
    });
    await rig.engine.enqueue(Noop, undefined);
    claims = 0;
    await rig.advance("1m");
    assert(claims < 40, `${claims} claims in a minute`);
  });

  it("is polled less and less by an idle worker", async () => {
    const { around, calls } = faults();
    await using rig = await startRig({ jobs: [Noop], around, heartbeatInterval: "10s" });
    await rig.advance("1h");
    assert(calls("jobs.claim") < 3600 / 5 + 3600 / 9 + 20, `${calls("jobs.claim")} claims`);
  });
});

describe("an outage of everything", () => {
  it("is survived: 30 s of it change nothing but the time, with few lines logged", async () => {
    const { failing, around } = faults();
    const held = heldJob();
    const { definition, handled } = counting();
    await using rig = await startRig({ jobs: [held.definition, definition], around });
    const long = await rig.engine.enqueue(held.definition, null);
    await held.started();
    const everything = ["claim", "settle", "extend", "rescue", "nextDue", "get", "prune"];
    for (const name of everything) failing.add(`jobs.${name}`);
    failing.add("ping");
    await rig.engine.enqueueMany(noops(0));
    const waiting = rig.engine.result(long.id);
    await rig.engine.enqueue(definition, 1);
    await rig.advance("2m");
    const lines = rig.log.lines.filter(({ level }) => level === "error" || level === "warn");
    assert(lines.length <= 20, `${lines.length} lines`);
    failing.clear();
    await rig.advance("15s");
    assertEquals([...handled], [[1, 1]]);
    held.attempts[0].end.open("done");
    assertEquals(await waiting, "done");
    assertEquals(held.attempts.length, 1);
  });

  it("at the start is reported by start(), which can then be tried again", async () => {
    let down = true;
    const options = {
      jobs: [Noop],
      queueLimits: { default: { concurrency: 2 } },
      around: ({ name }: StoreCall, proceed: () => Promise<unknown>) =>
        down && name === "queues.configure" ? Promise.reject(new Error("refused")) : proceed(),
    };
    await using rig = await startRig({ concurrency: 0 });
    const { id } = await rig.engine.enqueue(Noop, undefined);
    let message = "";
    const engine = await rig.add(options).catch((error) => {
      message = error.message;
      return rig.engines.at(-1)!;
    });
    assertEquals(message, "refused");
    down = false;
    await engine.start(rig.store);
    await rig.reaches(id, "completed");
  });
});

describe("a store that has forgotten a claim after its outage", () => {
  function forgetful() {
    const { failing, around } = faults();
    const leases: Lease[] = [];
    return {
      failing,
      async around(call: StoreCall, proceed: () => Promise<unknown>) {
        const answer = await around(call, proceed);
        if (call.name === "jobs.claim") {
          leases.push(...(answer as ClaimedJob[]).map(({ lease }) => lease));
        }
        return answer;
      },
      /** To the store, all jobs are as if they had never been claimed. */
      async forget(rig: Rig) {
        await rig.advance(1);
        await rig.store.jobs.settle(
          leases.splice(0).map((lease) => ({ lease, outcome: { kind: "release", delayMs: 0 } })),
        );
      },
    };
  }

  it("has the worker tell its handler before the job is run again", async () => {
    const { around, forget } = forgetful();
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition], around, heartbeatInterval: "10s" });
    const { id } = await rig.engine.enqueue(held.definition, "first");
    const { job, end } = await held.started();
    await forget(rig);
    await rig.engine.enqueue(held.definition, "second");
    await held.started(3);
    assertEquals(held.attempts.map(({ input }) => input), ["first", "first", "second"]);
    assertEquals(job.signal.reason.code, "lease_lost");
    end.open("too late"); // nobody waits for it
    held.attempts[1].end.open("in time");
    assertEquals(await rig.engine.result(id), "in time");
    held.endAll();
    await rig.drained();
    assertEquals((await rig.job(id))?.attempt, 1);
  });

  it("has the worker tell of one end of the job, not of two", async () => {
    const { failing, around, forget } = forgetful();
    let [calls, ends] = [0, 0];
    const Job = defineJob({ name: "job", handler: () => void calls++ });
    await using rig = await startRig({
      jobs: [Job],
      extensions: [{ name: "counts", onJobCompleted: () => void ends++ }],
      around: async (call: StoreCall, proceed) => {
        if (call.name === "jobs.settle" && calls === 1 && failing.size === 0) {
          failing.add("jobs.settle"); // it fell while it was told
          await forget(rig);
        }
        if (calls === 2) failing.clear();
        return await around(call, proceed);
      },
    });
    await rig.engine.enqueue(Job, null);
    await rig.drained();
    await rig.stop();
    assertEquals([calls, ends, rig.log.count("came too late")], [2, 1, 1]);
  });
});

describe("a logger that throws", () => {
  it("harms nobody", async () => {
    const fail = () => {
      throw new Error("disk full");
    };
    const logger = { debug: fail, info: fail, warn: fail, error: fail };
    const { failing, around } = faults();
    const Bad = defineJob({ name: "bad", maxRetries: 1, handler: fail });
    await using rig = await startRig({ jobs: [Bad, Noop], logger, around });
    await rig.engine.enqueue(Bad, null);
    failing.add("jobs.settle").add("jobs.claim").add("jobs.extend");
    await rig.advance("1m");
    failing.clear();
    await rig.engine.enqueue(Noop, undefined);
    await rig.advance("1m");
    await rig.drained();
    assertEquals((await rig.engine.stats()).dlqCount, 1);
  });
});
