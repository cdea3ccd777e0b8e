import type { SqlExecutor } from "../../sql/driver.ts";
import type { Settlement, SettleStatus } from "../store.ts";
import { arrayOf, textArray } from "./array.ts";
import { SUSPECT_AT } from "./claim.ts";
import { acceptedOf, type Sent, toSend } from "./run_rows.ts";
import type { RunStatements } from "./run_statements.ts";
import { dataOf, haveCompleted, settle, type Settled } from "./settle.ts";
import type { Statements } from "./statements.ts";

type Executor = Pick<SqlExecutor, "query">;

interface SettleRow {
  readonly lost: number | null;
  readonly cancelled: number | null;
  readonly compensating: number | null;
  readonly wake: string | null;
}

/** True for a settlement that ends, or interrupts, a run. */
export function isOfRun({ isRun, outcome: { kind } }: Settlement): boolean {
  return isRun === true || kind === "park" || kind === "compensate";
}

/** Ends attempts of which some are slices of runs: one statement for jobs, one for ends, one for parks. */
export async function settleWithRuns(
  executor: Executor,
  sql: Statements,
  runSql: RunStatements,
  now: string | null,
  settlements: readonly Settlement[],
): Promise<Settled> {
  const statuses = new Array<SettleStatus>(settlements.length).fill("lost");
  const wake: string[] = [];
  const jobs = settlements.flatMap((settlement, at) => isOfRun(settlement) ? [] : [at]);
  if (jobs.length > 0) {
    const settled = await settle(executor, sql, now, jobs.map((at) => settlements[at]));
    settled.statuses.forEach((status, i) => statuses[jobs[i]] = status);
    wake.push(...settled.wake);
  }
  const runs = firstOfEach(settlements).filter(({ item }) => isOfRun(item));
  const parks = runs.filter(({ item: { outcome } }) =>
    outcome.kind === "park" || outcome.kind === "compensate"
  );
  const ends = runs.filter((sent) => !parks.includes(sent));
  for (const [sent, send] of [[ends, settleEnds], [parks, park]] as const) {
    if (sent.length === 0) continue;
    for (const { at } of sent) statuses[at] = "settled";
    const rows = await send(executor, runSql, now, sent);
    for (const row of rows) if (row.lost !== null) statuses[sent[row.lost - 1].at] = "lost";
    for (const row of rows) {
      if (row.cancelled !== null) statuses[sent[row.cancelled - 1].at] = "cancelled";
      if (row.compensating !== null) statuses[sent[row.compensating - 1].at] = "compensating";
      if (row.wake !== null) wake.push(row.wake);
    }
  }
  return { statuses, wake };
}

/** Of two for one lease the first counts. */
function firstOfEach(settlements: readonly Settlement[]): Sent<Settlement>[] {
  const seen = new Set<string>();
  return toSend(settlements).filter(({ uuid, item }) => {
    const lease = `${uuid} ${item.lease.token}`;
    return !seen.has(lease) && seen.add(lease);
  });
}

function settleEnds(
  executor: Executor,
  sql: RunStatements,
  now: string | null,
  sent: readonly Sent<Settlement>[],
): Promise<SettleRow[]> {
  const outcomes = sent.map(({ item }) => item.outcome);
  const plain = haveCompleted(sent);
  const rewinds = outcomes.map((outcome) => "rewind" in outcome ? outcome.rewind ?? null : null);
  return executor.query<SettleRow & Record<string, string | number | null>>(sql.settleRuns, [
    now,
    arrayOf(sent.map(({ uuid }) => uuid)),
    arrayOf(sent.map(({ item }) => item.lease.token)),
    textArray(outcomes.map(dataOf)),
    plain ? null : arrayOf(outcomes.map(({ kind }) => kind)),
    plain ? null : arrayOf(outcomes.map((outcome) => "delayMs" in outcome ? outcome.delayMs : 0)),
    SUSPECT_AT,
    arrayOf(rewinds.map((rewind) => rewind?.step ?? null)),
    arrayOf(rewinds.map((rewind) => rewind?.from ?? null)),
  ]);
}

function park(
  executor: Executor,
  sql: RunStatements,
  now: string | null,
  sent: readonly Sent<Settlement>[],
): Promise<SettleRow[]> {
  const outcomes = sent.map(({ item }) => item.outcome);
  const given = sent.map(({ item: { lease, outcome }, uuid, at }) => ({
    item: { lease, accepted: outcome.kind === "park" ? outcome.accepted : [] },
    uuid,
    at,
  }));
  const [runs, , positions, seqs] = acceptedOf(given);
  return executor.query<SettleRow & Record<string, string | number | null>>(sql.park, [
    now,
    arrayOf(sent.map(({ uuid }) => uuid)),
    arrayOf(sent.map(({ item }) => item.lease.token)),
    textArray(outcomes.map((o) => o.kind === "compensate" ? JSON.stringify(o.cause) : null)),
    arrayOf(outcomes.map((outcome) => outcome.kind === "park" ? outcome.deadline : null)),
    textArray(outcomes.map((outcome) => arrayOf(outcome.kind === "park" ? outcome.timed : []))),
    SUSPECT_AT,
    runs,
    positions,
    seqs,
  ]);
}
