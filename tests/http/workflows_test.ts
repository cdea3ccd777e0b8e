import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { until } from "../harness.ts";
import { assertProblem, BASE, serve } from "./harness.ts";

const NO_RUN = "run_01jd0gxm6te4fs5b9v3q8n2kzr";

const Order = defineWorkflow({
  name: "order",
  handler: async ({ item }: { item: string }, step) => {
    await step.run("reserve", () => item);
    const paid = await step.waitForEvent("paid", { timeout: "1h" });
    return { item, paid };
  },
});

async function serveOrders() {
  const api = await serve();
  api.engine.register(Order);
  const start = async (body: object = {}) => {
    const response = await api.post("/v1/workflows/runs", {
      name: "order",
      input: { item: "lamp" },
      ...body,
    });
    return { response, run: await response.clone().json() };
  };
  /** Starts a run and waits until it waits. */
  const waiting = async () => {
    const { run } = await start();
    await until(async () => (await api.engine.runs.get(run.id))!.waitingFor.length > 0);
    return run.id as string;
  };
  return { api, start, waiting };
}

describe("/v1/workflows", () => {
  it("names the workflows of this process", async () => {
    const { api } = await serveOrders();
    await using _ = api;
    assertEquals(await (await api.get("/v1/workflows")).json(), { names: ["order"] });
  });

  it("starts a run by name: 201, the run, and where it is", async () => {
    const { api, start } = await serveOrders();
    await using _ = api;
    const { response, run } = await start({ scope_app_id: "shop", unique_key: "k" });
    assertEquals(response.status, 201);
    assertEquals(response.headers.get("Location"), `${BASE}/v1/workflows/runs/${run.id}`);
    const { id, job_id, started_at, ...rest } = run;
    assertEquals(rest, {
      name: "order",
      version: 1,
      state: "running",
      input: { item: "lamp" },
      output: null,
      error: null,
      scope_app_id: "shop",
      scope_org_id: null,
      parent_run_id: null,
      completed_at: null,
      queue: "default",
      waiting_for: [],
    });
    assertEquals([id.slice(0, 4), job_id.slice(4)], ["run_", id.slice(4)]);
    assertEquals(new Date(started_at).toISOString(), started_at);
    assertEquals((await start({ unique_key: "k" })).run.id, id);
  });

  it("shows a run, what it waits for, and its timeline; an event ends its wait", async () => {
    const { api, waiting } = await serveOrders();
    await using _ = api;
    const id = await waiting();
    const path = `/v1/workflows/runs/${id}`;
    const shown = await (await api.get(path)).json();
    const [{ until: moment, ...wait }] = shown.waiting_for;
    assertEquals(wait, {
      step: "paid",
      kind: "event",
      events: ["paid"],
      key: null,
      child_run_id: null,
    });
    assertEquals(typeof moment, "string");
    const sent = await api.post(`${path}/events`, { name: "paid", payload: 5 });
    assertEquals(sent.status, 201);
    const event = await sent.json();
    assertEquals([event.name, event.run_id, event.payload, event.delivered], ["paid", id, 5, 1]);
    await api.engine.result(id);
    const ended = await (await api.get(path)).json();
    assertEquals([ended.state, ended.output], ["completed", { item: "lamp", paid: 5 }]);
    const timeline = await (await api.get(`${path}/timeline`)).json();
    assertEquals(
      timeline.map((step: Record<string, unknown>) => [
        step.name,
        step.kind,
        step.state,
        step.result,
        step.waiting_for,
      ]),
      [
        ["reserve", "run", "completed", "lamp", null],
        ["paid", "event", "completed", { name: "paid", payload: 5 }, null],
      ],
    );
    await assertProblem(await api.post(`${path}/events`, { name: "paid" }), 409, "wrong_state");
  });

  it("lists runs by state and name", async () => {
    const { api, waiting } = await serveOrders();
    await using _ = api;
    const ids = [await waiting(), await waiting()];
    await api.post(`/v1/workflows/runs/${ids[0]}/cancel`);
    const list = async (query: string) => {
      const response = await api.get(`/v1/workflows/runs${query}`);
      return (await response.json()).map((run: { id: string }) => run.id);
    };
    assertEquals(await list(""), [ids[1], ids[0]]);
    assertEquals(await list("?state=cancelled"), [ids[0]]);
    assertEquals(await list("?name=order&limit=1"), [ids[1]]);
    assertEquals(await list("?name=other"), []);
    await assertProblem(
      await api.get("/v1/workflows/runs?state=asleep"),
      400,
      "invalid_request",
    );
  });

  it("cancels a run, and has it go on from a step", async () => {
    const { api, waiting } = await serveOrders();
    await using _ = api;
    const id = await waiting();
    const path = `/v1/workflows/runs/${id}`;
    const cancelled = await api.post(`${path}/cancel`, { compensate: false });
    assertEquals([cancelled.status, (await cancelled.json()).state], [200, "cancelled"]);
    const replayed = await api.post(`${path}/replay`, { step: "paid" });
    assertEquals([replayed.status, (await replayed.json()).state], [200, "running"]);
    await assertProblem(await api.post(`${path}/replay`, { step: "x" }), 404, "not_found");
    await assertProblem(await api.post(`${path}/replay`), 400, "invalid_request");
  });

  it("refuses what it does not know", async () => {
    const { api, start } = await serveOrders();
    await using _ = api;
    const path = `/v1/workflows/runs/${NO_RUN}`;
    await assertProblem((await start({ name: "nobody" })).response, 422, "unknown_workflow");
    await assertProblem((await start({ id: "job_x" })).response, 400, "invalid_id");
    const both = { run_at: "2030-01-01T00:00:00Z", delay: "1s" };
    await assertProblem((await start(both)).response, 400, "invalid_request");
    await assertProblem(await api.get(path), 404, "not_found");
    await assertProblem(await api.get(`${path}/timeline`), 404, "not_found");
    await assertProblem(await api.post(`${path}/cancel`), 404, "not_found");
    await assertProblem(await api.post(`${path}/events`, { name: "x" }), 404, "not_found");
  });
});
