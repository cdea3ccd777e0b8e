import { MAX_CRASHES } from "../../core/outcome.ts";
import type { ClaimedJob } from "../../core/lease.ts";
import type { ClaimRequest } from "../store.ts";
import { textArray } from "./array.ts";
import type { Database } from "./database.ts";
import { type ClaimRow, toClaimed } from "./rows.ts";
import type { Statements } from "./statements.ts";

/** As {@link isSuspect} of core has it. */
export const SUSPECT_AT = MAX_CRASHES - 1;

/** What a claim found: jobs, or when to look again. */
export interface Claimed {
  readonly jobs: ClaimedJob[];
  /** Where nothing was found: milliseconds until a job is due, null where none waits. */
  readonly due: number | null;
}

/** Leases ready jobs, in the order that the port promises. */
export async function claim(
  database: Database,
  sql: Statements,
  request: ClaimRequest,
): Promise<Claimed> {
  const { workerId, queues, names, limit, leaseMs, suspects } = request;
  const rows = await database.query<ClaimRow>(sql.claim, [
    database.now,
    workerId,
    textArray(queues),
    textArray(names),
    limit,
    String(leaseMs),
    suspects,
    SUSPECT_AT,
  ]);
  const { now, due } = rows.pop()!;
  sort(rows, queues);
  const jobs = rows.map((row): ClaimedJob => {
    const job = toClaimed(row, request, now);
    return { job, lease: { jobId: job.id, token: row.token ?? job.attempt } };
  });
  return { jobs, due };
}

/** An UPDATE returns its rows in the order of the table, which is almost always the right one. */
function sort(rows: ClaimRow[], queues: readonly string[]): void {
  const several = queues.length > 1;
  const rank = (row: ClaimRow) => row.queue === null ? 0 : queues.indexOf(row.queue);
  const compare = (a: ClaimRow, b: ClaimRow) =>
    (several ? rank(a) - rank(b) : 0) || (b.priority ?? 0) - (a.priority ?? 0) ||
    a.run_at - b.run_at || (a.id < b.id ? -1 : 1);
  for (let i = 1; i < rows.length; i++) {
    if (compare(rows[i - 1], rows[i]) > 0) return void rows.sort(compare);
  }
}
