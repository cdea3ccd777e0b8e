/** What the statements of runs read, beside as many jobs and the steps, waits and events of others. */

import { assert, assertEquals } from "@std/assert";
import { it } from "@std/testing/bdd";
import { newId } from "../../src/core/id.ts";
import type { ClaimedJob } from "../../src/core/lease.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import type { StepWait, StepWrite } from "../../src/store/run_store.ts";
import type { SettleStatus, Store } from "../../src/store/store.ts";
import { DONE, FAILURE, ids, newJob } from "../../src/testing/suite/context.ts";
import { assertLean, type Rig } from "./plans.ts";

const RUN = "workflow/watched@1";
const CHILD = "workflow/watched-child@1";

/** A part of what runs go through; each builds on those before. */
interface Scene {
  readonly title: string;
  act(): Promise<void>;
}

/** What `n` runs go through, all at once; none of them is left unfinished. */
function story(store: () => Store, n: number): Scene[] {
  const scenes: Scene[] = [];
  const scene = (title: string, act: () => Promise<void>) => scenes.push({ title, act });
  let runs: ClaimedJob[] = [];
  let children: ClaimedJob[] = [];

  const claim = async (name: string, leaseMs = 600_000): Promise<ClaimedJob[]> => {
    const request = {
      workerId: "w",
      queues: ["watched"],
      names: [name],
      limit: n,
      suspects: false,
    };
    const claimed = await store().jobs.claim({ ...request, leaseMs });
    assertEquals(claimed.length, n);
    return claimed;
  };
  const start = async (leaseMs?: number) => {
    const job = () => newJob({ name: RUN, queue: "watched", maxRetries: 1 });
    await store().jobs.enqueue(Array.from({ length: n }, job));
    runs = await claim(RUN, leaseMs);
  };
  const settle = async (
    claims: ClaimedJob[],
    outcome: Outcome,
    status: SettleStatus = "settled",
  ) => {
    const statuses = await store().jobs.settle(
      claims.map(({ lease }) => ({ lease, outcome, isRun: true })),
    );
    assertEquals(statuses, claims.map(() => status));
  };
  const write = ({ lease }: ClaimedJob, fields: Partial<StepWrite>): StepWrite => ({
    ...{ lease, accepted: [], position: 0, name: "step", kind: "run", state: "completed" },
    ...{
      attempt: 1,
      result: "1",
      failure: null,
      delayMs: null,
      seq: null,
      elapsedMs: 1,
      ...fields,
    },
  });
  const wait = ({ lease }: ClaimedJob, fields: Partial<StepWait>): StepWait => ({
    ...{
      lease,
      accepted: [],
      position: 2,
      name: "wait",
      kind: "event",
      events: ["paid"],
      key: null,
    },
    ...{ delayMs: null, until: null, ...fields },
  });
  const park = (timed: number[]): Outcome => ({
    ...{ kind: "park", timed, deadline: null, accepted: [{ position: 1, seq: 1 }] },
  });
  const publish = (jobIds: (string | null)[]) =>
    store().events!.publish(jobIds.map((jobId) => ({
      ...{ id: newId("evt"), jobId, name: "paid", key: null, payload: "1", idempotencyKey: null },
    })));
  const all = async (act: (id: string) => Promise<unknown>) => {
    for (const { job } of runs) await act(job.id);
  };

  scene("go on with what is remembered of them", async () => {
    await start();
    const rests = await store().runs!.resume(ids(runs), 10);
    assertEquals(rests.map(({ checkpoints }) => checkpoints.length), runs.map(() => 0));
  });
  scene("save steps, and what the code was given of earlier ones", async () => {
    const first = runs.map((run) => write(run, {}));
    const accepted = [{ position: 0, seq: 0 }];
    const second = runs.map((run) => write(run, { position: 1, accepted }));
    for (const writes of [first, second]) {
      assertEquals(await store().runs!.save(writes), writes.map(() => "saved"));
    }
  });
  scene("start children with a step", async () => {
    const child = () => newJob({ name: CHILD, queue: "watched" });
    const fields = { position: 4, kind: "child", state: "open", result: null } as const;
    const writes = runs.map((run) => write(run, { ...fields, child: child() }));
    assertEquals(await store().runs!.save(writes), writes.map(() => "saved"));
    children = await claim(CHILD);
  });
  scene("begin to wait for events and for moments", async () => {
    const events = await store().runs!.wait(runs.map((run) => wait(run, {})));
    const sleep = { position: 3, kind: "sleep", events: [], delayMs: 3_600_000 } as const;
    const sleeps = await store().runs!.wait(runs.map((run) => wait(run, sleep)));
    assertEquals([...events, ...sleeps].map((step) => step?.state), Array(2 * n).fill("open"));
  });
  scene("read steps, all of them and those that the code was not given", async () => {
    for (const [pending, found] of [[false, 5], [true, 4]] as const) {
      const queries = ids(runs).map((jobId) => ({ jobId, after: null, limit: 10, pending }));
      const steps = await store().runs!.checkpoints(queries);
      assertEquals(steps.map((of) => of.length), runs.map(() => found));
    }
  });
  scene("park until something happens", () => settle(runs, park([3])));
  scene("are told that a child has ended", async () => {
    await settle(children, DONE);
    runs = await claim(RUN);
  });
  scene("are woken by an event for all", async () => {
    await settle(runs, {
      kind: "park",
      timed: [3],
      deadline: null,
      accepted: [{ position: 4, seq: 2 }],
    });
    const [{ delivered }] = await publish([null]);
    assertEquals(delivered, n);
    runs = await claim(RUN);
  });
  scene("take events that are for one of them", async () => {
    const again = runs.map((run) => wait(run, { position: 5 }));
    assertEquals(
      (await store().runs!.wait(again)).map((step) => step?.state),
      Array(n).fill("open"),
    );
    assertEquals((await publish(ids(runs))).map(({ delivered }) => delivered), Array(n).fill(1));
  });
  scene("are tried again without the step that failed", async () => {
    const rewind = { step: 1, from: 4 };
    await settle(runs, { kind: "retry", failure: FAILURE, delayMs: 0, rewind });
    runs = await claim(RUN);
  });
  scene("fail, and are retried by hand", async () => {
    await settle(runs, { kind: "dead", failure: FAILURE, rewind: { step: 2, from: 3 } });
    await all((id) => store().jobs.retry(id));
    runs = await claim(RUN);
  });
  scene("undo their steps", async () => {
    await settle(runs, { kind: "compensate", cause: FAILURE });
    runs = await claim(RUN);
    await settle(runs, { kind: "dead", failure: FAILURE });
  });
  scene("are rewound, and cancelled so that they undo their steps", async () => {
    await all((id) => store().runs!.rewind(id, 0));
    await all((id) => store().runs!.compensate(id));
    runs = await claim(RUN);
    await settle(runs, { kind: "cancel", reason: "no longer wanted" });
  });
  scene("complete", async () => {
    await start();
    await settle(runs, DONE);
  });
  scene("fall with their parent", async () => {
    await start();
    const child = () => newJob({ name: CHILD, queue: "watched" });
    const fields = { kind: "child", state: "open", result: null } as const;
    await store().runs!.save(runs.map((run) => write(run, { ...fields, child: child() })));
    await settle(runs, park([]));
    await all((id) => store().jobs.cancel(id));
  });
  scene("are taken back from a worker that died", async () => {
    await start(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assertEquals((await store().jobs.rescue(n)).length, n);
    await all((id) => store().jobs.cancel(id));
  });
  scene("are read by their ids, and removed with all that they had", async () => {
    assert((await store().runs!.get(ids(runs))).every((run) => run !== null));
    await all((id) => store().jobs.remove(id));
  });
  scene("leave events that are pruned", async () => {
    assertEquals(await store().events!.prune(3_600_000, 10), Math.min(10, await old()));
  });
  /** How many events are old enough: none while the tables are new. */
  const old = async () => (await store().jobs.counts()).pending > 1_000_000 ? 10 : 0;
  return scenes;
}

/** Each kind of statement once. */
export async function everythingOfRuns(store: Store): Promise<void> {
  for (const { act } of story(() => store, 2)) await act();
}

/** No scene reads more than its own runs have: some of it once for each of them, as batches are small. */
export function describeRuns(rig: () => Rig): void {
  const RUNS = 20;
  for (const { title, act } of story(() => rig().store, RUNS)) {
    it(`runs ${title}: nothing of others is read`, async () => {
      const { plans } = await rig().watch(act);
      assertLean(plans, 2 * RUNS ** 2, 2 * RUNS ** 2);
    });
  }
}
