import type { JobRecord } from "../../core/job.ts";
import type { ClaimedJob } from "../../core/lease.ts";
import { MAX_CRASHES } from "../../core/outcome.ts";
import type { ClaimRequest } from "../store.ts";
import { textArray } from "./array.ts";
import type { Database } from "./database.ts";
import { decodeFailure, decodeKey, decodeLabels } from "./rows.ts";
import type { Statements } from "./statements.ts";
import { fromUuid } from "./uuid.ts";

/** As {@link isSuspect} of core has it. */
export const SUSPECT_AT = MAX_CRASHES - 1;

/** What a claim found: jobs, or when to look again. */
export interface Claimed {
  readonly jobs: ClaimedJob[];
  /** Where nothing was found: milliseconds until a job is due, null where none waits. */
  readonly due: number | null;
}

/** The answer of `claim()`. */
interface ClaimRow {
  readonly now: number;
  readonly due: number | null;
  /** Of every job that does not name one of its own. */
  readonly token: number;
  /** The jobs, in the form that the function tells. */
  readonly jobs: string;
}

/** What a job has that is not usual, in the order of the function. */
type Rest = [
  priority: number,
  maxRetries: number,
  timeoutMs: number,
  attempt: number,
  retryCount: number,
  crashes: number,
  createdAt: number,
  uniqueKey: string | null,
  labels: string | null,
  failure: string | null,
  progress: string | null,
];

/** Leases ready jobs, in the order that the port promises. */
export async function claim(
  database: Database,
  sql: Statements,
  request: ClaimRequest,
): Promise<Claimed> {
  const { workerId, queues, names, limit, leaseMs, suspects } = request;
  const [row] = await database.query<ClaimRow>(sql.claim, [
    database.now,
    workerId,
    textArray(queues),
    textArray(names),
    limit,
    String(leaseMs),
    suspects,
    SUSPECT_AT,
  ]);
  const jobs = row.jobs.split("\x1e");
  jobs.pop(); // behind the last end
  return { jobs: sorted(jobs.map((job) => toClaimed(job, request, row)), queues), due: row.due };
}

function toClaimed(
  text: string,
  { workerId, names, queues }: ClaimRequest,
  row: ClaimRow,
): ClaimedJob {
  const [uuid, runAt, token, name, queue, unusual, payload] = text.split("\x1f");
  const [
    priority,
    maxRetries,
    timeoutMs,
    attempt,
    retryCount,
    crashes,
    createdAt,
    uniqueKey,
    labels,
    failure,
    progress,
  ]: Rest = unusual === ""
    ? [0, 3, 0, 1, 0, 0, Number(runAt), null, null, null, null]
    : JSON.parse(unusual);
  const { tags, scope } = decodeLabels(labels);
  const job: JobRecord = {
    id: fromUuid("job", uuid),
    name: name === "" ? names[0] : name,
    queue: queue === "" ? queues[0] : queue,
    priority,
    payload,
    maxRetries,
    timeoutMs,
    uniqueKey: decodeKey(uniqueKey),
    tags,
    scope,
    state: "running",
    runAt: Number(runAt),
    attempt,
    retryCount,
    crashes,
    failure: decodeFailure(failure),
    result: null,
    progress,
    cancelRequested: false,
    workerId,
    createdAt,
    updatedAt: row.now,
    startedAt: row.now,
    completedAt: null,
    heartbeatAt: row.now,
  };
  return { job, lease: { jobId: job.id, token: token === "" ? row.token : Number(token) } };
}

/** An UPDATE returns its rows in the order of the table, which is almost always the right one. */
function sorted(claimed: ClaimedJob[], queues: readonly string[]): ClaimedJob[] {
  const rank = new Map(queues.map((queue, i) => [queue, i]));
  const compare = ({ job: a }: ClaimedJob, { job: b }: ClaimedJob) =>
    (queues.length > 1 ? rank.get(a.queue)! - rank.get(b.queue)! : 0) || b.priority - a.priority ||
    a.runAt - b.runAt || (a.id < b.id ? -1 : 1);
  for (let i = 1; i < claimed.length; i++) {
    if (compare(claimed[i - 1], claimed[i]) > 0) return claimed.sort(compare);
  }
  return claimed;
}
