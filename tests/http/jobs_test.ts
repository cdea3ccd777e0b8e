import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { assertProblem, Echo, FailOnce, NO_JOB, serve } from "./harness.ts";

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe("GET /v1/jobs/:jobId", () => {
  it("shows every field of a job that waits", async () => {
    await using api = await serve();
    const job = await api.engine.enqueue("unknown", { to: "ada" }, {
      queue: "mail",
      priority: 7,
      runAt: "2031-05-06T07:08:09.010Z",
      maxRetries: 2,
      timeout: "30s",
      uniqueKey: "ada",
      tags: ["a", "b"],
      scope: { appId: "app", orgId: "org" },
    });
    const response = await api.get(`/v1/jobs/${job.id}`);
    assertEquals(response.status, 200);
    const { created_at, updated_at, ...rest } = await response.json();
    assertMatch(created_at, ISO);
    assertEquals(updated_at, created_at);
    assertEquals(rest, {
      id: job.id,
      name: "unknown",
      queue: "mail",
      state: "pending",
      payload: { to: "ada" },
      priority: 7,
      max_retries: 2,
      retry_count: 0,
      last_error: null,
      run_at: "2031-05-06T07:08:09.010Z",
      started_at: null,
      completed_at: null,
      heartbeat_at: null,
      timeout: 30_000,
      worker_id: null,
      tags: ["a", "b"],
      scope_app_id: "app",
      scope_org_id: "org",
      result: null,
      attempt: 0,
      unique_key: "ada",
      progress: null,
    });
  });

  it("shows when, where and with what result a job ran", async () => {
    await using api = await serve();
    const { id } = await api.engine.enqueue(Echo, [1, "two"]);
    await api.engine.result(id);
    const job = await (await api.get(`/v1/jobs/${id}`)).json();
    assertEquals(job.state, "completed");
    assertEquals(job.result, { echo: [1, "two"] });
    assertEquals(job.attempt, 1);
    assertMatch(job.started_at, ISO);
    assertMatch(job.completed_at, ISO);
    assertMatch(job.worker_id, /^wkr_/);
    assertEquals([job.scope_app_id, job.scope_org_id, job.unique_key], [null, null, null]);
  });

  it("shows why a job failed, without its stack", async () => {
    await using api = await serve();
    const { id } = await api.dead();
    const text = await (await api.get(`/v1/jobs/${id}`)).text();
    const job = JSON.parse(text);
    assertEquals([job.state, job.last_error], ["failed", "the mail server said no"]);
    assertEquals(text.includes("harness.ts"), false);
  });

  it("answers 404 for an id that no job has, 400 for what is no id of a job", async () => {
    await using api = await serve();
    const { error } = await assertProblem(await api.get(`/v1/jobs/${NO_JOB}`), 404, "not_found");
    assertEquals(error, `Cannot find job ${NO_JOB}`);
    for (const id of ["1", "job_", NO_JOB.toUpperCase(), NO_JOB.replace("job", "dlq"), "%00"]) {
      await assertProblem(await api.get(`/v1/jobs/${id}`), 400, "invalid_id");
    }
  });
});

describe("GET /v1/jobs", () => {
  it("lists all jobs as a bare array, the newest first", async () => {
    await using api = await serve();
    const first = await api.engine.enqueue("later");
    const second = await api.engine.enqueue("later");
    const response = await api.get("/v1/jobs");
    assertEquals(response.status, 200);
    const list = await response.json();
    assertEquals(list.map((job: { id: string }) => job.id), [second.id, first.id]);
    assertEquals(list[1], await (await api.get(`/v1/jobs/${first.id}`)).json());
  });

  it("narrows by state, queue and name, and takes empty parameters as left out", async () => {
    await using api = await serve();
    const mail = await api.engine.enqueue("mail", 1, { queue: "out" });
    const bill = await api.engine.enqueue("bill", 2, { queue: "out" });
    const done = await api.engine.enqueue(Echo, 3);
    await api.engine.result(done.id);
    const cases: [string, string[]][] = [
      ["state=completed", [done.id]],
      ["state=pending", [bill.id, mail.id]],
      ["queue=out", [bill.id, mail.id]],
      ["name=mail", [mail.id]],
      ["state=pending&queue=out&name=bill", [bill.id]],
      ["state=failed", []],
      ["queue=nowhere", []],
      ["state=&queue=&name=&limit=&offset=&cursor=", [done.id, bill.id, mail.id]],
      ["limit=1&offset=1", [bill.id]],
    ];
    for (const [query, expected] of cases) {
      const list = await (await api.get(`/v1/jobs?${query}`)).json();
      assertEquals(list.map((job: { id: string }) => job.id), expected, query);
    }
  });
});

describe("GET /v1/jobs/counts", () => {
  it("counts jobs in every state", async () => {
    await using api = await serve();
    await api.engine.enqueue("later");
    await api.dead();
    const response = await api.get("/v1/jobs/counts");
    assertEquals(response.status, 200);
    assertEquals(await response.json(), {
      pending: 1,
      running: 0,
      completed: 0,
      retrying: 0,
      failed: 1,
      cancelled: 0,
    });
  });
});

describe("POST /v1/jobs/:jobId/cancel", () => {
  it("cancels a job that waits and answers 204 without a body", async () => {
    await using api = await serve();
    const { id } = await api.engine.enqueue("later");
    const response = await api.post(`/v1/jobs/${id}/cancel`);
    assertEquals([response.status, await response.text()], [204, ""]);
    assertEquals((await api.engine.jobs.get(id))?.state, "cancelled");
  });

  it("takes an empty object as its body, and nothing else", async () => {
    await using api = await serve();
    const { id } = await api.engine.enqueue("later");
    const path = `/v1/jobs/${id}/cancel`;
    await assertProblem(await api.post(path, { reason: "?" }), 400, "invalid_request");
    await assertProblem(await api.post(path, "[]"), 400, "invalid_request");
    assertEquals((await api.post(path, {})).status, 204);
  });

  it("answers 409 for a job that has ended", async () => {
    await using api = await serve();
    const { id } = await api.engine.enqueue(Echo, 1);
    await api.engine.result(id);
    await assertProblem(await api.post(`/v1/jobs/${id}/cancel`), 409, "wrong_state");
  });

  it("answers 404 for an unknown job and 400 for a malformed id", async () => {
    await using api = await serve();
    await assertProblem(await api.post(`/v1/jobs/${NO_JOB}/cancel`), 404, "not_found");
    await assertProblem(await api.post("/v1/jobs/nonsense/cancel"), 400, "invalid_id");
  });
});

describe("POST /v1/jobs/:jobId/retry", () => {
  it("makes a retrying job ready now and answers 204", async () => {
    await using api = await serve();
    const retrying = Promise.withResolvers<void>();
    const events = api.engine.subscribe({});
    (async () => {
      for await (const { type } of events) if (type === "onJobRetrying") retrying.resolve();
    })();
    const { id } = await api.engine.enqueue(FailOnce, null);
    await retrying.promise;
    const before = await (await api.get(`/v1/jobs/${id}`)).json();
    assertEquals([before.state, before.retry_count], ["retrying", 1]);
    await api.engine.queues.pause("default");
    const response = await api.post(`/v1/jobs/${id}/retry`);
    assertEquals([response.status, await response.text()], [204, ""]);
    const after = await (await api.get(`/v1/jobs/${id}`)).json();
    assertEquals(after.retry_count, 0);
    assertNotEquals(after.run_at, before.run_at);
  });

  it("answers 409 for a job that waits, and for one whose unique key another job holds", async () => {
    await using api = await serve();
    const waiting = await api.engine.enqueue("later");
    await assertProblem(await api.post(`/v1/jobs/${waiting.id}/retry`), 409, "wrong_state");
    const dead = await api.dead(1, { uniqueKey: "one" });
    await api.engine.enqueue("fail", 2, { uniqueKey: "one", delay: "1h" });
    await assertProblem(await api.post(`/v1/jobs/${dead.id}/retry`), 409, "unique_conflict");
  });

  it("answers 404 for an unknown job and 400 for a malformed id", async () => {
    await using api = await serve();
    await assertProblem(await api.post(`/v1/jobs/${NO_JOB}/retry`), 404, "not_found");
    await assertProblem(await api.post("/v1/jobs/nonsense/retry"), 400, "invalid_id");
  });
});
