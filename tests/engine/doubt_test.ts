import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { ClaimedJob } from "../../src/core/lease.ts";
import { defineJob } from "../../src/engine/definition.ts";
import type { ClaimRequest } from "../../src/store/store.ts";
import { gate, startRig, type StoreCall, until } from "../harness.ts";

/** A store that may say of its claims that nobody knows whether they were kept. */
function doubtful() {
  const claims: { request: ClaimRequest; claimed: ClaimedJob[] }[] = [];
  return {
    async around({ name, args }: StoreCall, proceed: () => Promise<unknown>) {
      const answer = await proceed();
      if (name === "jobs.claim") {
        claims.push({ request: args[0], claimed: answer as ClaimedJob[] });
      }
      return answer;
    },
    /** The leases of all that would be doubted now. */
    leases: () => claims.flatMap(({ claimed }) => claimed.map(({ lease }) => lease)),
    /** Doubts all that were claimed since the last time. */
    doubt() {
      for (const { request, claimed } of claims.splice(0)) request.onDoubt?.(claimed);
    },
  };
}

describe("a claim of which nobody knows whether it was kept", () => {
  it("is given back unspent, its handler told to let go", async () => {
    const { around, doubt } = doubtful();
    const calls: number[] = [];
    const reasons: string[] = [];
    const Job = defineJob({
      name: "job",
      handler: async (n: number, { signal }) => {
        calls.push(n);
        if (n !== 100 || reasons.length > 0) return;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        reasons.push(signal.reason.code);
        signal.throwIfAborted();
      },
    });
    await using rig = await startRig({ jobs: [Job], concurrency: 1, around });
    await rig.engine.enqueueMany(Array.from({ length: 30 }, (_, n) => ({ job: Job, input: n })));
    await rig.drained();
    doubt(); // all of those have ended: it changes nothing
    const jobs = await rig.engine.enqueueMany(
      [100, 101, 102].map((input) => ({ job: Job, input })),
    );
    await until(async () => (await rig.job(jobs[2].id))?.state === "running");
    doubt();
    await rig.drained();
    assertEquals(calls.slice(30).sort(), [100, 100, 101, 102]);
    assertEquals(reasons, ["lease_lost"]);
    for (const { id } of jobs) {
      const { state, attempt } = await rig.reaches(id, "completed");
      assertEquals([state, attempt], ["completed", 1]);
    }
    assertEquals(rig.log.count("came too late"), 0);
  });

  it("is told nobody of where it was not kept, however many there are", async () => {
    const { around, doubt, leases } = doubtful();
    const end = gate();
    const calls: number[] = [];
    const Job = defineJob({
      name: "job",
      handler: async (n: number) => {
        calls.push(n);
        if (n === 100) await end.promise;
      },
    });
    await using rig = await startRig({ jobs: [Job], concurrency: 1, around });
    await rig.engine.enqueueMany(Array.from({ length: 30 }, (_, n) => ({ job: Job, input: n })));
    await rig.drained();
    doubt();
    const jobs = await rig.engine.enqueueMany(
      [100, 101, 102].map((input) => ({ job: Job, input })),
    );
    await until(async () => (await rig.job(jobs[2].id))?.state === "running");
    const ahead = leases().filter(({ jobId }) => jobId !== jobs[0].id);
    assertEquals(ahead.length, 2);
    await rig.store.jobs.settle( // to the store it is as if they had never been claimed
      ahead.map((lease) => ({ lease, outcome: { kind: "release", delayMs: 0 } })),
    );
    doubt();
    end.open();
    await rig.drained();
    assertEquals(calls.slice(30), [100, 101, 102]);
    assertEquals(rig.log.count("came too late"), 0);
  });

  it("was not kept where its job is claimed again: one end is told, not two", async () => {
    const { around, doubt, leases } = doubtful();
    let [calls, ends, down] = [0, 0, false];
    const Job = defineJob({ name: "job", handler: () => void calls++ });
    await using rig = await startRig({
      jobs: [Job],
      extensions: [{ name: "counts", onJobCompleted: () => void ends++ }],
      async around(call: StoreCall, proceed) {
        if (call.name !== "jobs.settle" || calls !== 1) return await around(call, proceed);
        if (!down) { // the connection that the claim was on: neither of them was kept
          down = true;
          await rig.advance(1);
          await rig.store.jobs.settle(
            leases().map((lease) => ({ lease, outcome: { kind: "release", delayMs: 0 } })),
          );
          doubt();
        }
        throw new Error("the connection was closed");
      },
    });
    await rig.engine.enqueue(Job, null);
    await rig.drained();
    await rig.stop();
    assertEquals([calls, ends, rig.log.count("came too late")], [2, 1, 1]);
  });

  it("counts as ended where its handler cannot be told and completes", async () => {
    const { around, doubt } = doubtful();
    const end = gate();
    let calls = 0;
    const Job = defineJob({ name: "job", handler: () => (calls++, end.promise) });
    await using rig = await startRig({ jobs: [Job], around });
    const { id } = await rig.engine.enqueue(Job, null);
    await until(() => calls === 1);
    doubt();
    end.open();
    await rig.reaches(id, "completed");
    assertEquals(calls, 1);
  });
});
