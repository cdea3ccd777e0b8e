/**
 * Where everything is. The first part of each key is the prefix of the installation, the second a
 * section:
 *
 *     w  id                                      an unfinished job, as it last began to wait
 *     a  id                                      its claim, while it runs: lease, heartbeat, progress
 *     f  id                                      a finished job
 *     r  queue lane name -priority runAt id      copy of a job that is ready, or of several: see `ready.ts`
 *     d  queue runAt id                          copy of a job that is not due
 *     s  state id                                retrying, failed and cancelled jobs, for lists
 *     e  state finishedAt n                      ids of jobs that finished together, for retention
 *     u  name key                                id of the unfinished job that holds a unique key
 *     b  id field n                              pieces of what is too large for its record
 *     l  failedAt id                             a dead letter
 *     m  id                                      where the dead letter of that id is
 *     c  queue state                             counter; written by `sum` alone
 *     q  queue                                   settings of a queue
 *     h  queue                                   changes when a waiting job is taken, or the settings
 *     n  queue                                   changes when there is something to claim
 *     x  what                                    changes when somebody interferes: see `leases.ts`
 *     i  n …                                     jobs of a call that is too large for one commit
 *     v                                          version of this layout
 *
 * An unfinished job is in `w` and in exactly one of `r`, `d` and `a`; a finished one in `f` alone.
 *
 *     run   id                                   what a run has beside its job: see `run_record.ts`
 *     runs  state                                counter; written by `sum` alone
 *     step  id position                          a checkpoint whose result was given to the code
 *     open  id position                          any other
 *     wait  name key id position                 an open step that such an event ends
 *     took  id event                             an event that a step of the run has taken
 *     child id child                             a run that it has started
 *     after n                                    what is left to do for others: see `aftermath.ts`
 *     event …                                    what is kept for late waiters: see `events.ts`
 *
 * Reserved for a later part: `cron`.
 */

import type { EpochMs } from "../../core/clock.ts";
import { DispatchError, show } from "../../core/errors.ts";
import type { EventRecord } from "../../core/event.ts";
import type { JobRecord, JobState } from "../../core/job.ts";
import { isSuspect } from "../../core/outcome.ts";
import type { RunState } from "../../core/run.ts";
import type { KvKey } from "./client.ts";

/** Jobs that may be in a crash loop stand in a lane of their own. */
export const LANES = { others: 0, suspects: 1 } as const;

/** What may be interfered with. */
export type Fence = "leases" | "unique" | "finished";

/** The keys of one installation. */
export class Keys {
  readonly prefix: string;

  /** @throws {DispatchError} `invalid_option` */
  constructor(prefix: string) {
    if (typeof prefix !== "string" || !/^[\x21-\x7e]{1,100}$/.test(prefix)) {
      throw new DispatchError("invalid_option", `Cannot use ${show(prefix)} as a prefix of keys`, {
        hint: "Name it with 1 to 100 letters, digits and signs.",
      });
    }
    this.prefix = prefix;
  }

  /** What all keys of a section, or of a part of one, begin with. */
  section(...parts: readonly (string | number)[]): KvKey {
    return [this.prefix, ...parts];
  }

  unfinished(id: string): KvKey {
    return [this.prefix, "w", id];
  }

  claim(id: string): KvKey {
    return [this.prefix, "a", id];
  }

  finished(id: string): KvKey {
    return [this.prefix, "f", id];
  }

  ready(job: JobRecord): KvKey {
    const lane = isSuspect(job) ? LANES.suspects : LANES.others;
    // Not -priority: KV tells -0 from 0.
    return [this.prefix, "r", job.queue, lane, job.name, 0 - job.priority, job.runAt, job.id];
  }

  delayed(job: JobRecord): KvKey {
    return [this.prefix, "d", job.queue, job.runAt, job.id];
  }

  inState(state: JobState, id: string): KvKey {
    return [this.prefix, "s", state, id];
  }

  finishedTogether(state: JobState, at: EpochMs, n: string): KvKey {
    return [this.prefix, "e", state, at, n];
  }

  piece(id: string, field: string, n: number): KvKey {
    return [this.prefix, "b", id, field, n];
  }

  letter(failedAt: EpochMs, id: string): KvKey {
    return [this.prefix, "l", failedAt, id];
  }

  letterPlace(id: string): KvKey {
    return [this.prefix, "m", id];
  }

  counter(queue: string, state: JobState): KvKey {
    return [this.prefix, "c", queue, state];
  }

  settings(queue: string): KvKey {
    return [this.prefix, "q", queue];
  }

  head(queue: string): KvKey {
    return [this.prefix, "h", queue];
  }

  news(queue: string): KvKey {
    return [this.prefix, "n", queue];
  }

  fence(what: Fence): KvKey {
    return [this.prefix, "x", what];
  }

  version(): KvKey {
    return [this.prefix, "v"];
  }

  unique(name: string, key: string): KvKey {
    return [this.prefix, "u", name, key];
  }

  run(id: string): KvKey {
    return [this.prefix, "run", id];
  }

  runCounter(state: RunState): KvKey {
    return [this.prefix, "runs", state];
  }

  step(id: string, position: number): KvKey {
    return [this.prefix, "step", id, position];
  }

  open(id: string, position: number): KvKey {
    return [this.prefix, "open", id, position];
  }

  wait(name: string, key: string | null, id: string, position: number): KvKey {
    return [this.prefix, "wait", name, key ?? "", id, position];
  }

  took(id: string, eventId: string): KvKey {
    return [this.prefix, "took", id, eventId];
  }

  child(id: string, childId: string): KvKey {
    return [this.prefix, "child", id, childId];
  }

  after(n: string): KvKey {
    return [this.prefix, "after", n];
  }

  event(id: string): KvKey {
    return [this.prefix, "event", "kept", id];
  }

  /** Where a waiter finds the event: with its run, or with what it is about. */
  eventPlace({ jobId, name, key, createdAt, id }: EventRecord): KvKey {
    return jobId === null
      ? [this.prefix, "event", "all", name, key ?? "", createdAt, id]
      : [this.prefix, "event", "run", jobId, createdAt, id];
  }

  eventAge(createdAt: EpochMs, id: string): KvKey {
    return [this.prefix, "event", "age", createdAt, id];
  }

  eventOnce(jobId: string | null, name: string, idempotencyKey: string): KvKey {
    return [this.prefix, "event", "once", jobId ?? "", name, idempotencyKey];
  }

  /** There until the event was given to all who waited when it came. */
  eventDue(id: string): KvKey {
    return [this.prefix, "event", "due", id];
  }
}

/** Text that a key has room for beside a name: a long one is told apart by its digest. */
export async function shortened(text: string): Promise<string> {
  if (text.length <= 250 && !text.startsWith("sha256:")) return text;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  const hex = [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0"));
  return `sha256:${hex.join("")}`;
}

/** Bytes that a key takes, or a few more: an estimate that spares encoding it. */
export function sizeOf(key: KvKey): number {
  let size = 0;
  for (const part of key) size += typeof part === "string" ? widthOf(part) + 2 : 9;
  return size;
}

function widthOf(text: string): number {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 127) return text.length * 3;
  return text.length;
}
