/** The jobs of a queue that are first in line. */

import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import { jobs, type StoredJob } from "./record.ts";

/** The line of one name, and its first job that was not taken yet. */
interface Line {
  readonly entries: AsyncIterator<KvEntry>;
  first: KvEntry | null;
}

/** Entries are read in these portions, the first one of many lines being smaller. */
const MAX_PORTION = 500;
const MIN_PORTION = 10;

/** The first `limit` jobs over the lines of these names: by priority, moment and id. */
export async function firstReady(
  database: Database,
  queue: string,
  lane: number,
  names: readonly string[],
  limit: number,
): Promise<StoredJob[]> {
  const batchSize = Math.min(
    MAX_PORTION,
    names.length === 1 ? limit : MIN_PORTION + Math.ceil(limit / names.length),
  );
  const lines: Line[] = await Promise.all(names.map(async (name) => {
    const selector = { prefix: database.keys.section("r", queue, lane, name) };
    const entries = database.list(selector, { limit, batchSize });
    return { entries, first: await next(entries) };
  }));
  const found: KvEntry[] = [];
  while (found.length < limit) {
    let best: Line | null = null;
    for (const line of lines) {
      if (line.first !== null && (best === null || before(line.first, best.first!))) best = line;
    }
    if (best === null) break;
    found.push(best.first!);
    best.first = await next(best.entries);
  }
  return await read(database, found);
}

/** True where a job of the queue is ready under one of these names. */
export async function isReady(
  database: Database,
  queue: string,
  lane: number,
  names: readonly string[],
): Promise<boolean> {
  const pages = await Promise.all(
    names.map((name) =>
      database.page({ prefix: database.keys.section("r", queue, lane, name) }, 1)
    ),
  );
  return pages.some((page) => page.length > 0);
}

async function next(entries: AsyncIterator<KvEntry>): Promise<KvEntry | null> {
  const { value, done } = await entries.next();
  return done ? null : value;
}

/** Keys are `prefix r queue lane name -priority runAt id`. */
function before(a: KvEntry, b: KvEntry): boolean {
  for (const at of [5, 6, 7]) {
    const [x, y] = [a.key[at] as number | string, b.key[at] as number | string];
    if (x !== y) return x < y;
  }
  return false;
}

/** The records behind copies; what is large is read where it is. */
async function read(database: Database, copies: readonly KvEntry[]): Promise<StoredJob[]> {
  const large = copies.filter(({ value }) => (value as Uint8Array).length === 0);
  const keys = large.map(({ key }) => database.keys.unfinished(key[7] as string));
  const values = new Map(
    (large.length === 0 ? [] : await database.getMany(keys)).map((
      { key, value },
    ) => [key[2], value]),
  );
  const found: StoredJob[] = [];
  for (const { key, value } of copies) {
    const id = key[7] as string;
    const bytes = (value as Uint8Array).length > 0 ? value : values.get(id);
    if (bytes === null || bytes === undefined) continue; // taken meanwhile: the commit will find out
    const stored = jobs.unpack(bytes);
    found.push(stored.pieces === null ? stored : await database.complete(jobs, id, stored));
  }
  return found;
}
