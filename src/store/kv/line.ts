/** How jobs leave a line, and others stay. */

import type { EpochMs } from "../../core/clock.ts";
import type { JobRecord } from "../../core/job.ts";
import type { KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import type { Draft } from "./draft.ts";
import type { Slim } from "./format.ts";
import { placeOf } from "./ready.ts";
import type { Moves } from "./moves.ts";
import type { StoredJob } from "./record.ts";
import { waits } from "./settle.ts";
import { encode } from "./value.ts";

/** Takes a job from where it waits; false where it has gone from there since it was read. */
export async function leaveLine(
  database: Database,
  draft: Draft,
  record: JobRecord,
): Promise<boolean> {
  const { keys } = database;
  draft.touch(keys.head(record.queue)); // whoever is about to claim it will find that it has gone
  const delayed = await database.get(keys.delayed(record));
  if (delayed.value !== null) {
    draft.take(delayed);
    return true;
  }
  // Mostly at its own key or in the block that begins before it.
  const key = keys.ready(record);
  const line = key.slice(0, -1);
  const selector = { start: line, end: [...line, record.id + "\u0000"] };
  for await (const entry of database.list(selector, { reverse: true, batchSize: 4 })) {
    const place = placeOf(entry);
    if (!place.jobs.some(({ id }) => id === record.id)) continue;
    draft.take(entry);
    stay(draft, entry.key, place.jobs.filter(({ id }) => id !== record.id));
    return true;
  }
  return false;
}

/** A job that waits for a later moment is ready now; false as for {@link leaveLine}. */
export async function wakeUp(
  database: Database,
  moves: Moves,
  draft: Draft,
  stored: StoredJob,
  now: EpochMs,
): Promise<boolean> {
  if (stored.record.runAt <= now) return true;
  if (!await leaveLine(database, draft, stored.record)) return false;
  moves.leave(draft, stored);
  moves.wait(draft, waits(stored.record, now, now), stored, now);
  return true;
}

/** Jobs of a place stay there, under the id of what is first then. */
export function stay(draft: Draft, key: KvKey, left: readonly Slim[]): void {
  if (left.length === 0) return;
  draft.set([...key.slice(0, -1), left[0].id!], encode(left.length === 1 ? left[0] : left));
}
