/**
 * The rules of the house, checked: `deno run -A scripts/check_layers.ts`.
 *
 * - a folder of `src` imports only from folders to its left, and others see the port of the stores,
 *   never a concrete one;
 * - modules that run do not import each other in a circle;
 * - only the runtime files name `Deno` or import `node:`, and only the logger writes to the console;
 * - no file of `src` or `tests` grows beyond 300 lines.
 */

const LAYERS = ["core", "sql", "store", "workflow", "engine", "http", "extension"];
/** The test kit stands beside the layers: it may use these. */
const TESTING_MAY_USE = ["core", "store", "engine", "testing"];
/** The second opens a KV, which is a part of the runtime: `kvStore(path)` works without an extension. */
const RUNTIME_FILES = ["src/extension/runtime.ts", "src/store/kv/open.ts"];
const CONSOLE_FILE = "src/core/logger.ts";
const MAX_LINES = 300;

interface Import {
  readonly from: string;
  readonly specifier: string;
  /** Whether importing the one runs the other: not for types, nor for an `import()` later on. */
  readonly runs: boolean;
}

const root = new URL("../", import.meta.url);

function* walk(folder: string): Iterable<string> {
  for (
    const entry of [...Deno.readDirSync(new URL(folder, root))].sort((a, b) =>
      a.name < b.name ? -1 : 1
    )
  ) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) yield* walk(path);
    else if (/\.tsx?$/.test(path)) yield path;
  }
}

function read(path: string): string {
  return Deno.readTextFileSync(new URL(path, root));
}

/** Comments may name what code may not. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:"'`])\/\/.*$/gm, "$1");
}

function importsOf(path: string, code: string): Import[] {
  const pattern = /^(?:import|export)\s+(type\s)?(?:[^"';]*?\sfrom\s+)?["']([^"']+)["']/gm;
  const resolve = (specifier: string) =>
    specifier.startsWith(".") ? new URL(specifier, `file:///${path}`).pathname.slice(1) : specifier;
  const atOnce = [...code.matchAll(pattern)].map(([statement, type, specifier]) => ({
    from: path,
    specifier: resolve(specifier),
    runs: type === undefined && !/\{\s*(type\s+\w+(\s+as\s+\w+)?\s*,?\s*)+\}/.test(statement),
  }));
  const later = [...code.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g)].map(([, specifier]) => ({
    from: path,
    specifier: resolve(specifier),
    runs: false,
  }));
  return [...atOnce, ...later];
}

function layerOf(path: string): string {
  return path.split("/")[1];
}

function layerProblem({ from, specifier }: Import): string | null {
  if (!specifier.startsWith("src/")) return null;
  const [own, other] = [layerOf(from), layerOf(specifier)];
  if (
    own === "testing"
      ? !TESTING_MAY_USE.includes(other)
      : LAYERS.indexOf(other) > LAYERS.indexOf(own)
  ) {
    return `${from}: ${own} must not import ${other} (${specifier})`;
  }
  const seesPortOnly = own !== "store" && own !== "extension" && other === "store";
  if (seesPortOnly && specifier !== "src/store/store.ts") {
    return `${from}: ${own} sees the port src/store/store.ts, not ${specifier}`;
  }
  if (LAYERS.indexOf(other) === -1 && own !== other) return `${from}: ${other} is no layer`;
  return null;
}

/** Returns the first circle among modules that run (types are erased), or null. */
function findCycle(graph: Map<string, string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): string[] | null => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return null;
    for (const next of graph.get(path) ?? []) {
      const cycle = visit(next, [...trail, path]);
      if (cycle !== null) return cycle;
    }
    done.add(path);
    return null;
  };
  for (const path of graph.keys()) {
    const cycle = visit(path, []);
    if (cycle !== null) return cycle;
  }
  return null;
}

const problems: string[] = [];
const graph = new Map<string, string[]>();
let files = 0;
for (const path of [...walk("src"), ...walk("tests")]) {
  files++;
  const text = read(path);
  const lines = text.split("\n").length - 1;
  if (lines > MAX_LINES) problems.push(`${path}: ${lines} lines, the limit is ${MAX_LINES}`);
  if (!path.startsWith("src/")) continue;
  const code = withoutComments(text);
  const imports = importsOf(path, code);
  graph.set(path, imports.filter((i) => i.runs).map((i) => i.specifier));
  for (const found of imports) {
    const problem = layerProblem(found);
    if (problem !== null) problems.push(problem);
    if (found.specifier.startsWith("node:") && !RUNTIME_FILES.includes(path)) {
      problems.push(`${path}: only ${RUNTIME_FILES.join(" and ")} import ${found.specifier}`);
    }
  }
  if (!RUNTIME_FILES.includes(path) && /(^|[^\w."'`])Deno\b/m.test(code)) {
    problems.push(`${path}: only ${RUNTIME_FILES.join(" and ")} name Deno`);
  }
  if (path !== CONSOLE_FILE && /\bconsole\b/.test(code)) {
    problems.push(`${path}: only ${CONSOLE_FILE} writes to the console`);
  }
}
const cycle = findCycle(graph);
if (cycle !== null) problems.push(`modules import each other in a circle: ${cycle.join(" → ")}`);

for (const problem of problems) console.error(problem);
console.log(`layers: ${files} files, ${problems.length} problems`);
if (problems.length > 0) Deno.exit(1);
