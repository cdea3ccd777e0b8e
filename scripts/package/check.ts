/**
 * Checks an npm package that was built, whichever tool has built it: publint, the types by
 * `@arethetypeswrong/cli`, and how large it is.
 */

import { runTool } from "./run.ts";

/**
 * Bytes that are loaded, minified, for what an application may start with. Other packages do not
 * count, and neither do stores that are loaded when they are wanted. Workflows, which the engine and
 * the memory store bring along, are 40,000 of each.
 */
const LIMITS = { core: 105_000, extension: 150_000 };

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
  const sizes = {
    core: await minified(`
      export { Engine } from "${src}/engine/engine.js";
      export { defineJob } from "${src}/engine/definition.js";
      export { memoryStore } from "${src}/store/memory/store.js";`),
    // Not by the entry point: of what that names, too, esbuild loads the KV store at once.
    extension: await minified(`
      export { createExtension } from "${src}/extension/extension.js";
      export { defineJob } from "${src}/engine/definition.js";`),
    whole: await minified(`export * from "${entry}";`),
  };
  for (const [what, limit] of Object.entries(LIMITS)) {
    const size = sizes[what as keyof typeof LIMITS];
    if (size > limit) throw new Error(`The ${what} has ${size} bytes; the limit is ${limit}`);
  }
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} KB`;
  return [
    "publint and @arethetypeswrong/cli have nothing to say",
    `minified, the engine with its memory store is ${kilobytes(sizes.core)}, ` +
    `createExtension with HTTP and YAML ${kilobytes(sizes.extension)}, ` +
    `everything with every store ${kilobytes(sizes.whole)}`,
  ];
}

/** What esbuild tells of the files that it has written. */
interface Metafile {
  readonly outputs: Record<string, {
    readonly bytes: number;
    readonly imports: readonly { readonly path: string; readonly kind: string }[];
  }>;
}

/** Bytes of our own code in a bundle that are loaded at once: all but what `import()` asks for. */
async function minified(code: string): Promise<number> {
  const scratch = await Deno.makeTempDir({ prefix: "dispatch-size-" });
  try {
    await Deno.writeTextFile(`${scratch}/entry.js`, code);
    await runTool("esbuild@0.28.2", [
      ...["entry.js", "--bundle", "--minify", "--format=esm", "--packages=external"],
      ...["--splitting", "--outdir=out", "--metafile=meta.json"],
    ], scratch);
    const meta: Metafile = JSON.parse(await Deno.readTextFile(`${scratch}/meta.json`));
    const loaded = new Set(["out/entry.js"]);
    for (const path of loaded) {
      for (const { path: other, kind } of meta.outputs[path].imports) {
        if (kind === "import-statement" && other in meta.outputs) loaded.add(other);
      }
    }
    return [...loaded].reduce((sum, path) => sum + meta.outputs[path].bytes, 0);
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}
