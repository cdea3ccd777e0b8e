import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { VERSION } from "../../src/core/version.ts";
import type { Store } from "../../src/store/store.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { heldClock } from "../../src/testing/held_clock.ts";
import { CountingClock, turns } from "../harness.ts";
import { make } from "./harness.ts";

const withPing = (ping: () => Promise<void>): Store => ({ ...memoryStore(), ping });

describe("health()", () => {
  it("says that the store answers, which one it is and how long it took", async () => {
    const held = heldClock();
    const clock = new CountingClock(held);
    const ping = async () => {
      await held.advance(12);
    };
    await using ext = make({ store: { ...withPing(ping), name: "disk", durable: true }, clock });
    await ext.start();
    await turns(); // the worker has armed its poll
    const armed = clock.armed;
    assertEquals(await ext.health(), {
      status: "ok",
      store: "disk",
      durable: true,
      latencyMs: 12,
      version: VERSION,
    });
    assertEquals(clock.armed, armed); // the timer of the bound is gone
  });

  it("says why the store does not answer, whether it rejects or throws", async () => {
    const rejects = () => Promise.reject(new Error("connection refused"));
    const throws = () => {
      throw new Error("connection refused");
    };
    for (const ping of [rejects, throws]) {
      await using ext = make({ store: withPing(ping) });
      await ext.start();
      assertEquals(await ext.health(), {
        status: "error",
        store: "memory",
        durable: false,
        latencyMs: null,
        error: "connection refused",
        version: VERSION,
      });
    }
  });

  it("gives up after 2 s", async () => {
    const clock = heldClock();
    const store = withPing(() => new Promise(() => {}));
    await using ext = make({ store, clock, concurrency: 0 });
    await ext.start();
    const health = ext.health();
    await clock.advance(2000);
    const { status, latencyMs, error } = await health;
    assertEquals([status, latencyMs], ["error", null]);
    assertMatch(error!, /no answer within 2000 ms/);
  });

  it("is an error before start, after one that failed, and after stop, and never rejects", async () => {
    let failing = true;
    const migrate = () => failing ? Promise.reject(new Error("down")) : Promise.resolve();
    const ext = make({ store: { ...memoryStore(), migrate } });
    const state = async () => {
      const { status, store, error } = await ext.health();
      return `${status} ${store} ${error}`;
    };
    assertEquals(await state(), "error none The extension has not been started");
    await ext.start().catch(() => {});
    assertEquals(await state(), "error none The extension has not been started");
    failing = false;
    await ext.start();
    assertEquals(await state(), "ok memory undefined");
    await ext.stop();
    assertEquals(await state(), "error none The extension was stopped");
  });

  it("is what the route shows", async () => {
    await using ext = make();
    assertEquals((await ext.app.request("/api/dispatch/health")).status, 503);
    await ext.start();
    const shown = await ext.app.request("/api/dispatch/health");
    assertEquals([shown.status, (await shown.json()).version], [200, VERSION]);
  });
});
