import { assert, assertEquals } from "@std/assert";
import type { StoreCase } from "./context.ts";

export const lifecycleCases: readonly StoreCase[] = [
  {
    name: "a store says what it is and how much it takes",
    run(t) {
      const { name, durable, maxPayloadBytes } = t.store;
      assert(name.length > 0, "it has no name");
      assertEquals(typeof durable, "boolean");
      assert(Number.isInteger(maxPayloadBytes) && maxPayloadBytes >= 1024, "room for a payload");
      return Promise.resolve();
    },
  },
  {
    name: "ping() resolves while the store answers",
    run: (t) => t.store.ping(),
  },
  {
    name: "migrate() may be called again, also by several at once, and keeps what is there",
    async run(t) {
      await t.inState("failed");
      await t.inState("running");
      await t.store.queues.configure("default", { concurrency: 3 });
      const before = await t.snapshot();
      const peer = await t.peer();
      await Promise.all([t.store.migrate(), peer.migrate(), t.store.migrate()]);
      assertEquals(await t.snapshot(), before);
    },
  },
];
