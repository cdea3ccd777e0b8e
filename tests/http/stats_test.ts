import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { BASE, HEALTHY, listeningLogger, serve } from "./harness.ts";

describe("GET /v1/stats", () => {
  it("counts jobs by state, dead letters and workflows", async () => {
    await using api = await serve();
    await api.engine.enqueue("later");
    await api.dead();
    const response = await api.get("/v1/stats");
    assertEquals(response.status, 200);
    assertEquals(await response.json(), {
      jobs: { pending: 1, running: 0, completed: 0, retrying: 0, failed: 1, cancelled: 0 },
      dlq_count: 1,
      workflows: { running: 0, compensating: 0, completed: 0, failed: 0, cancelled: 0 },
      unserved: [],
    });
  });
});

describe("GET /health", () => {
  it("answers 200 with what is known of the store", async () => {
    await using api = await serve();
    const response = await api.get("/health");
    assertEquals(response.status, 200);
    assertEquals(await response.json(), {
      status: "ok",
      store: "memory",
      durable: false,
      latency_ms: 0.4,
      error: null,
      version: "1.2.3",
    });
  });

  it("answers 503 where the store does not answer, and keeps the reason to itself", async () => {
    await using api = await serve({
      health: () =>
        Promise.resolve({
          ...HEALTHY,
          status: "error",
          latencyMs: null,
          error: "connect ECONNREFUSED 10.0.0.7:5432",
        }),
    });
    const response = await api.get("/health");
    assertEquals(response.status, 503);
    const { status, latency_ms, error } = await response.json();
    assertEquals([status, latency_ms, error], ["error", null, "Cannot reach the store"]);
  });

  it("answers 500 where the check itself fails, and logs it", async () => {
    const logger = listeningLogger();
    await using api = await serve({ logger, health: () => Promise.reject(new Error("oops")) });
    const response = await api.get("/health");
    assertEquals([response.status, (await response.json()).code], [500, "internal"]);
    assertEquals(logger.errors.length, 1);
  });

  it("ignores what probes add to the address, and answers HEAD", async () => {
    await using api = await serve();
    assertEquals((await api.get("/health?t=1")).status, 200);
    const response = await api.app.request(`${BASE}/health`, { method: "HEAD" });
    assertEquals([response.status, await response.text()], [200, ""]);
  });
});
