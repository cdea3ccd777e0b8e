/**
 * `deno task bench:kv`: Dispatch with its default options on a KV file, beside `kv.enqueue` and
 * `listenQueue` of Deno itself, and under Node with `@deno/kv`. Each figure is one process with a file
 * of its own. The figures are those of this machine at this moment: compare them only with others of
 * the same run.
 *
 * Arguments: jobs (20000), rounds (1), a pattern of the figures to measure only those.
 */

import { median, printTable, range, type Row } from "./figures.ts";

const JOBS = Number(Deno.args[0] ?? 20_000);
const ROUNDS = Number(Deno.args[1] ?? 1);
const ONLY = Deno.args[2] ?? "";

const MEASURE = "scripts/bench/kv/measure.ts";
const MAP = "--import-map=scripts/npm_imports.json";
const BUNDLE = ".dispatch/bench_kv.mjs"; // here `node_modules` is found

await Deno.mkdir(".dispatch", { recursive: true });
await run(Deno.execPath(), [
  "bundle",
  "--quiet",
  MAP,
  "--external=@deno/kv",
  "-o",
  BUNDLE,
  MEASURE,
]);

async function run(program: string, args: string[]): Promise<string> {
  const command = new Deno.Command(program, { args, stderr: "inherit" });
  const { success, stdout } = await command.output();
  if (!success) throw new Error(`${program} ${args.join(" ")} failed`);
  return new TextDecoder().decode(stdout);
}

/** A figure out of a process with a file of its own. */
async function measure(system: string, what: string, jobs: number): Promise<number> {
  const folder = await Deno.makeTempDir({ prefix: "dispatch-bench-" });
  const args = [what, `${folder}/jobs.kv`, String(jobs)];
  try {
    const output = system === "Node"
      ? await run("node", [BUNDLE, ...args])
      : await run(Deno.execPath(), ["run", "-A", "--quiet", "--no-check", MAP, MEASURE, ...args]);
    return Number(output.trim().split("\n").at(-1));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Group, name, which process, what it measures, how many jobs. */
const cases = ([
  ["drain, jobs/s", "Dispatch", "Deno", "drain", JOBS],
  ["drain, jobs/s", "Dispatch, in front of 700,000", "Deno", "drain beside others", JOBS],
  ["drain, jobs/s", "Dispatch under Node", "Node", "drain", JOBS],
  ["drain, jobs/s", "listenQueue", "Deno", "listenQueue", 1000],
  ["enqueue, 64 callers, jobs/s", "Dispatch", "Deno", "enqueue", JOBS],
  ["enqueue, 64 callers, jobs/s", "Dispatch under Node", "Node", "enqueue", JOBS],
  ["enqueue, 64 callers, jobs/s", "kv.enqueue", "Deno", "kv.enqueue", 2000],
  ["enqueueMany by 1,000, jobs/s", "Dispatch", "Deno", "enqueueMany", JOBS],
  ["enqueueMany by 1,000, jobs/s", "Dispatch under Node", "Node", "enqueueMany", JOBS],
  ["enqueue to start, p99 ms", "Dispatch", "Deno", "latency", 300],
  ["enqueue to start, p99 ms", "Dispatch under Node", "Node", "latency", 300],
] as const).filter(([group, name]) => new RegExp(ONLY).test(`${group}: ${name}`));

const figures = new Map(cases.map(([group, name]) => [`${group}\n${name}`, [] as number[]]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [group, name, system, what, jobs] of cases) {
    const figure = await measure(system, what, jobs);
    figures.get(`${group}\n${name}`)!.push(figure);
    console.error(`round ${round + 1}: ${group}: ${name}: ${figure.toFixed(1)}`);
  }
}

const show = (value: number) =>
  value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString("en");
const rows: Row[] = cases.map(([group, name]) => {
  const all = figures.get(`${group}\n${name}`)!;
  const own = figures.get(`${group}\nDispatch`);
  const ratio = own === undefined ? "" : (median(own) / median(all)).toFixed(2);
  return [group, name, show(median(all)), all.length > 1 ? range(all) : "", ratio];
});
printTable(["figure", "system", "median", "range", "Dispatch / it"], rows);
await Deno.writeTextFile(
  ".dispatch/bench_kv.json",
  JSON.stringify({ jobs: JOBS, rounds: ROUNDS, figures: Object.fromEntries(figures) }, null, 2),
);
