import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DeadLetters } from "../../src/engine/dead_letters.ts";
import { Engine } from "../../src/engine/engine.ts";
import { Jobs } from "../../src/engine/jobs.ts";
import { Queues } from "../../src/engine/queues.ts";
import { Runs } from "../../src/engine/runs.ts";

const SRC = new URL("../../src/", import.meta.url);

/** What every program begins with. */
const HEAD = `
  import { Engine } from "${SRC}engine/engine.ts";
  import { defineJob } from "${SRC}engine/definition.ts";
  import { defineWorkflow } from "${SRC}workflow/definition.ts";
  import { memoryStore } from "${SRC}store/memory/store.ts";
  const lines = [];
  const note = (message, fields) => lines.push(message + ": " + fields?.error);
  const logger = { debug() {}, info() {}, warn: note, error: note };
  const engine = new Engine({ logger });
  const done = Promise.withResolvers();
  const Job = defineJob({ name: "job", handler: () => done.resolve("done") });
  const Flow = defineWorkflow({ name: "flow", handler: () => "flown" });
`;

/** Runs a program in a process of its own; returns what it printed, and the modules that ran. */
async function execute(
  program: string,
  imports: Record<string, string> = {},
): Promise<{ printed: string; modules: string[] }> {
  const dir = await Deno.makeTempDir({ prefix: "dispatch-on-demand-" });
  try {
    await Deno.writeTextFile(`${dir}/main.js`, HEAD + program);
    await Deno.writeTextFile(`${dir}/map.json`, JSON.stringify({ imports }));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-A", "--quiet", "--no-config", "--no-check", `--import-map=${dir}/map.json`],
        ...[`--coverage=${dir}/ran`, `${dir}/main.js`],
      ],
      stdin: "null",
      env: { NO_COLOR: "1" },
    }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    const modules: string[] = [];
    for (const { name } of Deno.readDirSync(`${dir}/ran`)) {
      const { url } = JSON.parse(await Deno.readTextFile(`${dir}/ran/${name}`));
      if (url.startsWith(SRC.href)) modules.push(url.slice(SRC.href.length));
    }
    return { printed: new TextDecoder().decode(stdout).trim(), modules: modules.sort() };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

describe("an application that has jobs only", () => {
  it("loads nothing of workflows, nor what looks after jobs, until it asks for that", async () => {
    const program = `
      engine.register(Job);
      await engine.start(memoryStore());
      await engine.enqueue(Job, null);
      console.log(await done.promise);`;
    const alone = await execute(`${program} await engine.stop();`);
    assertEquals(alone.printed, "done");
    assert(alone.modules.includes("engine/worker.ts"));
    const onDemand = /^workflow\/(?!definition)|run_|results|admin|dead_letters|memory\/runs/;
    assertEquals(alone.modules.filter((path) => onDemand.test(path)), []);

    const asking = `console.log((await engine.jobs.list()).length); await engine.stop();`;
    const curious = await execute(program + asking);
    assertEquals(curious.printed, "done\n1");
    assert(curious.modules.includes("engine/admin.ts"));
    assert(curious.modules.includes("store/memory/admin.ts"));
    assertEquals(curious.modules.filter((path) => /^workflow\/(?!definition)/.test(path)), []);
  });
});

describe("what is loaded on demand", () => {
  for (
    const [when, program] of [
      [
        "with the start where a workflow is registered",
        "engine.register(Flow); await engine.start(memoryStore());",
      ],
      [
        "when a workflow is registered later",
        "await engine.start(memoryStore()); engine.register(Flow);",
      ],
      [
        "when a run is started by its definition",
        "await engine.start(memoryStore()); await engine.startWorkflow(Flow, null);",
      ],
      [
        "when somebody asks for runs",
        "await engine.start(memoryStore()); await engine.runs.list();",
      ],
    ]
  ) {
    it(`comes ${when}`, async () => {
      const wait = "await new Promise((resolve) => setTimeout(resolve));"; // a turn for the import
      const { modules } = await execute(`${program} ${wait} await engine.stop();`);
      assert(modules.includes("engine/run_engine.ts"));
      assert(modules.includes("workflow/slice.ts"));
    });
  }

  it("runs what was claimed before it had come", async () => {
    const { printed } = await execute(`
      const store = memoryStore();
      const client = new Engine({ logger, concurrency: 0 });
      await client.start(store);
      await engine.start(store);
      const { id } = await client.startWorkflow(Flow, null);
      engine.register(Flow);
      console.log(await client.result(id));
      await engine.stop();
      await client.stop();`);
    assertEquals(printed, "flown");
  });

  const MISSING = { [`${SRC}engine/run_engine.ts`]: `${SRC}engine/no_such_file.ts` };
  const tell = `(error) => console.log(error.code, error.message)`;

  it("fails the start of an engine that has workflows, and says why", async () => {
    const { printed } = await execute(
      `engine.register(Flow); await engine.start(memoryStore()).catch(${tell});`,
      MISSING,
    );
    assertStringIncludes(printed, "internal Cannot load the code of workflows:");
    assertStringIncludes(printed, "no_such_file.ts");
  });

  it("is missed by whoever asks for a run, by the log, and by no job", async () => {
    const { printed } = await execute(
      `engine.register(Job);
      await engine.start(memoryStore());
      engine.register(Flow);
      await engine.startWorkflow(Flow, null).catch(${tell});
      await engine.enqueue(Job, null);
      console.log(await done.promise, lines.length, lines[0]);
      await engine.stop();`,
      MISSING,
    );
    const [refusal, rest] = printed.split("\n");
    assertStringIncludes(refusal, "internal Cannot load the code of workflows:");
    assertStringIncludes(rest, "done 1 runs of a workflow cannot be run: Cannot load the code");
  });

  it("has all of its methods on the objects that stand in for it", () => {
    const { jobs, dlq, queues, runs } = new Engine();
    for (
      const [standing, { prototype }] of [
        [jobs, Jobs] as const,
        [dlq, DeadLetters] as const,
        [queues, Queues] as const,
        [runs, Runs] as const,
      ]
    ) {
      const methods = Object.getOwnPropertyNames(prototype).filter((name) =>
        name !== "constructor"
      );
      assertEquals(Object.keys(standing).sort(), methods.sort());
    }
  });
});
