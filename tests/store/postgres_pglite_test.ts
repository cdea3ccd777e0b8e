import { PGlite } from "@electric-sql/pglite";
import { afterAll, describe, it } from "@std/testing/bdd";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { testStore } from "../../src/testing/mod.ts";

const ONE = "PGlite has one connection, so nothing happens at the same time";

/** Cases of concurrency: they pass, but what they look for cannot happen here. */
const CONCURRENT = [
  "workers that claim at the same time get each job once",
  "many claims at the same time over one handle get each job once",
  "jobs that are enqueued while others claim are all claimed, each once",
  "a lease that is settled while it is rescued ends in one of the two, never in both",
  "claims and rescues at the same time never give one job to two workers",
  "settlements of one lease at the same time: exactly one counts",
  "a job that is cancelled while it is claimed is either cancelled or told so",
  "a queue's concurrency holds for workers that claim at the same time",
  "rescuers that run at the same time take each lease back once",
  "of many that enqueue the same unique key at once exactly one gets its job",
  "of many that replay a letter at once exactly one makes a job",
];

describe("postgresStore() over PGlite", () => {
  let client: PGlite | undefined;
  let schemas = 0;

  afterAll(async () => await client?.close());

  testStore({
    name: "pglite",
    test: it,
    open: async ({ clock }) => {
      client ??= await PGlite.create();
      const schema = `case_${++schemas}`;
      const open = () => postgresStore(client!, { clock, schema });
      return { store: open(), peer: () => Promise.resolve(open()) };
    },
    skip: Object.fromEntries(CONCURRENT.map((name) => [name, ONE])),
  });
});
