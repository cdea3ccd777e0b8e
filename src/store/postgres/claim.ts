import type { JobRecord } from "../../core/job.ts";
import type { ClaimedJob, Lease } from "../../core/lease.ts";
import { MAX_CRASHES } from "../../core/outcome.ts";
import type { ClaimRequest } from "../store.ts";
import { textArray } from "./array.ts";
import type { Database } from "./database.ts";
import { decodeFailure, decodeKey, decodeLabels } from "./rows.ts";
import type { Statements } from "./statements.ts";
import { fromUuid } from "./uuid.ts";

/** Ends a job, and a field of it, in what `claim()` answers. */
const END = "\x1e";
const SEPARATOR = "\x1f";

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

/** What a job has that may be unusual. */
interface Rest {
  readonly maxRetries: number;
  readonly timeoutMs: number;
  readonly attempt: number;
  readonly retryCount: number;
  readonly crashes: number;
  /** Not there where it is the moment when the job was due. */
  readonly createdAt?: number;
  readonly uniqueKey: string | null;
  readonly labels: string | null;
  readonly failure: string | null;
  readonly progress: string | null;
}

/** A new job with the default options. */
const USUAL: Rest = {
  maxRetries: 3,
  timeoutMs: 0,
  attempt: 1,
  retryCount: 0,
  crashes: 0,
  uniqueKey: null,
  labels: null,
  failure: null,
  progress: null,
};

/** Leases ready jobs, in the order that the port promises. */
export async function claim(
  database: Database,
  sql: Statements,
  request: ClaimRequest,
): Promise<Claimed> {
  const { workerId, queues, names, limit, leaseMs, suspects } = request;
  const [row] = await database.claiming.query<ClaimRow>(sql.claim, [
    database.now,
    workerId,
    textArray(queues),
    textArray(names),
    limit,
    String(leaseMs),
    suspects,
    SUSPECT_AT,
  ]);
  const texts = row.jobs.split(END);
  texts.pop(); // behind the last end
  const answer = { request, row };
  const jobs = texts.map((text) => new Claim(text, answer));
  return { jobs: isSorted(texts) ? jobs : sorted(jobs, queues), due: row.due };
}

/** What the claims of one answer have in common. */
interface Answer {
  readonly request: ClaimRequest;
  readonly row: ClaimRow;
}

/**
 * Read when it is first asked for: hundreds wait ahead, and what were made of them would be copied by
 * every collection of garbage until their turn.
 */
class Claim implements ClaimedJob {
  readonly #text: string;
  readonly #answer: Answer;
  #job: JobRecord | null = null;
  #lease: Lease | null = null;

  constructor(text: string, answer: Answer) {
    this.#text = text;
    this.#answer = answer;
  }

  get job(): JobRecord {
    if (this.#job === null) this.#read();
    return this.#job!;
  }

  get lease(): Lease {
    if (this.#lease === null) this.#read();
    return this.#lease!;
  }

  #read(): void {
    const text = this.#text;
    const { request, row } = this.#answer;
    // Field by field: an array of them took 250 bytes a job.
    const priority = text.indexOf(SEPARATOR);
    const moment = text.indexOf(SEPARATOR, priority + 1);
    const id = text.indexOf(SEPARATOR, moment + 1);
    const token = text.indexOf(SEPARATOR, id + 1);
    const name = text.indexOf(SEPARATOR, token + 1);
    const queue = text.indexOf(SEPARATOR, name + 1);
    const end = text.indexOf(SEPARATOR, queue + 1);
    const runAt = Number(text.slice(priority + 1, moment));
    const uuid = text.slice(moment + 1, id);
    const rest: Rest = queue + 1 === end ? USUAL : JSON.parse(text.slice(queue + 1, end));
    const { tags, scope } = decodeLabels(rest.labels);
    const job = this.#job = {
      id: fromUuid("job", uuid),
      name: text.slice(token + 1, name) || request.names[0],
      queue: text.slice(name + 1, queue) || request.queues[0],
      priority: priority === 0 ? 0 : Number(text.slice(0, priority)),
      payload: text.slice(end + 1),
      maxRetries: rest.maxRetries,
      timeoutMs: rest.timeoutMs,
      uniqueKey: decodeKey(rest.uniqueKey),
      tags,
      scope,
      state: "running",
      runAt,
      attempt: rest.attempt,
      retryCount: rest.retryCount,
      crashes: rest.crashes,
      failure: decodeFailure(rest.failure),
      result: null,
      progress: rest.progress,
      cancelRequested: false,
      workerId: request.workerId,
      createdAt: rest.createdAt ?? runAt,
      updatedAt: row.now,
      startedAt: row.now,
      completedAt: null,
      heartbeatAt: row.now,
    };
    const own = id + 1 === token ? row.token : Number(text.slice(id + 1, token));
    this.#lease = new KnownLease(job.id, own, uuid);
  }
}

/** A lease that remembers its job as the database calls it. */
export class KnownLease implements Lease {
  constructor(readonly jobId: string, readonly token: number, readonly uuid: string) {}
}

/**
 * An UPDATE returns its rows in the order of the table, which is almost always the right one: that of
 * the texts, as long as no job has a priority and all moments have as many digits.
 */
function isSorted(texts: readonly string[]): boolean {
  const digits = texts.length === 0 ? 0 : texts[0].indexOf(SEPARATOR, 1);
  return texts.every((text, i) =>
    text.startsWith(SEPARATOR) && text.indexOf(SEPARATOR, 1) === digits &&
    (i === 0 || texts[i - 1] < text)
  );
}

function sorted(claimed: ClaimedJob[], queues: readonly string[]): ClaimedJob[] {
  const rank = new Map(queues.map((queue, i) => [queue, i]));
  return claimed.sort(({ job: a }, { job: b }) =>
    (queues.length > 1 ? rank.get(a.queue)! - rank.get(b.queue)! : 0) || b.priority - a.priority ||
    a.runAt - b.runAt || (a.id < b.id ? -1 : 1)
  );
}
