/** Two ways to make an npm package of a staged one. Both leave ES modules, types and package.json. */

import { run } from "./run.ts";
import type { Staged } from "./stage.ts";

const DNT = "jsr:@deno/dnt@^0.42.3";

/** The part of dnt that is used. */
interface Dnt {
  build(options: Record<string, unknown>): Promise<void>;
}

/** Loads dnt; `null` where JSR cannot be reached. */
export async function loadDnt(): Promise<Dnt | null> {
  // A name that is computed is looked up when it is wanted, not when this file is loaded.
  const name = DNT;
  return await import(name).catch(() => null);
}

/** Compiles with dnt, which checks the types of what it made as well. */
export async function compileWithDnt(
  dnt: Dnt,
  { dir, config }: Staged,
  out: string,
): Promise<void> {
  await dnt.build({
    entryPoints: Object.entries(config.exports).map(([name, path]) => ({
      name,
      path: `${dir}/${path}`,
    })),
    outDir: out,
    configFile: new URL("deno.json", `file://${dir}/`).href,
    shims: {}, // nothing but the file that knows what runs it asks for Deno, and it asks politely
    test: false,
    scriptModule: false,
    skipSourceOutput: true,
    compilerOptions: { target: "ES2022", lib: ["ESNext", "DOM", "DOM.Iterable"] },
    package: { name: config.name, version: config.version },
  });
  for (const left of ["node_modules", "package-lock.json", ".npmignore"]) {
    await Deno.remove(`${out}/${left}`, { recursive: true }).catch(() => {});
  }
}

/** Compiles with `deno pack`, and unpacks its tarball. */
export async function compileWithPack({ dir }: Staged, out: string): Promise<void> {
  const tarball = `${dir}/packed.tgz`;
  await run(Deno.execPath(), [
    ...["pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output", tarball],
  ], dir);
  await run("tar", ["-xzf", tarball, "--strip-components=1", "-C", out], dir);
}
