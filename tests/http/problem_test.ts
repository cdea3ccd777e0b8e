import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError, ERROR_HINTS, type ErrorCode } from "../../src/core/errors.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { Engine } from "../../src/engine/engine.ts";
import { createApp } from "../../src/http/app.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { assertProblem, BASE, HEALTHY, listeningLogger } from "./harness.ts";

/** An API whose every request runs into this. */
function broken(thrown: unknown) {
  const logger = listeningLogger();
  const app = createApp({
    engine: new Engine({ logger: silentLogger }),
    basePath: BASE,
    auth: () => {
      throw thrown;
    },
    health: () => Promise.resolve(HEALTHY),
    logger,
  });
  return { logger, ask: async () => await app.request(`${BASE}/v1/jobs`) };
}

describe("an error", () => {
  const statuses: Partial<Record<ErrorCode, number>> = {
    unknown_job: 422,
    invalid_payload: 422,
    payload_not_json: 422,
    payload_too_large: 413,
    invalid_duration: 400,
    invalid_moment: 400,
    invalid_concurrency: 400,
    invalid_queue: 400,
    invalid_job_name: 400,
    invalid_option: 400,
    invalid_id: 400,
    invalid_request: 400,
    not_started: 503,
    stopped: 503,
    not_found: 404,
    unknown_workflow: 422,
    invalid_workflow_name: 400,
    invalid_step: 400,
    workflows_not_supported: 409,
    wrong_state: 409,
    unique_conflict: 409,
    unauthorized: 401,
    forbidden: 403,
    body_too_large: 413,
  };
  for (const [code, status] of Object.entries(statuses) as [ErrorCode, number][]) {
    it(`of code ${code} is answered with ${status}, its message and its hint`, async () => {
      const { ask, logger } = broken(new DispatchError(code, "What happened"));
      assertEquals(await assertProblem(await ask(), status, code), {
        error: "What happened",
        code,
        hint: ERROR_HINTS[code],
      });
      assertEquals(logger.errors, []);
    });
  }

  const secret = "password of admin@10.0.0.7 in /etc/app.yaml";

  it("of the store is answered with 503, logged, and its message kept back", async () => {
    const thrown = new DispatchError("store_unreachable", secret, { hint: secret });
    const { ask, logger } = broken(thrown);
    const answer = await assertProblem(await ask(), 503, "store_unreachable");
    assertEquals(JSON.stringify(answer).includes("10.0.0.7"), false);
    assertEquals(logger.errors.length, 1);
  });

  it("that no caller caused is answered with 500, logged whole, and kept back", async () => {
    const rest = (Object.keys(ERROR_HINTS) as ErrorCode[])
      .filter((code) => statuses[code] === undefined && code !== "store_unreachable")
      .map((code) => new DispatchError(code, secret, { hint: secret }));
    for (const thrown of [...rest, new TypeError(secret), secret, { message: secret }, null]) {
      const { ask, logger } = broken(thrown);
      const answer = await assertProblem(await ask(), 500, "internal");
      assertEquals(JSON.stringify(answer).includes("10.0.0.7"), false);
      assertEquals(JSON.stringify(answer).includes("_test.ts"), false);
      const [[, fields]] = logger.errors;
      assertEquals(fields, { method: "GET", path: `${BASE}/v1/jobs`, error: thrown });
    }
  });

  it("inside a store does not get out either", async () => {
    const logger = listeningLogger();
    const store = memoryStore();
    store.jobs.counts = () => Promise.reject(new Error(secret));
    const engine = new Engine({ logger: silentLogger });
    await engine.start(store);
    const health = () => Promise.resolve(HEALTHY);
    const app = createApp({ engine, basePath: BASE, health, logger });
    const { error } = await assertProblem(
      await app.request(`${BASE}/v1/stats`),
      500,
      "internal",
    );
    assertEquals(error, "Cannot answer the request: something unexpected happened");
    assertEquals(logger.errors.length, 1);
    await engine.stop();
  });
});

describe("an engine", () => {
  it("that has not started yet, or has stopped, is answered with 503", async () => {
    const engine = new Engine({ logger: silentLogger });
    const health = () => Promise.resolve(HEALTHY);
    const app = createApp({ engine, basePath: BASE, health, logger: silentLogger });
    const paths = ["/v1/jobs", "/v1/jobs/counts", "/v1/dlq", "/v1/queues", "/v1/stats"];
    const expect = async (code: string) => {
      for (const path of paths) await assertProblem(await app.request(BASE + path), 503, code);
      const enqueue = await app.request(`${BASE}/v1/jobs`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: '{"name":"later"}',
      });
      await assertProblem(enqueue, 503, code);
      assertEquals((await app.request(`${BASE}/health`)).status, 200);
    };
    await expect("not_started");
    await engine.start(memoryStore());
    assertEquals((await app.request(`${BASE}/v1/jobs`)).status, 200);
    await engine.stop();
    await expect("stopped");
  });
});
