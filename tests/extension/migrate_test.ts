import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import { EXIT, migrateCommand } from "../../src/extension/migrate_command.ts";
import { createDatabase, type TestDatabase } from "../postgres.ts";

let database: TestDatabase;
beforeAll(async () => (database = await createDatabase()));
afterAll(() => database[Symbol.asyncDispose]());

/** Runs the command, and returns all that it said. */
async function run(args: string[], environment: Record<string, string> = {}) {
  const printed: string[] = [];
  const complaints: string[] = [];
  const code = await migrateCommand({
    args,
    environment: (name) => environment[name],
    print: (line) => void printed.push(line),
    complain: (line) => void complaints.push(line),
  });
  return { code, printed: printed.join("\n"), complaints: complaints.join("\n") };
}

describe("dispatch migrate", () => {
  it("takes an empty database to the latest version, and then finds nothing to do", async () => {
    const call = ["--url", database.url, "--schema", "fresh"];
    const missing = await run([...call, "--status"]);
    assertEquals(missing.code, EXIT.pending);
    assertMatch(missing.printed, /^Schema fresh is at version 0 of \d+\n {2}1 {2}missing: /);
    const first = await run(call);
    assertEquals([first.code, first.complaints], [EXIT.done, ""]);
    assertMatch(first.printed, /^Schema fresh went from version 0 to \d+$/);
    assertMatch((await run(call)).printed, /^Schema fresh is at version \d+: nothing to do$/);
    const there = await run([...call, "--status"]);
    assertEquals(there.code, EXIT.done);
    assertMatch(there.printed, /\n {2}1 {2}applied \d{4}-\d\d-\d\dT/);
  });

  it("prints with --dry-run what it would run, and runs nothing of it", async () => {
    const call = [`--url=${database.url}`, "--schema=dry"];
    const { code, printed } = await run([...call, "--dry-run"]);
    assertEquals(code, EXIT.done);
    assertStringIncludes(printed, `create table "dry".jobs`);
    assertEquals((await run([...call, "--status"])).code, EXIT.pending);
  });

  it("reads DATABASE_URL", async () => {
    const { code } = await run(["--schema", "by_env"], { DATABASE_URL: database.url });
    assertEquals(code, EXIT.done);
  });

  it("may be run by ten at once on an empty schema", async () => {
    const call = ["--url", database.url, "--schema", "crowded"];
    const runs = await Promise.all(Array.from({ length: 10 }, () => run(call)));
    assertEquals(runs.map(({ code }) => code), runs.map(() => EXIT.done));
    assertEquals(runs.filter(({ printed }) => printed.includes("went from")).length, 1);
  });

  it("refuses a database that is newer than the code, and one that other code made", async () => {
    const call = ["--url", database.url, "--schema", "future"];
    await run(call);
    const sql = postgres(database.url, { max: 1 });
    await sql`insert into future.migrations (version, title, checksum) values (99, 'x', 'y')`;
    const newer = await run(call);
    assertEquals(newer.code, EXIT.failed);
    assertStringIncludes(newer.complaints, "Cannot use the schema future: it has version 99");
    await sql`delete from future.migrations where version = 99`;
    await sql`update future.migrations set checksum = 'y'`;
    assertStringIncludes((await run(call)).complaints, "was made by other code");
    await sql.end();
  });

  const calls: [string[], string][] = [
    [[], "or set DATABASE_URL"],
    [["--url", "postgres://x/y", "--schema", "Upper"], 'Cannot use "Upper" as a schema'],
    [["--url", "postgres://x/y", "--to", "one"], 'Cannot go to version "one"'],
    [["--url", "postgres://x/y", "--status", "--dry-run"], "Cannot do both"],
    [["--url", "postgres://x/y", "--config", "forge.yaml"], "Cannot use both --url and --config"],
    [["--config", "nowhere/forge.yaml"], "Cannot find the configuration file nowhere/forge.yaml"],
    [["--verbose"], "--verbose"],
    [["extra"], "extra"],
  ];
  for (const [args, told] of calls) {
    it(`is called wrongly with ${args.join(" ") || "nothing"}`, async () => {
      const { code, complaints } = await run(args);
      assertEquals(code, EXIT.usage);
      assertStringIncludes(complaints, told);
      assertStringIncludes(complaints, "Try --help.");
    });
  }

  it("is called wrongly with a version that there is not", async () => {
    const { code, complaints } = await run(["--url", database.url, "--to", "999"]);
    assertEquals(code, EXIT.usage);
    assertStringIncludes(complaints, "Cannot go to version 999");
  });

  it("fails with what is wrong where the database cannot be reached or the URL is none", async () => {
    const away = await run(["--url", "postgres://127.0.0.1:1/x"]);
    assertEquals(away.code, EXIT.failed);
    assertStringIncludes(away.complaints, "Cannot reach the database");
    assertEquals((await run(["--url", "mysql://x/y"])).code, EXIT.failed);
  });
});
