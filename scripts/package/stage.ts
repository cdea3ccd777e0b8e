/**
 * The package as it would be published, in a folder of its own: exactly the files that `publish` of
 * deno.json names, with every import of a dependency written out (`npm:hono@^4.13.19`), as
 * publishing does it, and in its npm form, so that nothing of JSR is needed to use it.
 */

/** What is in deno.json, as far as a package is concerned. */
export interface DenoConfig {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  /** Entry points: name to path, both with "./" in front. */
  readonly exports: Readonly<Record<string, string>>;
  readonly publish: { readonly include: readonly string[] };
}

/** A package that was laid out in a folder. It is removed at the end of the block. */
export interface Staged extends AsyncDisposable {
  /** The folder. */
  readonly dir: string;
  /** Its deno.json. */
  readonly config: DenoConfig;
  /** Paths of its files, with "/" between folders. */
  readonly files: readonly string[];
}

/** Top of the repository. */
export const ROOT: string = new URL("../../", import.meta.url).pathname;

/** deno.json of the repository. */
export const CONFIG: DenoConfig = JSON.parse(Deno.readTextFileSync(`${ROOT}deno.json`));

const MAP = "scripts/npm_imports.json";

/** Where a bare name leads: to `npm:…`, or to a file, by its path from the top of the repository. */
const imports: Record<string, string> = Object.fromEntries(
  Object.entries<string>(JSON.parse(Deno.readTextFileSync(ROOT + MAP)).imports).map(
    ([name, target]) => [
      name,
      target.startsWith(".") ? new URL(target, `file:///${MAP}`).pathname.slice(1) : target,
    ],
  ),
);

/** Versions of the npm packages that the import map names. */
export const NPM_VERSIONS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.values(imports).flatMap((target) => {
    const found = /^npm:\/?(@?[^@]+)@([^/]+)/.exec(target);
    return found === null ? [] : [[found[1], found[2]]];
  }),
);

/** Lays the package out. */
export async function stage(): Promise<Staged> {
  const dir = await Deno.makeTempDir({ prefix: "dispatch-package-" });
  const todo = CONFIG.publish.include.flatMap(expand).filter((path) => path !== "deno.json");
  const files = new Set(todo);
  for (let path = todo.pop(); path !== undefined; path = todo.pop()) {
    const write = (text: string) => writeFile(`${dir}/${path}`, text);
    const text = await Deno.readTextFile(ROOT + path);
    if (!path.endsWith(".ts")) {
      await write(text);
      continue;
    }
    await write(rewriteImports(text, (specifier) => {
      const target = resolve(specifier);
      if (target === null || target.startsWith("npm:")) return target ?? specifier;
      if (!files.has(target)) { // the stand-in for a package that is on JSR only
        files.add(target);
        todo.push(target);
      }
      return relative(path, target);
    }));
  }
  const config = { ...CONFIG, publish: { include: [...files, "deno.json"] } };
  const { name, version, license, exports, publish } = config;
  await writeFile(
    `${dir}/deno.json`,
    JSON.stringify({ name, version, license, exports, publish }),
  );
  return {
    dir,
    config,
    files: [...files].sort(),
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

/**
 * Calls `rewrite` for what the code of a module imports; what comments show stays as it is. Compilers
 * put the first import on the last line of the comment above it.
 */
export function rewriteImports(text: string, rewrite: (specifier: string) => string): string {
  const statement = /^((?:.*\*\/ )?(?:import|export|\})(?:[^"'\n]*\bfrom)? )"([^"]+)"/gm;
  const dynamic = /(\bimport\()"([^"]+)"/g;
  const replace = (_: string, before: string, specifier: string) =>
    `${before}${JSON.stringify(rewrite(specifier))}`;
  return text.replace(statement, replace).replace(dynamic, replace);
}

function resolve(specifier: string): string | null {
  if (/^(\.|node:)/.test(specifier)) return null;
  if (imports[specifier] !== undefined) return imports[specifier];
  const prefix = Object.keys(imports).find((name) =>
    name.endsWith("/") && specifier.startsWith(name)
  );
  if (prefix === undefined) throw new Error(`Cannot find ${specifier} in ${MAP}`);
  // "npm:/" is what an import map wants before a prefix
  return imports[prefix].replace("npm:/", "npm:") + specifier.slice(prefix.length);
}

function relative(from: string, to: string): string {
  return "../".repeat(from.split("/").length - 1).replace(/^$/, "./") + to;
}

/** The files of a pattern of `publish.include`: a path, or all of a kind below a folder. */
function expand(pattern: string): string[] {
  const [folder, extension] = pattern.split("/**/*");
  if (extension === undefined) return [pattern];
  return [...Deno.readDirSync(ROOT + folder)].flatMap((entry) =>
    entry.isDirectory
      ? expand(`${folder}/${entry.name}/**/*${extension}`)
      : entry.name.endsWith(extension)
      ? [`${folder}/${entry.name}`]
      : []
  );
}

async function writeFile(path: string, text: string): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(path, text);
}
