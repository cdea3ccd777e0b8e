import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { kvStore } from "../../src/store/kv/store.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import type { Store } from "../../src/store/store.ts";
import { example } from "../examples/run.ts";
import { tempFolder } from "../kv.ts";
import { createDatabase } from "../postgres.ts";

/** The job of the first order of the example. */
const JOB = "job_01jd0gxm6te4fs5b9v3q8n2kz0";

/** What each step of the example prints when it is done. */
const PRINTS: Record<string, string> = {
  reserve: "reserve lamp",
  charge: "charge for lamp",
  mail: "mail of lamp",
  ship: "ship lamp",
};

/** Where the example keeps its runs, and how to look there. */
interface Place extends AsyncDisposable {
  readonly env: Record<string, string>;
  open(): Store;
}

const PLACES: Record<string, () => Promise<Place>> = {
  async Postgres() {
    const database = await createDatabase();
    return {
      env: { DATABASE_URL: database.url },
      open: () => postgresStore(database.url, { maxConnections: 1 }),
      [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
    };
  },
  async "a KV file"() {
    const folder = await tempFolder();
    const path = `${folder.path}/orders.kv`;
    return {
      env: { KV_PATH: path },
      open: () => kvStore(path),
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    };
  },
};

describe("a process that is killed with SIGKILL in the middle of a workflow", () => {
  const moments = ["reserve lamp", "charge for lamp", "mail of lamp"];
  for (
    const [where, make, until] of Object.entries(PLACES).flatMap(([where, make]) =>
      moments.map((until) => [where, make, until] as const)
    )
  ) {
    it(`after "${until}", on ${where}, is followed by one that does no finished step again`, async () => {
      await using place = await make();
      const { env } = place;
      const first = example("examples/15_order_saga.ts", { env, stderr: "inherit" }).spawn();
      const reader = first.stdout.pipeThrough(new TextDecoderStream()).getReader();
      for (let printed = ""; !printed.includes(until);) {
        const { value, done } = await reader.read();
        assert(!done, `it ended before it printed ${until}`);
        printed += value;
      }
      first.kill("SIGKILL");
      await first.status;
      await reader.cancel();
      const store = place.open();
      const [steps] = await store.runs!.checkpoints([
        { jobId: JOB, after: null, limit: 100, pending: false },
      ]);
      const [job] = await store.jobs.get([JOB]);
      assert(job !== null && job.completedAt === null, "it is not in the middle");
      const second = await example("examples/15_order_saga.ts", { env, stderr: "inherit" })
        .output();
      assertEquals(second.code, 0);
      const printed = new TextDecoder().decode(second.stdout);
      assert(printed.includes("done"), printed);
      for (const { name, state } of steps) {
        const line = PRINTS[name];
        if (state !== "completed" || line === undefined) continue;
        assert(!printed.includes(line), `${name} was finished and is done again:\n${printed}`);
      }
      await store.close();
    });
  }
});
