import type { Accepted, Checkpoint, RunRecord, StepKind } from "../../core/run.ts";
import type { Lease } from "../../core/lease.ts";
import type { SqlParam } from "../../sql/driver.ts";
import { arrayOf } from "./array.ts";
import { decodeFailure, type RecordRow, toRecord } from "./rows.ts";
import { fromUuid, toUuid } from "./uuid.ts";

/** A row of the view `runs`. */
export interface RunRow extends RecordRow {
  readonly compensating: boolean;
  readonly cause: string | null;
  readonly parent: string | null;
  readonly since: number;
}

/** What a run has beside its job, with one of its steps or, where it has none, nulls. */
export interface RestRow extends StepRow {
  readonly ord: number;
  readonly compensating: boolean | null;
  readonly cause: string | null;
  readonly since: number | null;
}

/** A row of `steps`. */
export interface StepRow {
  readonly run: string;
  readonly position: number;
  readonly name: string;
  readonly kind: StepKind;
  readonly state: "o" | "c" | "d";
  readonly attempt: number;
  readonly result: string | null;
  readonly failure: string | null;
  readonly events: string | null;
  readonly key: string | null;
  readonly event: string | null;
  readonly child: string | null;
  readonly until: number | null;
  readonly left_ms: number | null;
  readonly seq: number | null;
  readonly started_at: number;
  readonly ended_at: number | null;
}

const STATES = { o: "open", c: "completed", d: "failed" } as const;

/** The characters of the states of steps. */
export const STEP_STATE = { open: "o", completed: "c", failed: "d" } as const;

/** A checkpoint. */
export function toCheckpoint(row: StepRow): Checkpoint {
  return {
    position: row.position,
    name: row.name,
    kind: row.kind,
    state: STATES[row.state],
    attempt: row.attempt,
    result: row.result,
    failure: decodeFailure(row.failure),
    events: row.events === null ? [] : JSON.parse(row.events),
    key: row.key,
    eventId: row.event === null ? null : fromUuid("evt", row.event),
    childId: row.child === null ? null : fromUuid("job", row.child),
    until: row.until,
    leftMs: row.left_ms,
    seq: row.seq,
    startedAt: row.started_at,
    endedAt: row.ended_at,
  };
}

/** A run, with its open steps. */
export function toRunRecord(row: RunRow, open: readonly Checkpoint[]): RunRecord {
  return {
    job: toRecord(row),
    compensating: row.compensating,
    cause: decodeFailure(row.cause),
    parentId: row.parent === null ? null : fromUuid("job", row.parent),
    since: row.since,
    open,
  };
}

/** A write under a lease; where it stood in the call. */
export interface Sent<Item> {
  readonly item: Item;
  readonly uuid: string;
  readonly at: number;
}

/** In the order of their jobs' ids. A lease that cannot be of this store is left out. */
export function toSend<Item extends { readonly lease: Lease }>(
  items: readonly Item[],
): Sent<Item>[] {
  return items
    .map((item, at) => ({ item, uuid: toUuid(item.lease.jobId), at }))
    .filter((sent): sent is Sent<Item> =>
      sent.uuid !== null && Number.isSafeInteger(Number(sent.item.lease.token))
    )
    .sort((a, b) => a.uuid < b.uuid ? -1 : a.uuid > b.uuid ? 1 : a.at - b.at);
}

/** What was given to the code since the last write of each run; nulls where that is nothing. */
export function acceptedOf(
  sent: readonly Sent<{ readonly lease: Lease; readonly accepted: readonly Accepted[] }>[],
): SqlParam[] {
  const all = sent.flatMap(({ item: { accepted, lease }, uuid }) =>
    accepted.map(({ position, seq }) => ({ uuid, token: lease.token, position, seq }))
  );
  if (all.length === 0) return [null, null, null, null];
  return [
    arrayOf(all.map(({ uuid }) => uuid)),
    arrayOf(all.map(({ token }) => token)),
    arrayOf(all.map(({ position }) => position)),
    arrayOf(all.map(({ seq }) => seq)),
  ];
}
