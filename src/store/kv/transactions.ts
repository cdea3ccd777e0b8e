import { DispatchError, show } from "../../core/errors.ts";
import type { JobRecord, NewJob } from "../../core/job.ts";
import type { JsonText } from "../../core/json.ts";
import type { Lease } from "../../core/lease.ts";
import type { StoreTransactions } from "../store.ts";
import { isKvAtomic } from "./client.ts";
import type { KvParts } from "./parts.ts";

/** What a KV store does in atomic operations that hold writes of its user's as well. */
export class KvTransactions implements StoreTransactions {
  readonly #parts: KvParts;

  constructor(parts: KvParts) {
    this.#parts = parts;
  }

  async enqueue(tx: unknown, jobs: readonly NewJob[]): Promise<JobRecord[]> {
    if (!isKvAtomic(tx)) throw notAtomic(tx);
    const { database, enqueue, wake } = this.#parts;
    const { records, draft } = await enqueue.draft(jobs);
    draft.applyTo(tx, database.keys, database.now());
    wake.expect(); // nobody tells when it is committed
    return records;
  }

  /** The checks are added when `work` has returned, so that heartbeats meanwhile do not fail it. */
  async complete(
    lease: Lease,
    work: (tx: unknown) => Promise<JsonText>,
  ): Promise<"settled" | "lost"> {
    const { database, leases, settle } = this.#parts;
    const op = (await database.kv()).atomic();
    const commit = op.commit.bind(op);
    op.commit = () => Promise.reject(notYours());
    const result = await work(op);
    return await leases.exclusive(async () => {
      await leases.refresh();
      const known = leases.held(lease) !== null;
      const [running] = await leases.read([lease]);
      if (running === null) return "lost";
      const now = database.now();
      const draft = await settle.completion(running, result, now);
      const claim = database.keys.claim(lease.jobId);
      draft.check({ key: claim, versionstamp: running.versionstamp });
      if (!known) draft.set(database.keys.fence("leases"));
      draft.applyTo(op, database.keys, now);
      if (await database.commitOperation(commit, draft) !== null) {
        leases.drop(lease);
        return "settled";
      }
      if ((await leases.read([lease]))[0] === null) return "lost";
      throw checksFailed(lease.jobId);
    });
  }
}

/** Whoever commits by himself would complete nothing. */
function notYours(): DispatchError {
  return new DispatchError("invalid_option", "Cannot commit the operation of job.transaction()", {
    hint: "Only add to it: it is committed, together with the end of the job, when you return.",
  });
}

function checksFailed(id: string): DispatchError {
  return new DispatchError(
    "wrong_state",
    `Cannot complete ${id}: a check of its transaction failed, and nothing of it was applied`,
    { hint: "Somebody else changed what was checked; throw, and the job is tried again." },
  );
}

function notAtomic(tx: unknown): DispatchError {
  return new DispatchError("unsupported_client", `Cannot use ${show(tx)} as an open transaction`, {
    hint: "Pass kv.atomic() of the KV that the jobs are in, and commit it afterwards.",
  });
}
