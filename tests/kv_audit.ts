/** Looks whether everything in a KV belongs to something: no key is left over, and none is missing. */

import { assertEquals } from "@std/assert";
import type { JobRecord } from "../src/core/job.ts";
import { isRunName } from "../src/core/run.ts";
import type { KvClient } from "../src/store/kv/client.ts";
import { jobs } from "../src/store/kv/record.ts";
import { events, flows, steps } from "../src/store/kv/run_record.ts";
import { placeOf } from "../src/store/kv/ready.ts";
import { counted, decode } from "../src/store/kv/value.ts";

type Part = string | number;

/** All keys under a prefix, by their section, without the first two parts. */
async function sectionsOf(kv: KvClient, prefix: string) {
  const sections = new Map<string, { rest: Part[]; value: unknown; key: readonly unknown[] }[]>();
  for await (const { key, value } of kv.list({ prefix: [prefix] })) {
    const section = key[1] as string;
    sections.set(section, sections.get(section) ?? []);
    sections.get(section)!.push({ rest: key.slice(2) as Part[], value, key });
  }
  return (section: string) => sections.get(section) ?? [];
}

/** Names what is compared, in an order that is the same on both sides. */
function sorted(names: Iterable<string>): string[] {
  return [...names].sort();
}

/**
 * Fails where something is left over or missing.
 *
 * @param prefix of the installation
 */
export async function audit(kv: KvClient, prefix = "dispatch"): Promise<void> {
  const section = await sectionsOf(kv, prefix);
  const name = (parts: readonly unknown[]) => parts.join(" ");
  const names = (of: string) => sorted(section(of).map(({ rest }) => name(rest)));
  const unfinished = section("w").map(({ value }) => jobs.unpack(value).record);
  const finished = section("f").map(({ value }) => jobs.unpack(value).record);
  const ids = new Set([...unfinished, ...finished].map(({ id }) => id));

  // Each unfinished job stands in one place.
  const places = [
    ...section("a").map(({ rest }) => rest[0] as string),
    ...section("d").map(({ rest }) => rest[2] as string),
    ...section("r").flatMap(({ key, value }) =>
      placeOf({ key: key as string[], value, versionstamp: null }).jobs.map(({ id }) => id!)
    ),
  ];
  assertEquals(sorted(places), sorted(unfinished.map(({ id }) => id)), "places of jobs");

  // Counters are right.
  const count = (all: readonly JobRecord[], of: (job: JobRecord) => string) => {
    const counts: Record<string, number> = {};
    for (const job of all) counts[of(job)] = (counts[of(job)] ?? 0) + 1;
    return counts;
  };
  const kept = (of: string) =>
    Object.fromEntries(
      section(of).map(({ rest, value }) => [name(rest), counted(value)]).filter(([, n]) => n !== 0),
    );
  const executing = new Set(section("a").map(({ rest }) => rest[0]));
  assertEquals(
    kept("c"),
    count(
      [...unfinished, ...finished],
      (job) => `${job.queue} ${executing.has(job.id) ? "running" : job.state}`,
    ),
    "counters of jobs",
  );

  // Every run has something beside its job, and nothing else has.
  const found = new Map(
    section("run").map(({ rest, value }) => [rest[0] as string, flows.unpack(value).record]),
  );
  const runs = [...unfinished, ...finished].filter((job) => isRunName(job.name));
  assertEquals(sorted(found.keys()), sorted(runs.map(({ id }) => id)), "runs");
  assertEquals(
    kept("runs"),
    count(
      runs,
      ({ id, completedAt, state }) =>
        completedAt !== null ? state : found.get(id)!.compensating ? "compensating" : "running",
    ),
    "counters of runs",
  );
  const children = [...found].flatMap(([id, { parentId }]) =>
    parentId ? [`${parentId} ${id}`] : []
  );
  assertEquals(names("child"), sorted(children), "children");
  assertEquals(names("after"), [], "what is left to do");

  // Steps are of runs that exist, in one place, and those that wait are found.
  const all = ["step", "open"].flatMap((of) =>
    section(of).map(({ rest, value }) => ({ of, id: rest[0] as string, ...steps.unpack(value) }))
  );
  const waiting = new Set<string>();
  const taken = new Set<string>();
  for (const { of, id, record, pieces } of all) {
    assertEquals(found.has(id), true, `a step of ${id}, which is gone`);
    assertEquals(of, record.seq === null ? "open" : "step", `${id} ${record.position}`);
    if (record.eventId !== null) taken.add(`${id} ${record.eventId}`);
    if (
      pieces?.events !== undefined || record.state !== "open" || finished.some((f) => f.id === id)
    ) {
      continue;
    }
    for (const event of record.events) {
      waiting.add(name([event, record.key ?? "", id, record.position]));
    }
  }
  assertEquals(new Set(all.map(({ id, record }) => `${id} ${record.position}`)).size, all.length);
  assertEquals(names("wait"), sorted(waiting), "steps that wait for events");
  assertEquals(names("took"), sorted(taken), "events that were taken");

  // Events are in all of their places.
  const expected: string[] = [];
  const keptEvents = section("event").filter(({ rest }) => rest[0] === "kept");
  for (const { value } of keptEvents) {
    const { id, jobId, name: about, key, createdAt, idempotencyKey: once } =
      events.unpack(value).record;
    expected.push(name(["kept", id]), name(["age", createdAt, id]));
    expected.push(
      jobId === null
        ? name(["all", about, key ?? "", createdAt, id])
        : name(["run", jobId, createdAt, id]),
    );
    if (jobId !== null) assertEquals(ids.has(jobId), true, `an event of ${jobId}, which is gone`);
    if (once !== null) expected.push(name(["once", jobId ?? "", about, once]));
  }
  assertEquals(names("event"), sorted(expected), "events");

  // Pieces are of what there is.
  const owners = new Map<string, Record<string, number>>();
  const own = (id: string, value: unknown) => {
    const { pieces = {} } = decode<{ pieces?: Record<string, number> }>(value);
    owners.set(id, { ...owners.get(id), ...pieces });
  };
  for (const part of ["w", "f", "a", "run"]) {
    for (const { rest, value } of section(part)) own(rest[0] as string, value);
  }
  for (const part of ["step", "open"]) {
    for (const { rest, value } of section(part)) own(name(rest), value);
  }
  for (const { rest, value } of section("l")) own(rest[1] as string, value);
  for (const { rest, value } of keptEvents) own(rest[1] as string, value);
  const pieces = [...owners].flatMap(([id, fields]) =>
    Object.entries(fields).flatMap(([field, n]) =>
      Array.from({ length: n }, (_, i) => name([id, field, i]))
    )
  );
  assertEquals(names("b"), sorted(pieces), "pieces");
}
