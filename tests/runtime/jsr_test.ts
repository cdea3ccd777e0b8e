/**
 * The package as someone uses it who has Deno and nothing else: imported as `jsr:@dispatch/dispatch`
 * into a project of its own, from a registry that speaks JSR's protocol.
 */

import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { type JsrServer, serveJsr } from "../../scripts/jsr/server.ts";
import { run } from "../../scripts/package/run.ts";
import { CONFIG, NPM_VERSIONS, ROOT } from "../../scripts/package/stage.ts";
import { createDatabase } from "../postgres.ts";

const project = await Deno.makeTempDir({ prefix: "dispatch-deno-" });
const { name } = CONFIG;
let registry: JsrServer;

beforeAll(async () => {
  registry = await serveJsr();
  for (const entry of Deno.readDirSync(`${ROOT}tests/runtime/deno`)) {
    await Deno.copyFile(`${ROOT}tests/runtime/deno/${entry.name}`, `${project}/${entry.name}`);
  }
  const imports = { [name]: `jsr:${name}@^${CONFIG.version}`, "@hono/hono": hono };
  const tasks = { migrate: `deno run -A jsr:${name}/migrate` };
  await Deno.writeTextFile(`${project}/deno.json`, JSON.stringify({ imports, tasks }));
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await Deno.remove(project, { recursive: true });
});

const hono = `npm:hono@${NPM_VERSIONS.hono}`;

function deno(...args: string[]): Promise<string> {
  return run(Deno.execPath(), args, project, { JSR_URL: registry.url });
}

describe("the package of JSR", () => {
  it("is mounted in a Hono app, runs a job and a workflow, and shows them over HTTP", async () => {
    const said = await deno("run", "-A", "--check", "app.ts");
    assertStringIncludes(said, "completed Hello, Ada!");
    assertStringIncludes(said, "completed Welcome, Ada!");
  });

  for (const entry of Object.keys(CONFIG.exports).filter((entry) => entry !== "./migrate")) {
    it(`has the entry point ${entry}, with types`, async () => {
      const program = `import * as module from "jsr:${name}${entry.slice(1)}";
        console.log(Object.keys(module).sort().join());`;
      await Deno.writeTextFile(`${project}/entry.ts`, program);
      const here = await import(`file://${ROOT}${CONFIG.exports[entry]}`);
      const said = await deno("run", "--quiet", "-A", "--check", "entry.ts");
      assertEquals(said.trim(), Object.keys(here).sort().join());
    });
  }

  it("brings the conformance suite of stores along", async () => {
    assertMatch(await deno("test", "--quiet", "conformance_check.ts"), /ok \| \d{3} passed/);
  });

  it("migrates a database: by its name, and by the task of a project", async () => {
    await using database = await createDatabase();
    const command = ["run", "-A", "--quiet", `jsr:${name}/migrate`, "--url", database.url];
    await assertRejects(() => deno(...command, "--status"), Error, "ended with 3");
    assertMatch(await deno(...command), /^Schema dispatch went from version 0 to \d+\n$/);
    assertMatch(await deno(...command), /nothing to do/);
    const task = ["task", "--quiet", "migrate", "--url", database.url, "--schema", "second"];
    assertMatch(await deno(...task), /^Schema second went from version 0 to \d+\n$/);
  });
});
