/**
 * What the store's methods read in a database with 300,000 ready, 1,000,000 future and 1,000,000
 * finished jobs: it must not depend on any of them, nor on what the planner knew when it made the
 * plans that a session keeps. auto_explain shows every plan on the store's own connection, also those
 * of statements within functions.
 */

import { assert, assertEquals } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { newId, withPrefix } from "../../src/core/id.ts";
import type { ClaimedJob } from "../../src/core/lease.ts";
import type { ClaimRequest, Store } from "../../src/store/store.ts";
import { DONE, FAILURE, newJob, OUTCOMES, range } from "../../src/testing/suite/context.ts";
import { assertLean, openRig, type Rig } from "./plans.ts";
import { describeRuns, everythingOfRuns } from "./plans_of_runs.ts";

const ask = (fields: Partial<ClaimRequest> = {}): ClaimRequest => ({
  workerId: "w",
  queues: ["default"],
  names: ["mail"],
  limit: 100,
  leaseMs: 600_000,
  suspects: false,
  ...fields,
});

/** When plans are made, and what has the planner know no more than that. */
const PLANNED = {
  "while the tables are new": "",
  "while a vacuum has just found nothing in them": `
    update pg_class set reltuples = 0, relpages = 100
    where relkind = 'r' and relnamespace = 'dispatch'::regnamespace`,
};

/** What administrators do to a job, and to its dead letter. */
async function administer({ jobs, deadLetters }: Store): Promise<void> {
  const [{ id }] = await jobs.enqueue([newJob({ queue: "other" })]);
  await jobs.cancel(id);
  await jobs.retry(id);
  const [{ lease }] = await jobs.claim(ask({ queues: ["other"] }));
  await jobs.settle([{ lease, outcome: { kind: "dead", failure: FAILURE } }]);
  const replayed = await deadLetters.replay(withPrefix("dlq", id), newId("job"));
  await jobs.remove(id);
  await jobs.cancel(replayed.id);
  await jobs.remove(replayed.id);
}

/** Each kind of statement once, with no job to meet. */
async function everything(store: Store): Promise<void> {
  const { jobs } = store;
  const [job] = await jobs.enqueue([newJob({ queue: "other", uniqueKey: "one" })]);
  await jobs.enqueue([newJob({ queue: "other", uniqueKey: "one" })]);
  const lease = { jobId: job.id, token: 1 };
  await jobs.claim(ask());
  await jobs.claim(ask({ names: ["mail", "sms"], queues: ["default", "q1"] }));
  await jobs.nextDue(["default", "q1"], ["mail", "sms"]);
  await jobs.extend([{ lease }], 1);
  for (const outcome of OUTCOMES) await jobs.settle([{ lease, outcome }]);
  await jobs.rescue(10);
  await jobs.get([lease.jobId]);
  await jobs.remove(lease.jobId);
  await jobs.prune({ completed: 1e9, failed: 1e9, cancelled: 1e9 }, 10);
  await administer(store);
  await everythingOfRuns(store);
}

for (const [when, prepare] of Object.entries(PLANNED)) {
  describe(`what the store reads, beside 2,300,000 other jobs, as planned ${when}`, () => {
    let rig: Rig;
    let store: Store;
    const watch: Rig["watch"] = (call) => rig.watch(call);

    beforeAll(async () => {
      rig = await openRig(prepare, everything);
      store = rig.store;
    });

    afterAll(() => rig?.[Symbol.asyncDispose]());

    let claimed: ClaimedJob[];

    it("a new job looks for one of its id or key that is there already", async () => {
      const many = (queue: string) => range(100).map(() => newJob({ queue }));
      const key = { uniqueKey: "key" };
      const calls = [[newJob()], many("many"), [...many("many"), ...many("more")]];
      for (const call of [...calls, [newJob(key)], [newJob(key), ...many("many"), newJob(key)]]) {
        const { result, plans } = await watch(() => store.jobs.enqueue(call));
        assertEquals(result.length, call.length);
        assertLean(plans, call.length, call.length);
      }
    });

    it("a claim of one name in one queue is one ordered probe: nothing is sorted", async () => {
      const { result, plans } = await watch(() => store.jobs.claim(ask()));
      assertEquals(result.length, 100);
      assertLean(plans, 100 + 1, 1); // one more row says when it was
      claimed = result;
    });

    it("a claim of several names sorts at most as many of each as it may take", async () => {
      const names = ["mail", "sms", "unknown-1"];
      const { result, plans } = await watch(() => store.jobs.claim(ask({ names })));
      assertEquals(result.length, 100);
      assertLean(plans, 3 * 100 + 1, 3 * 100);
      claimed.push(...result);
    });

    it("a claim in several queues takes them one after the other, and reads no more in each", async () => {
      const queues = ["q3", "q1", "default"]; // 100 jobs are in each q
      const one = await watch(() => store.jobs.claim(ask({ queues, names: ["sms"], limit: 150 })));
      assertEquals(one.result.length, 150);
      assertLean(one.plans, 150 + 1, 1);
      const names = ["sms", "mail"];
      const many = await watch(() => store.jobs.claim(ask({ queues, names, limit: 150 })));
      assertEquals(many.result.length, 150);
      assertLean(many.plans, names.length * 150 + 1, names.length * 150);
      claimed.push(...one.result, ...many.result);
    });

    it("a claim of names that have no jobs reads nothing", async () => {
      const { result, plans } = await watch(() => store.jobs.claim(ask({ names: ["a", "b"] })));
      assertEquals(result, []);
      assertLean(plans, 2, 1);
    });

    it("what runs in a queue with a limit is counted without reading what else runs", async () => {
      const asked = ask({ queues: ["q5"], names: ["sms"], limit: 2 });
      assertEquals((await store.jobs.claim(asked)).length, 2);
      const limit = await watch(() => store.queues.configure("q5", { concurrency: 3 }));
      assertLean(limit.plans, claimed.length + 2, 1);
      const { plans } = await watch(async () => {
        assertEquals((await store.jobs.claim(asked)).length, 1);
        assertEquals((await store.jobs.claim(asked)).length, 0);
        assertEquals(await store.jobs.nextDue(["q5"], ["sms"]), null);
      });
      assertLean(plans, 10, 1);
    });

    it("leases are extended by their ids", async () => {
      const extensions = claimed.map(({ lease }) => ({ lease }));
      const { result, plans } = await watch(() => store.jobs.extend(extensions, 600_000));
      assert(result.every((status) => status === "held"));
      assertLean(plans, claimed.length, 1);
    });

    it("attempts that completed are settled by their ids", async () => {
      const settlements = claimed.slice(0, 200).map(({ lease }) => ({ lease, outcome: DONE }));
      const { result, plans } = await watch(() => store.jobs.settle(settlements));
      assert(result.every((status) => status === "settled"));
      assertLean(plans, 2 * 200, 2); // each is counted where it was and where it is
    });

    it("attempts of every outcome are settled by their ids, in an order of theirs", async () => {
      const settlements = claimed.slice(200, 300).map(({ lease }, i) => ({
        lease,
        outcome: OUTCOMES[i % OUTCOMES.length],
      }));
      const { result, plans } = await watch(() => store.jobs.settle(settlements));
      assert(result.every((status) => status === "settled"));
      assertLean(plans, 4 * 100, 4 * 100);
    });

    it("leases that ran out are looked for among what runs", async () => {
      const short = await store.jobs.claim(ask({ limit: 50, leaseMs: 1 }));
      await new Promise((resolve) => setTimeout(resolve, 20));
      const { result, plans } = await watch(() => store.jobs.rescue(200));
      assertEquals(result.length, short.length);
      assertLean(plans, claimed.length, 100);
    });

    it("the next moment is one probe for each queue and name", async () => {
      const queues = range(10).map((i) => `q${i}`);
      const names = ["mail", "sms", "none"];
      await store.jobs.claim(ask({ names: ["forget"] })); // else it may be known from a claim
      const { result, plans } = await watch(() => store.jobs.nextDue(queues, names));
      assertEquals(result, 0);
      assertLean(plans, 2 * queues.length * names.length, 1);
    });

    it("history is pruned from its old end", async () => {
      const ages = { completed: 1000, failed: 1e12, cancelled: 1e12 };
      const { result, plans } = await watch(() => store.jobs.prune(ages, 1000));
      assertEquals(result, 1000);
      assertLean(plans, 1000, 1);
    });

    it("jobs are read by their ids, wherever they are", async () => {
      const ids = claimed.slice(150, 250).map(({ job }) => job.id);
      const { result, plans } = await watch(() => store.jobs.get(ids));
      assert(result.every((job) => job !== null));
      assertLean(plans, 100, 1);
    });

    it("what is done to one job reads that job", async () => {
      const { plans } = await watch(() => administer(store));
      assertLean(plans, 5, 5);
    });

    it("counts read no jobs", async () => {
      const { result, plans } = await watch(() => store.jobs.counts());
      assert(result.completed >= 999_000 && result.pending >= 1_299_000, JSON.stringify(result));
      assertLean(plans, 500, 500);
      const tables = plans.map((plan) => plan["Relation Name"]);
      assertEquals(tables.filter((table) => table === "jobs" || table === "finished"), []);
    });

    it("counts of runs, and of those that nobody serves, read no other jobs", async () => {
      const counts = await watch(() => store.runs!.counts());
      assertEquals(counts.result.running, 60);
      assertLean(counts.plans, 500, 500);
      const { result, plans } = await watch(() => store.runs!.unserved(["workflow/order@1"], 1000));
      const unserved = ["workflow/order@0", "workflow/order@2"].map((jobName) => ({
        jobName,
        runs: 20,
      }));
      assertEquals(result, unserved);
      assertLean(plans, 100, 100);
    });

    const states = [
      ...[undefined, "pending", "running", "retrying"] as const,
      ...["completed", "failed", "cancelled"] as const,
    ];
    for (const state of states) {
      it(`a page of ${state ?? "all"} jobs is read off an index`, async () => {
        const { result, plans } = await watch(() =>
          store.jobs.list({ state, limit: 50, offset: 0 })
        );
        assert(result.items.length > 0);
        assertLean(plans, claimed.length, claimed.length);
      });
    }

    describeRuns(() => rig);
  });
}
