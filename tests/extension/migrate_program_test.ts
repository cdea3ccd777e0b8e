/** The `migrate` command as what it is to its users: a program with arguments, files and a status. */

import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import { postgresStore } from "../../src/extension/postgres.ts";
import { errorOf } from "../harness.ts";
import { createDatabase, type TestDatabase } from "../postgres.ts";
import { directoryOf, make } from "./harness.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const MAP = `${ROOT}scripts/npm_imports.json`;
const PROGRAM = [`--import-map=${MAP}`, `${ROOT}src/extension/migrate.ts`];

let database: TestDatabase;
beforeAll(async () => (database = await createDatabase()));
afterAll(() => database[Symbol.asyncDispose]());

interface Run {
  readonly env?: Record<string, string>;
  /** Files of the directory that it runs in. */
  readonly files?: Record<string, string>;
  /** What Deno is asked for instead of running the program. */
  readonly deno?: readonly string[];
}

/** Runs the program: its status, and what it has written to either stream. */
async function run(args: readonly string[], { env, files, deno }: Run = {}) {
  using directory = directoryOf(files ?? {});
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...(deno ?? ["run", "-A", "--quiet", "--no-check", ...PROGRAM]), ...args],
    cwd: deno === undefined ? directory.path : ROOT,
    env: { NO_COLOR: "1", DATABASE_URL: "", ...env },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
  return { code, out: text(stdout), err: text(stderr) };
}

const url = () => ["--url", database.url];

describe("the program `migrate`", () => {
  it("tells its options and statuses with --help", async () => {
    const { code, out, err } = await run(["--help"]);
    assertEquals([code, err], [0, ""]);
    for (
      const flag of ["--url", "--config", "--schema", "--to", "--status", "--dry-run", "--help"]
    ) assertStringIncludes(out, flag);
    assertMatch(out, /Exit status: 0 done, 1 failed, 2 .* wrongly, 3 with --status/);
  });

  it("says where a schema stands, prints what it would run, runs it, and has then no more to do", async () => {
    const schema = ["--schema", "stages"];
    assertEquals((await run([...url(), ...schema, "--status"])).code, 3);
    const dry = await run([...url(), ...schema, "--dry-run"]);
    assertEquals(dry.code, 0);
    assertStringIncludes(dry.out, 'create table "stages".jobs');
    const none = await run([...url(), ...schema, "--to", "0"]);
    assertEquals([none.code, none.out], [0, "Schema stages is at version 0: nothing to do"]);
    const done = await run([...url(), ...schema, "--to", "1"]);
    assertEquals([done.code, done.out], [0, "Schema stages went from version 0 to 1"]);
    const status = await run([...url(), ...schema, "--status"]);
    assertMatch(status.out, /^Schema stages is at version \d+ of \d+\n/);
  });

  it("fails on a database that is newer than the code, and on one that is not there", async () => {
    const schema = ["--schema", "future"];
    await run([...url(), ...schema]);
    const sql = postgres(database.url, { max: 1 });
    await sql`insert into future.migrations (version, title, checksum) values (99, 'x', 'y')`;
    await sql.end();
    for (const mode of [[], ["--status"], ["--dry-run"]]) {
      const newer = await run([...url(), ...schema, ...mode]);
      assertEquals([newer.code, newer.out], [1, ""]);
      assertStringIncludes(newer.err, "it has version 99, this code knows");
      assertStringIncludes(newer.err, "Deploy the release");
    }
    const away = await run(["--url", "postgres://127.0.0.1:1/x"]);
    assertEquals(away.code, 1);
    assertStringIncludes(away.err, "Cannot reach the database");
  });

  it("refuses what it does not understand", async () => {
    for (
      const args of [["--verbose"], [...url(), "--config", "a"], [...url(), "--to", "x"], []]
    ) {
      const { code, err } = await run(args);
      assertEquals(code, 2, err);
      assertStringIncludes(err, "Try --help.");
    }
  });

  it("is what `deno task migrate` runs, on the database of DATABASE_URL", async () => {
    const { code, out } = await run(["--schema", "by_task"], {
      deno: ["task", "--quiet", "migrate"],
      env: { DATABASE_URL: database.url },
    });
    assertEquals(code, 0);
    assertMatch(out, /^Schema by_task went from version 0 to \d+$/);
  });

  it("takes the database that the configuration of the application means", async () => {
    const yaml = `
extensions:
  dispatch: { grove_database: jobs, concurrency: 5 }
  grove:
    databases:
      - { name: main, driver: postgres, dsn: "postgres://127.0.0.1:1/none" }
      - { name: jobs, driver: postgres, dsn: "\${JOBS_URL}" }
`;
    const { out, err } = await run(
      ["--config", "forge.yaml", "--schema", "by_config"],
      { files: { "forge.yaml": yaml }, env: { JOBS_URL: database.url } },
    );
    assertEquals(err, "");
    assertMatch(out, /^Schema by_config went from version 0 to \d+$/);
  });

  it("is named by the refusal of an outdated schema, in two commands that both work", async () => {
    for (const schema of ["dispatch", "jobs"]) {
      const store = postgresStore(database.url, { schema });
      const off = { store, disableMigrate: true };
      for (const kind of ["clone", "jsr"]) {
        if (kind === "jsr") await dropSchema(schema);
        const error = await errorOf(() => make(off).start());
        assertEquals(error.code, "schema_outdated");
        const [jsr, clone] = error.hint.match(/`deno [^`]+`/g)!
          .map((quoted) => quoted.slice(1, -1).replace("postgres://…", database.url).split(" "));
        const [, ...command] = kind === "clone" ? clone : jsr;
        const { code, err } = await run([], { deno: kind === "clone" ? command : onNpm(command) });
        assertEquals([code, err.includes("error")], [0, false], err);
        await using ext = make(off);
        await ext.start();
      }
      await store.close();
    }
  });
});

async function dropSchema(schema: string): Promise<void> {
  const sql = postgres(database.url, { max: 1, onnotice() {} });
  await sql`drop schema ${sql(schema)} cascade`;
  await sql.end();
}

/**
 * The command as it is printed, with an import map in place of JSR: it leads the version of this
 * package to what `deno.json` exports.
 */
function onNpm([run, ...rest]: string[]): string[] {
  const { name, version, exports } = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));
  const { imports } = JSON.parse(Deno.readTextFileSync(MAP));
  const absolute = Object.entries(imports as Record<string, string>).map(([from, to]) =>
    [from, to.startsWith(".") ? new URL(to, `file://${MAP}`).href : to] as const
  );
  const map = JSON.stringify({
    imports: {
      ...Object.fromEntries(absolute),
      [`jsr:${name}@${version}/migrate`]: new URL(exports["./migrate"], `file://${ROOT}`).href,
    },
  });
  return [run, `--import-map=data:application/json,${encodeURIComponent(map)}`, ...rest];
}
