/**
 * Checks the package in `npm/`, whichever tool has built it: publint, the types by
 * `@arethetypeswrong/cli`, and how large it is. `--dir=folder` checks another one.
 */

import { parseArgs } from "node:util";
import { runTool } from "./package/run.ts";
import { ROOT } from "./package/stage.ts";

/** What runs jobs, minified, without the client of a store or other packages. */
const CORE_LIMIT = 60_000;

const { dir } = parseArgs({
  args: Deno.args,
  options: { dir: { type: "string", default: `${ROOT}npm` } },
}).values;
const [tarball] = [...Deno.readDirSync(dir)].map((entry) => entry.name)
  .filter((name) => name.endsWith(".tgz"));
if (tarball === undefined) throw new Error(`Cannot find a tarball in ${dir}: run deno task npm`);

await runTool("publint@0.3.25", ["--strict", "--pack", "false", "."], dir);
console.log("npm: publint has nothing to say");
await runTool("@arethetypeswrong/cli@0.18.5", [
  tarball,
  ...["--profile", "esm-only", "--no-emoji"],
  ...["--exclude-entrypoints", "./package.json"],
], dir);
console.log("npm: the types are found, and are those of ES modules");

const scratch = await Deno.makeTempDir({ prefix: "dispatch-size-" });
try {
  const { exports } = JSON.parse(await Deno.readTextFile(`${dir}/package.json`));
  const entry = (name: string) => `${dir}/${exports[name].default.slice(2)}`;
  const folder = entry(".").slice(0, entry(".").lastIndexOf("/"));
  const core = await minified(`
    export { Engine } from "${folder}/src/engine/engine.js";
    export { defineJob } from "${folder}/src/engine/definition.js";
    export { memoryStore } from "${folder}/src/store/memory/store.js";`);
  const whole = await minified(`export * from "${entry(".")}";`);
  const size = (text: string) => `${(text.length / 1000).toFixed(1)} KB`;
  console.log(`npm: minified, the engine and its memory store are ${size(core)};`);
  console.log(`npm: with HTTP, YAML and the Postgres store it is ${size(whole)}`);
  if (core.length > CORE_LIMIT) {
    console.error(`npm: the limit of the engine is ${CORE_LIMIT / 1000} KB`);
    Deno.exitCode = 1;
  }
} finally {
  await Deno.remove(scratch, { recursive: true });
}

/** A bundle of our own code: other packages stay outside of it. */
async function minified(code: string): Promise<string> {
  await Deno.writeTextFile(`${scratch}/entry.js`, code);
  await runTool("esbuild@0.28.2", [
    ...["entry.js", "--bundle", "--minify", "--format=esm", "--packages=external"],
    "--outfile=out.js",
  ], scratch);
  return await Deno.readTextFile(`${scratch}/out.js`);
}
