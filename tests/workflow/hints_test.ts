import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Clock } from "../../src/core/clock.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import type { Store } from "../../src/store/store.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { gate, Rig } from "../harness.ts";
import { tempFolder } from "../kv.ts";
import { createDatabase } from "../postgres.ts";
import { until } from "../scenarios/load.ts";

/** Each gives a store, and another one on the same data: another process. */
const STORES: readonly {
  readonly kind: string;
  open(): Promise<AsyncDisposable & { store(clock: Clock): Store; peer(clock: Clock): Store }>;
}[] = [
  {
    kind: "memory",
    open() {
      let one: Store | undefined;
      const store = (clock: Clock) => one ??= memoryStore({ clock });
      return Promise.resolve({ store, peer: store, async [Symbol.asyncDispose]() {} });
    },
  },
  {
    kind: "Deno KV, from another process",
    async open() {
      const folder = await tempFolder();
      const opened: Store[] = [];
      const store = (clock: Clock) => {
        opened.push(kvStore(`${folder.path}/jobs.kv`, { clock }));
        return opened[opened.length - 1];
      };
      return {
        store,
        peer: store,
        async [Symbol.asyncDispose]() {
          for (const store of opened) await store.close();
          await folder[Symbol.asyncDispose]();
        },
      };
    },
  },
  {
    kind: "Postgres, from another process",
    async open() {
      const database = await createDatabase();
      const opened: Store[] = [];
      const store = (clock: Clock) => {
        opened.push(postgresStore(database.url, { clock, maxConnections: 3 }));
        return opened[opened.length - 1];
      };
      await store({ now: Date.now, held: null, after: () => () => {} }).migrate();
      return {
        store,
        peer: store,
        async [Symbol.asyncDispose]() {
          for (const store of opened) await store.close();
          await database[Symbol.asyncDispose]();
        },
      };
    },
  },
];

for (const { kind, open } of STORES) {
  describe(`while a step of a run executes, on ${kind}`, () => {
    it("its other branches learn at once of an event, of the end of a child, and of a moment", async () => {
      await using place = await open();
      const [steps, child] = [gate(), gate()];
      const seen: string[] = [];
      const Child = defineWorkflow({
        name: "child",
        queue: "children",
        handler: async (_: null, step) => await step.run("work", () => child.promise),
      });
      const Flow = defineWorkflow({
        name: "flow",
        handler: async (_: null, step) => {
          await Promise.all([
            step.run("long", () => steps.promise),
            step.waitForEvent("go").then(() => seen.push("event")),
            step.runChild("child", Child, null).then(() => seen.push("child")),
            step.sleep("nap", "1s").then(() => seen.push("nap")),
          ]);
          return seen;
        },
      });
      await using rig = new Rig({ store: place.store });
      const engine = await rig.add({ jobs: [Flow] });
      const peer = rig.make({ jobs: [Child, Flow], queues: ["children"] });
      await peer.start(kind === "memory" ? rig.store : place.peer(rig.clock));
      const run = await engine.startWorkflow(Flow, null);
      const waiting = async () =>
        (await engine.runs.timeline(run.id)).filter(({ state }) => state === "open").length === 3;
      await until("it waits", waiting);
      const before = rig.clock.now();
      await peer.triggerEvent(run.id, "go");
      const passed = async (what: string) =>
        await until(what, async () => {
          await rig.advance(10);
          return seen.includes(what);
        });
      await passed("event");
      child.open();
      await passed("child");
      await passed("nap");
      // Without a hint they are looked after every 5 s; the held clock moves by 10 ms a look.
      assertLess(rig.clock.now() - before, 4000);
      steps.open();
      assertEquals((await engine.result<string[]>(run.id)).sort(), ["child", "event", "nap"]);
    });
  });
}
