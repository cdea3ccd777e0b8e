import type { Lease, LeaseStatus, LeaseToken } from "../../core/lease.ts";
import type { Outcome } from "../../core/outcome.ts";
import type { SqlExecutor, SqlParam } from "../../sql/driver.ts";
import type { LeaseExtension, Settlement, SettleStatus } from "../store.ts";
import { arrayOf, textArray } from "./array.ts";
import { KnownLease, SUSPECT_AT } from "./claim.ts";
import type { Database } from "./database.ts";
import type { Statements } from "./statements.ts";
import { toUuid } from "./uuid.ts";

/** What became of each settlement, and which queues may have jobs to claim by it. */
export interface Settled {
  readonly statuses: SettleStatus[];
  readonly wake: string[];
}

/** What the statement tells of a settlement, by its ordinal, or of a queue. */
interface SettleRow {
  readonly lost: number | null;
  readonly cancelled: number | null;
  readonly wake: string | null;
}

/** A lease as it is sent; where it stood in the call. */
interface Sent<Item> {
  readonly item: Item;
  readonly uuid: string;
  readonly at: number;
}

/** Ends attempts with one statement. */
export async function settle(
  executor: Pick<SqlExecutor, "query">,
  sql: Statements,
  now: string | null,
  settlements: readonly Settlement[],
): Promise<Settled> {
  const statuses = new Array<SettleStatus>(settlements.length).fill("lost");
  // Of two for one lease the first counts; sorted, they are neighbours in the order of the call.
  const sent = toSend(settlements).filter(({ uuid, item }, i, all) =>
    i === 0 || uuid !== all[i - 1].uuid || item.lease.token !== all[i - 1].item.lease.token
  );
  if (sent.length === 0) return { statuses, wake: [] };
  for (const { at } of sent) statuses[at] = "settled";
  const rows = await executor.query<SettleRow>(
    ...(haveCompleted(sent)
      ? [sql.complete, [now, ...completed(sent)]] as const
      : [sql.settle, [now, ...ended(sent)]] as const),
  );
  for (const { lost, cancelled } of rows) {
    if (lost !== null) statuses[sent[lost - 1].at] = "lost";
    if (cancelled !== null) statuses[sent[cancelled - 1].at] = "cancelled";
  }
  return { statuses, wake: rows.flatMap(({ wake }) => wake ?? []) };
}

/** Whether all have, each a job of its own; `sent` is in the order of ids. */
export function haveCompleted(sent: readonly Sent<Settlement>[]): boolean {
  return sent.every(({ uuid, item }, i) =>
    item.outcome.kind === "complete" && (i === 0 || uuid !== sent[i - 1].uuid)
  );
}

/**
 * Tokens are sent where they change: jobs of one claim have the same. Results are sent where there are
 * any: most jobs return nothing.
 */
function completed(sent: readonly Sent<Settlement>[]): SqlParam[] {
  const firsts: string[] = [];
  const tokens: LeaseToken[] = [];
  for (const { uuid, item: { lease } } of sent) {
    if (lease.token === tokens[tokens.length - 1]) continue;
    firsts.push(uuid);
    tokens.push(lease.token);
  }
  const someReturned = sent.some(({ item }) => dataOf(item.outcome) !== null);
  return [
    arrayOf(sent.map(({ uuid }) => uuid)),
    arrayOf(firsts),
    arrayOf(tokens),
    someReturned ? textArray(sent.map(({ item }) => dataOf(item.outcome))) : null,
  ];
}

function ended(sent: readonly Sent<Settlement>[]): SqlParam[] {
  const outcomes = sent.map(({ item }) => item.outcome);
  return [
    arrayOf(sent.map(({ uuid }) => uuid)),
    arrayOf(sent.map(({ item }) => item.lease.token)),
    textArray(outcomes.map(dataOf)),
    arrayOf(outcomes.map(({ kind }) => kind)),
    arrayOf(outcomes.map((outcome) => "delayMs" in outcome ? outcome.delayMs : 0)),
    SUSPECT_AT,
  ];
}

/** Extends the leases that are still held. */
export async function extend(
  database: Database,
  sql: Statements,
  extensions: readonly LeaseExtension[],
  leaseMs: number,
): Promise<LeaseStatus[]> {
  // An UPDATE changes a row once: of several reports for one lease the last is sent for all.
  const last = new Map<string, LeaseExtension>();
  const keyOf = ({ lease }: LeaseExtension) => `${lease.jobId} ${lease.token}`;
  for (const extension of extensions) {
    const key = keyOf(extension);
    const progress = extension.progress ?? last.get(key)?.progress;
    last.set(key, progress === undefined ? extension : { ...extension, progress });
  }
  const sent = toSend([...last.values()]);
  const statuses = new Map<string, LeaseStatus>();
  if (sent.length > 0) {
    const rows = await database.query<{ held: number; cancelling: boolean }>(sql.extend, [
      database.now,
      arrayOf(sent.map(({ uuid }) => uuid)),
      arrayOf(sent.map(({ item }) => item.lease.token)),
      textArray(sent.map(({ item }) => item.progress ?? null)),
      String(leaseMs),
    ]);
    for (const { held, cancelling } of rows) {
      statuses.set(keyOf(sent[held - 1].item), cancelling ? "cancelling" : "held");
    }
  }
  return extensions.map((extension) => statuses.get(keyOf(extension)) ?? "lost");
}

/**
 * Leases in the order of their jobs' ids, in which every statement locks them: two that did so in
 * orders of their own would wait for each other. One that cannot be of this store is left out.
 */
function toSend<Item extends { readonly lease: Lease }>(items: readonly Item[]): Sent<Item>[] {
  const sent: Sent<Item>[] = [];
  for (let at = 0; at < items.length; at++) {
    const item = items[at];
    const { lease } = item;
    const uuid = lease instanceof KnownLease ? lease.uuid : toUuid(lease.jobId);
    if (uuid !== null && Number.isSafeInteger(Number(lease.token))) {
      sent.push({ item, uuid, at });
    }
  }
  return sent.sort(compare);
}

function compare(a: Sent<{ lease: Lease }>, b: Sent<{ lease: Lease }>): number {
  if (a.uuid !== b.uuid) return a.uuid < b.uuid ? -1 : 1;
  return Number(a.item.lease.token) - Number(b.item.lease.token) || a.at - b.at;
}

/** What is kept of an outcome: a result, or why it failed. */
export function dataOf(outcome: Outcome): string | null {
  switch (outcome.kind) {
    case "complete":
      return outcome.result === "null" ? null : outcome.result; // most jobs return nothing
    case "retry":
    case "dead":
      return JSON.stringify(outcome.failure);
    case "cancel":
      return JSON.stringify({ code: "cancelled", message: outcome.reason });
    case "release":
    case "park": // of runs alone, in a statement of their own
    case "compensate":
      return null;
  }
}
