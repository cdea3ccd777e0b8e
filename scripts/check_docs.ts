/**
 * JSDoc lint of the public surface: `deno run -A scripts/check_docs.ts`. Runs `deno doc --lint` on
 * every entry point, and overlooks one thing that it cannot know: a type of another package that we
 * mention (a Hono app, a Standard Schema) is documented there.
 */

const FOREIGN = new Set(["Hono", "Context", "MiddlewareHandler", "StandardSchemaV1"]);

const config = JSON.parse(Deno.readTextFileSync("deno.json"));
const entryPoints = Object.values<string>(config.exports);
const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
  args: ["doc", "--lint", "--import-map=scripts/npm_imports.json", ...entryPoints],
  env: { NO_COLOR: "1" },
}).output();
const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);

const isForeign = (block: string): boolean => {
  const name = /references private type '(\w+)/.exec(block)?.[1];
  return name !== undefined && FOREIGN.has(name);
};
const problems = output.split(/\n(?=error)/)
  .filter((block) => block.startsWith("error[") && !isForeign(block))
  .map((block) => block.trim());
// A crash of the linter itself must not look like a clean run.
const failed = problems.length === 0 && output.includes("error:") &&
  !output.includes("documentation lint error");
if (failed) problems.push(output);

for (const problem of problems) console.error(`${problem}\n`);
console.log(`docs: ${entryPoints.length} entry points, ${problems.length} problems`);
if (problems.length > 0) Deno.exit(1);
