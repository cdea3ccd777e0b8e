/**
 * Checks an npm package that was built, whichever tool has built it: publint, the types by
 * `@arethetypeswrong/cli`, and how large it is.
 */

import { runTool } from "./run.ts";

/**
 * Bytes that are loaded at once, minified, for what an application may start with. Other packages do
 * not count, and neither does what is loaded when it is wanted: see {@link ON_DEMAND}.
 */
const LIMITS = { core: 60_000, extension: 100_000 };

/**
 * What is loaded when it is wanted: the modules that `import()` asks for, that of the engine and that
 * of the memory store.
 */
const ON_DEMAND: Record<string, [string, string]> = {
  "workflows": ["engine/run_engine.js", "store/memory/runs.js"],
  "engine.jobs, .dlq, .queues, .stats() and .result()": [
    "engine/admin.js",
    "store/memory/admin.js",
  ],
};

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
  const core = await measure(`
    export { Engine } from "${src}/engine/engine.js";
    export { defineJob } from "${src}/engine/definition.js";
    export { memoryStore } from "${src}/store/memory/store.js";`);
  // Not by the entry point: of what that names, too, esbuild loads the KV store at once.
  const extension = await measure(`
    export { createExtension } from "${src}/extension/extension.js";
    export { defineJob } from "${src}/engine/definition.js";`);
  const whole = await measure(`export * from "${entry}";`);
  for (const [what, { atOnce, modules }] of Object.entries({ core, extension })) {
    const limit = LIMITS[what as keyof typeof LIMITS];
    if (atOnce > limit) throw new Error(`The ${what} has ${atOnce} bytes; the limit is ${limit}`);
    const early = modules.filter((path) => path.includes("/workflow/"));
    if (early.length > 0) throw new Error(`The ${what} loads ${early} without a workflow`);
  }
  return [
    "publint and @arethetypeswrong/cli have nothing to say",
    `minified and loaded at once: the engine with its memory store ${kilobytes(core.atOnce)}, ` +
    `createExtension with HTTP and YAML ${kilobytes(extension.atOnce)}`,
    `loaded when it is wanted: ${
      Object.entries(ON_DEMAND).map(([what, paths]) => {
        const [own, memory] = paths.map((path) => {
          const bytes = core.onDemand.get(path);
          if (bytes === undefined) throw new Error(`The core does not load ${path} on demand`);
          return kilobytes(bytes);
        });
        return `${what} ${own}, and ${memory} for the memory store`;
      }).join("; ")
    }`,
    `all in one file: the engine with its memory store ${kilobytes(core.inOneFile)}, ` +
    `createExtension with every store ${kilobytes(extension.inOneFile)}, ` +
    `the whole package ${kilobytes(whole.inOneFile)}`,
  ];
}

function kilobytes(bytes: number): string {
  return `${(bytes / 1000).toFixed(1)} KB`;
}

/** What esbuild tells of the files that it has written. */
interface Metafile {
  readonly outputs: Record<string, {
    readonly bytes: number;
    /** The module that `import()` asks for, where the file is loaded by that. */
    readonly entryPoint?: string;
    readonly inputs: Record<string, unknown>;
    readonly imports: readonly { readonly path: string; readonly kind: string }[];
  }>;
}

/** How many bytes of our own there are in a bundle. */
interface Measured {
  readonly atOnce: number;
  /** The modules of these. */
  readonly modules: readonly string[];
  /** What comes with each `import()`, by the end of its path, beside what is there by then. */
  readonly onDemand: ReadonlyMap<string, number>;
  /** By a bundler that makes one file of everything. */
  readonly inOneFile: number;
}

async function measure(code: string): Promise<Measured> {
  const scratch = await Deno.makeTempDir({ prefix: "dispatch-size-" });
  try {
    await Deno.writeTextFile(`${scratch}/entry.js`, code);
    const bundle = async (...options: string[]): Promise<Metafile["outputs"]> => {
      await runTool("esbuild@0.28.2", [
        ...["entry.js", "--bundle", "--minify", "--format=esm", "--packages=external"],
        ...["--metafile=meta.json", ...options],
      ], scratch);
      return JSON.parse(await Deno.readTextFile(`${scratch}/meta.json`)).outputs;
    };
    const one = await bundle("--outfile=one.js");
    const files = await bundle("--splitting", "--outdir=out");
    const sum = (paths: string[]) => paths.reduce((bytes, path) => bytes + files[path].bytes, 0);
    const atOnce = loadedWith("out/entry.js", files);
    const onDemand = new Map<string, number>();
    for (const [path, { entryPoint }] of Object.entries(files)) {
      if (entryPoint === undefined || atOnce.has(path)) continue;
      const added = [...loadedWith(path, files)].filter((other) => !atOnce.has(other));
      onDemand.set(entryPoint.slice(entryPoint.indexOf("src/") + "src/".length), sum(added));
    }
    return {
      atOnce: sum([...atOnce]),
      modules: [...atOnce].flatMap((path) => Object.keys(files[path].inputs)),
      onDemand,
      inOneFile: one["one.js"].bytes,
    };
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** A file, and all that are loaded with it: not what `import()` asks for. */
function loadedWith(path: string, files: Metafile["outputs"]): Set<string> {
  const loaded = new Set([path]);
  for (const one of loaded) {
    for (const { path: other, kind } of files[one].imports) {
      if (kind === "import-statement" && other in files) loaded.add(other);
    }
  }
  return loaded;
}
