import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { assertProblem, serve } from "./harness.ts";

const NONE = { pending: 0, running: 0, completed: 0, retrying: 0, failed: 0, cancelled: 0 };

describe("GET /v1/queues", () => {
  it("lists queues by name, with their settings and counts", async () => {
    await using api = await serve();
    await api.engine.enqueue("later", 1, { queue: "b" });
    await api.engine.queues.configure("a", { concurrency: 3 });
    const response = await api.get("/v1/queues");
    assertEquals(response.status, 200);
    assertEquals(await response.json(), [
      { name: "a", paused: false, concurrency: 3, counts: NONE },
      { name: "b", paused: false, concurrency: null, counts: { ...NONE, pending: 1 } },
    ]);
  });
});

describe("POST /v1/queues/:queue/pause and /resume", () => {
  it("hold a queue and let it go, twice just as once", async () => {
    await using api = await serve();
    const paused = async () =>
      (await api.engine.queues.list()).some((queue) => queue.name === "mail" && queue.paused);
    for (const [action, expected] of [["pause", true], ["resume", false]] as const) {
      for (let i = 0; i < 2; i++) {
        const response = await api.post(`/v1/queues/mail/${action}`);
        assertEquals([response.status, await response.text()], [204, ""]);
        assertEquals(await paused(), expected);
      }
    }
  });

  it("take any name that a queue can have", async () => {
    await using api = await serve();
    for (const name of ["a/b", "a b", "100%", "größe", "pause", "?#&"]) {
      const response = await api.post(`/v1/queues/${encodeURIComponent(name)}/pause`);
      assertEquals(response.status, 204, name);
      const paused = (await api.engine.queues.list()).map((queue) => queue.name);
      assertEquals(paused, [name]);
      await api.engine.queues.resume(name);
    }
  });

  it("answer 400 for what no queue can be called, and for a body", async () => {
    await using api = await serve();
    for (const name of ["%20a", "%07", "x".repeat(201)]) {
      await assertProblem(await api.post(`/v1/queues/${name}/pause`), 400, "invalid_queue");
      await assertProblem(await api.post(`/v1/queues/${name}/resume`), 400, "invalid_queue");
    }
    for (const action of ["pause", "resume"]) {
      const response = await api.post(`/v1/queues/mail/${action}`, { for: "1h" });
      await assertProblem(response, 400, "invalid_request");
    }
  });
});
