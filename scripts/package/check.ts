/**
 * Checks an npm package that was built, whichever tool has built it: publint, the types by
 * `@arethetypeswrong/cli`, and how large it is.
 */

import { runTool } from "./run.ts";

/** Bytes of what runs jobs, minified, without the client of a store and other packages. */
const CORE_LIMIT = 60_000;

/**
 * Checks the package in a folder, with its tarball beside it. Returns what there is to say.
 *
 * @throws {Error} for the first thing that is wrong
 */
export async function checkPackage(dir: string, tarball: string): Promise<string[]> {
  await runTool("publint@0.3.25", ["--strict", "--pack", "false", "."], dir);
  await runTool("@arethetypeswrong/cli@0.18.5", [
    tarball,
    ...["--profile", "esm-only", "--no-emoji", "--exclude-entrypoints", "./package.json"],
  ], dir);

  const { exports } = JSON.parse(await Deno.readTextFile(`${dir}/package.json`));
  const entry = `${dir}/${exports["."].default.slice(2)}`;
  const src = `${entry.slice(0, entry.lastIndexOf("/"))}/src`;
  const core = await minified(`
    export { Engine } from "${src}/engine/engine.js";
    export { defineJob } from "${src}/engine/definition.js";
    export { memoryStore } from "${src}/store/memory/store.js";`);
  const whole = await minified(`export * from "${entry}";`);
  if (core > CORE_LIMIT) {
    throw new Error(`The engine has ${core} bytes when minified; the limit is ${CORE_LIMIT}`);
  }
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} KB`;
  return [
    "publint and @arethetypeswrong/cli have nothing to say",
    `minified, the engine with its memory store is ${kilobytes(core)}, ` +
    `with HTTP, YAML and every store ${kilobytes(whole)}`,
  ];
}

/** Size of a bundle of our own code, in bytes: other packages stay outside of it. */
async function minified(code: string): Promise<number> {
  const scratch = await Deno.makeTempDir({ prefix: "dispatch-size-" });
  try {
    await Deno.writeTextFile(`${scratch}/entry.js`, code);
    await runTool("esbuild@0.28.2", [
      ...["entry.js", "--bundle", "--minify", "--format=esm", "--packages=external"],
      "--outfile=out.js",
    ], scratch);
    return (await Deno.stat(`${scratch}/out.js`)).size;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
