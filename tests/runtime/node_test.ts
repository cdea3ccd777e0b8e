/**
 * The npm package as someone uses it in Node: built, installed from its tarball into a project of its
 * own, and tried with `node:test`. `DISPATCH_TARBALL` names a tarball that was built before, by dnt
 * for instance; `DISPATCH_NODES=22,24` adds versions of Node, which come from npm.
 */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import { linkedFiles } from "../../scripts/package/readme.ts";
import { run } from "../../scripts/package/run.ts";
import { CONFIG, NPM_VERSIONS, ROOT } from "../../scripts/package/stage.ts";
import { createDatabase, type TestDatabase } from "../postgres.ts";

const versions = Deno.env.get("DISPATCH_NODES")?.split(",") ?? [];
const hasNode = await run("npm", ["--version"], ROOT).then(() => true, () => false);
const project = await Deno.makeTempDir({ prefix: "dispatch-node-" });

let database: TestDatabase | undefined;
beforeAll(async () => {
  if (!hasNode) return;
  database = await createDatabase();
  for (const { name } of Deno.readDirSync(`${ROOT}tests/runtime/node`)) {
    await Deno.copyFile(`${ROOT}tests/runtime/node/${name}`, `${project}/${name}`);
  }
  await Deno.copyFile(`${ROOT}examples/14_node_app/main.mjs`, `${project}/main.mjs`);
  await Deno.writeTextFile(`${project}/every_export.ts`, await everyExport());
  const packages = [
    await tarball(),
    `@deno/kv@${NPM_VERSIONS["@deno/kv"]}`,
    ...versions.map((version) => `node${version}@npm:${nodePackage()}@${version}`),
  ];
  await run("npm", ["install", "--no-audit", "--no-fund", "--silent", ...packages], project);
});
afterAll(async () => {
  await database?.[Symbol.asyncDispose]();
  await Deno.remove(project, { recursive: true });
});

/** The tarball to install: one that is named, or one that is built now. */
async function tarball(): Promise<string> {
  const given = Deno.env.get("DISPATCH_TARBALL");
  if (given !== undefined) return await Deno.realPath(given);
  const out = `${project}/package`;
  const said = await run(
    Deno.execPath(),
    ["run", "-A", "--quiet", "scripts/build_npm.ts", "--tool=pack", `--out=${out}`],
    ROOT,
  );
  assertMatch(
    said,
    /built with deno pack[^]*nothing to say[^]*the engine with its memory store \d/,
  );
  const [name] = [...Deno.readDirSync(out)].map(({ name }) => name).filter((name) =>
    name.endsWith(".tgz")
  );
  return `${out}/${name}`;
}

/** A program that names every export: all as types, and as values those that are. */
async function everyExport(): Promise<string> {
  const program: string[] = [];
  for (const [entry, path] of Object.entries(CONFIG.exports)) {
    if (entry === "./migrate") continue; // a command: to import it is to run it
    const specifier = JSON.stringify(CONFIG.name + entry.slice(1));
    const doc = JSON.parse(
      await run(Deno.execPath(), [
        ...["doc", "--json", "--quiet", "--import-map=scripts/npm_imports.json", path],
      ], ROOT),
    );
    const [{ symbols }] = Object.values<{ symbols: { name: string }[] }>(doc.nodes);
    const names = symbols.map(({ name }) => name);
    const values = Object.keys(await import(`file://${ROOT}${path}`));
    const alias = `values_of_${entry.replaceAll(/\W/g, "")}`;
    program.push(
      `export type { ${names.map((name) => `${name} as ${name}_${alias}`)} } from ${specifier};`,
      `import * as ${alias} from ${specifier};`,
      `export const all_${alias}: unknown[] = [${values.map((name) => `${alias}.${name}`)}];`,
    );
  }
  return program.join("\n");
}

/** The package of npm that holds the program `node` for this machine. */
function nodePackage(): string {
  return `node-${Deno.build.os}-${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`;
}

/** Runs files of tests in the project, one after the other: some of their cases wait for real time. */
async function nodeTest(node: string, files: readonly string[]): Promise<void> {
  const path = node === "" ? Deno.env.get("PATH")! : `${node}:${Deno.env.get("PATH")}`;
  const env = { PATH: path, DATABASE_URL: database!.url };
  const said = await run(
    "node",
    ["--test", "--test-concurrency=1", "--test-reporter=tap", ...files],
    project,
    env,
  )
    .catch((error) => {
      const failed = error.message.match(/^ *not ok [^]*?^ *\.\.\.$/gm)?.join("\n");
      throw new Error(failed ?? error.message);
    });
  const count = (what: string) => Number(new RegExp(`^# ${what} (\\d+)$`, "m").exec(said)?.[1]);
  assertEquals([count("fail"), count("pass") > 0], [0, true], said);
}

const FILES: Record<string, string[]> = {
  "is imported by every entry point, without Deno": ["imports.mjs"],
  "serves, and stops, under @hono/node-server": ["server_checks.mjs"],
  "migrates from the command line": ["migrate.mjs"],
  "passes the suite of stores with pg, postgres.js and in memory": [
    ...["store_memory.mjs", "store_pg.mjs", "store_postgres.mjs"],
  ],
  "passes the suite of stores with @deno/kv": ["store_kv.mjs"],
};

describe("the npm package", () => {
  if (!hasNode) {
    it("is not tried: there is no npm on this machine", () => {});
    return;
  }
  it("passes tsc --strict in a program that uses every export", async () => {
    await run("npx", ["--no-install", "tsc", "--project", "tsconfig.json"], project);
  });

  it("holds every file that its README links to", async () => {
    const folder = `${project}/node_modules/${CONFIG.name}`;
    const links = linkedFiles(await Deno.readTextFile(`${folder}/README.md`));
    assert(links.includes("src/guides/jobs.md"));
    for (const path of links) assert((await Deno.stat(`${folder}/${path}`)).isFile, path);
  });

  for (const version of ["", ...versions]) {
    const node = version === "" ? "" : `${project}/node_modules/node${version}/bin`;
    describe(`in ${version === "" ? "the Node of this machine" : `Node ${version}`}`, () => {
      for (const [what, files] of Object.entries(FILES)) it(what, () => nodeTest(node, files));
    });
  }
});
