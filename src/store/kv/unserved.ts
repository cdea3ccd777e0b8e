/** Runs that wait for a version that nobody serves. */

import type { EpochMs } from "../../core/clock.ts";
import { isRunName } from "../../core/run.ts";
import type { UnservedRuns } from "../run_store.ts";
import type { KvEntry, KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import { placeOf } from "./ready.ts";
import { jobs } from "./record.ts";

/** Counts runs of other versions that have been due for longer than that. */
export async function unserved(
  database: Database,
  served: readonly string[],
  dueForMs: number,
): Promise<UnservedRuns[]> {
  const before = database.now() - dueForMs;
  const counts = new Map<string, number>();
  const note = (name: string, runs: number) => {
    if (isRunName(name) && !served.includes(name)) counts.set(name, (counts.get(name) ?? 0) + runs);
  };
  // Keys are `prefix r queue lane name -priority runAt id`, of few names.
  for await (const { key } of firsts(database, database.keys.section("r"), 3)) {
    const name = key[4] as string;
    if (!isRunName(name) || served.includes(name)) continue;
    for await (const entry of database.list({ prefix: key.slice(0, 5) }, { batchSize: 500 })) {
      if ((entry.key[6] as EpochMs) < before) note(name, placeOf(entry).jobs.length);
    }
  }
  // Of a queue from which nobody claims, jobs that have become due are where they waited for that.
  for await (const { key } of firsts(database, database.keys.section("d"), 1)) {
    const prefix = key.slice(0, 3);
    const due = { prefix, end: [...prefix, before] };
    for await (const entry of database.list(due, { batchSize: 500 })) {
      note(await nameOf(database, entry), 1);
    }
  }
  return [...counts].map(([jobName, runs]) => ({ jobName, runs }))
    .sort((a, b) => a.jobName < b.jobName ? -1 : 1);
}

/** The first key of each group of those whose next so many parts are the same. */
async function* firsts(database: Database, section: KvKey, parts: number): AsyncGenerator<KvEntry> {
  let selector: Parameters<Database["page"]>[0] = { prefix: section };
  for (;;) {
    const [first] = await database.page(selector, 1);
    if (first === undefined) return;
    yield first;
    const group = first.key.slice(0, section.length + parts);
    // `true` is behind whatever else may follow the group in a key.
    selector = { prefix: section, start: [...group, true] };
  }
}

async function nameOf(database: Database, { key, value }: KvEntry): Promise<string> {
  const copy = value as Uint8Array;
  if (copy.length > 0) return jobs.unpack(copy).record.name;
  const { value: record } = await database.get(database.keys.unfinished(key[4] as string));
  return record === null ? "" : jobs.unpack(record).record.name;
}
