/**
 * Builds the npm package, and checks it: `deno task npm`. It leaves the package in `npm/`, and its
 * tarball beside it. dnt compiles it where JSR can be reached, `deno pack` elsewhere; `--tool=dnt` and
 * `--tool=pack` insist on one, `--out=folder` builds in another place.
 */

import { parseArgs } from "node:util";
import { checkPackage } from "./package/check.ts";
import { compileWithDnt, compileWithPack, loadDnt } from "./package/compile.ts";
import { manifest, type Target } from "./package/manifest.ts";
import { shippedReadme } from "./package/readme.ts";
import { runTool } from "./package/run.ts";
import { rewriteImports, ROOT, stage, type Staged } from "./package/stage.ts";

const { tool, out } = parseArgs({
  args: Deno.args,
  options: { tool: { type: "string" }, out: { type: "string", default: `${ROOT}npm` } },
}).values;

await Deno.remove(out, { recursive: true }).catch(() => {});
await Deno.mkdir(out, { recursive: true });
await using staged = await stage();
const used = await compile(staged);
const exports = await readExports();
const imported = await finishModules();
await Deno.writeTextFile(
  `${out}/package.json`,
  JSON.stringify(manifest(exports, imported), null, 2) + "\n",
);
const documents = staged.files.filter((path) => !path.endsWith(".ts"));
await Deno.mkdir(`${out}/src/guides`, { recursive: true }); // where the README links to
for (const path of documents) await Deno.copyFile(`${staged.dir}/${path}`, `${out}/${path}`);
const readme = await Deno.readTextFile(`${ROOT}README.md`);
await Deno.writeTextFile(
  `${out}/README.md`,
  shippedReadme(readme, (path) => documents.includes(path), staged.config),
);
const tarball = (await runTool("npm@11.6.2", ["pack", "--silent"], out)).trim();
console.log(`npm: built with ${used}: ${out}/${tarball}`);
for (const line of await checkPackage(out, tarball)) console.log(`npm: ${line}`);

async function compile(staged: Staged): Promise<string> {
  if (tool !== undefined && tool !== "dnt" && tool !== "pack") {
    throw new Error(`Cannot build with ${tool}: expected dnt or pack`);
  }
  const dnt = tool === "pack" ? null : await loadDnt();
  if (dnt !== null) {
    await compileWithDnt(dnt, staged, out!);
    return "dnt";
  }
  if (tool === "dnt") throw new Error("Cannot load dnt: it comes from JSR");
  await compileWithPack(staged, out!);
  return tool === "pack" ? "deno pack" : "deno pack, since JSR cannot be reached for dnt";
}

/** Where the compiler has put the entry points: as text, or by condition, nested or not. */
async function readExports(): Promise<Record<string, Target>> {
  const { exports } = JSON.parse(await Deno.readTextFile(`${out}/package.json`));
  const code = (target: string | Record<string, string>): string =>
    typeof target === "string" ? target : code(target.import ?? target.default);
  return Object.fromEntries(
    Object.entries<string | Record<string, string>>(exports).map(([name, target]) => {
      const path = code(target);
      return [name, { types: path.replace(/\.js$/, ".d.ts"), default: path }];
    }),
  );
}

/**
 * Goes over every module: what `npm:` is left becomes the name of a package, in the examples of
 * comments Hono is called as Node knows it, and the command gets the line that makes it one.
 * Returns the packages that are imported.
 */
async function finishModules(): Promise<Set<string>> {
  const imported = new Set<string>();
  for (const path of walk(out!)) {
    if (!/\.(js|d\.ts)$/.test(path)) continue;
    const text = await Deno.readTextFile(path);
    const finished = rewriteImports(text.replaceAll("@hono/hono", "hono"), (specifier) => {
      const bare = specifier.replace(/^npm:\/?(@?[^@/]+(?:\/[^@/]+)?)@[^/]+/, "$1");
      const [name] = /^(@[^/]+\/)?[^/]+/.exec(bare)!;
      if (!/^(\.|node:)/.test(bare)) imported.add(name);
      return bare;
    });
    const isCommand = `${out}/${exports["./migrate"].default.slice(2)}` === path;
    const isEmpty = finished.trim() === ""; // then it would be no module
    await Deno.writeTextFile(
      path,
      isEmpty ? "export {};\n" : isCommand ? `#!/usr/bin/env node\n${finished}` : finished,
    );
  }
  return imported;
}

function* walk(folder: string): Iterable<string> {
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path);
    else yield path;
  }
}
