import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import { defineJob } from "../../src/engine/definition.ts";
import { assertProblem, serve } from "./harness.ts";

describe("POST /v1/jobs", () => {
  it("enqueues by name, answers 201 with the job and says where it is", async () => {
    await using api = await serve();
    const response = await api.post("/v1/jobs", { name: "later", payload: { n: 1 } });
    assertEquals(response.status, 201);
    const job = await response.json();
    assertMatch(job.id, /^job_/);
    assertEquals([job.name, job.state, job.payload], ["later", "pending", { n: 1 }]);
    const location = response.headers.get("Location");
    assertEquals(location, `/api/dispatch/v1/jobs/${job.id}`);
    assertEquals(await (await api.app.request(location!)).json(), job);
  });

  it("hands every option on to the engine", async () => {
    await using api = await serve();
    const job = await (await api.post("/v1/jobs", {
      name: "later",
      payload: null,
      queue: "mail",
      priority: -3,
      run_at: "2031-05-06T09:08:09+02:00",
      max_retries: 9,
      timeout: "1m30s",
      unique_key: "k",
      tags: ["x"],
      scope_app_id: "app",
      scope_org_id: "org",
    })).json();
    assertEquals(job.queue, "mail");
    assertEquals(job.priority, -3);
    assertEquals(job.run_at, "2031-05-06T07:08:09.000Z");
    assertEquals(job.max_retries, 9);
    assertEquals(job.timeout, 90_000);
    assertEquals(job.unique_key, "k");
    assertEquals(job.tags, ["x"]);
    assertEquals([job.scope_app_id, job.scope_org_id], ["app", "org"]);
  });

  it("takes a delay as text or milliseconds", async () => {
    await using api = await serve();
    for (const delay of ["2h", 7_200_000]) {
      const job = await (await api.post("/v1/jobs", { name: "later", delay })).json();
      assertEquals(Date.parse(job.run_at) - Date.parse(job.created_at), 7_200_000);
    }
  });

  it("takes null as left out, and any JSON as payload", async () => {
    await using api = await serve();
    for (const payload of [null, 0, false, "", [], [null], { a: { "": 1 } }]) {
      const body = { name: "later", payload, queue: null, run_at: null, tags: null, timeout: null };
      const response = await api.post("/v1/jobs", body);
      assertEquals(response.status, 201);
      const job = await response.json();
      assertEquals([job.payload, job.queue, job.tags], [payload, "default", []]);
    }
  });

  it("returns the unfinished job that holds the unique key", async () => {
    await using api = await serve();
    const body = { name: "later", unique_key: "one" };
    const first = await (await api.post("/v1/jobs", body)).json();
    const second = await api.post("/v1/jobs", body);
    assertEquals((await second.json()).id, first.id);
    assertMatch(second.headers.get("Location")!, new RegExp(`/${first.id}$`));
  });

  it("takes a content type with parameters or a +json suffix", async () => {
    await using api = await serve();
    for (const type of ["application/json; charset=utf-8", "application/vnd.api+json"]) {
      const response = await api.post("/v1/jobs", { name: "later" }, { "Content-Type": type });
      assertEquals(response.status, 201);
    }
  });

  it("refuses with 422 what the definition's schema refuses", async () => {
    await using api = await serve();
    api.engine.register(
      defineJob({ name: "mail", input: v.object({ to: v.string() }), handler: () => {} }),
    );
    const response = await api.post("/v1/jobs", { name: "mail", payload: { to: 5 } });
    const { error } = await assertProblem(response, 422, "invalid_payload");
    assertStringIncludes(error, "to");
  });

  it("refuses with 422 a name that strictNames does not know", async () => {
    await using api = await serve({ engineOptions: { strictNames: true } });
    const response = await api.post("/v1/jobs", { name: "ecko" });
    const { hint } = await assertProblem(response, 422, "unknown_job");
    assertEquals(hint, 'Did you mean "echo"?');
  });

  it("refuses with 413 a payload that the store does not take", async () => {
    await using api = await serve();
    const response = await api.post("/v1/jobs", { name: "later", payload: "x".repeat(2 ** 20) });
    await assertProblem(response, 413, "payload_too_large");
  });

  describe("refuses with 400", () => {
    const fits = { name: "later" };
    const cases: [string, unknown, code: string, told: string][] = [
      ["an empty body", "", "invalid_request", "it is empty"],
      ["a body that is not JSON", "{name}", "invalid_request", "not JSON"],
      ["an array", [fits], "invalid_request", "not an object"],
      ["a text", '"later"', "invalid_request", "not an object"],
      ["null", "null", "invalid_request", "not an object"],
      ["no name", {}, "invalid_request", "name is missing"],
      ["a name that is null", { name: null }, "invalid_request", "name is missing"],
      ["a name that is no text", { name: 5 }, "invalid_request", "name must be string, not 5"],
      ["an empty name", { name: "" }, "invalid_job_name", "as a job's name"],
      ["a key in camelCase", { ...fits, runAt: "" }, "invalid_request", '"runAt" is not known'],
      ["the key __proto__", '{"name":"a","__proto__":{}}', "invalid_request", "__proto__"],
      ["a queue that is no text", { ...fits, queue: [] }, "invalid_request", "queue must be"],
      ["an empty queue", { ...fits, queue: "" }, "invalid_queue", "as a queue's name"],
      ["a priority in quotes", { ...fits, priority: "1" }, "invalid_request", "priority must be"],
      ["a priority with a fraction", { ...fits, priority: 0.5 }, "invalid_option", "priority"],
      ["a run_at in milliseconds", { ...fits, run_at: 1 }, "invalid_request", "run_at must be"],
      [
        "a run_at without a zone",
        { ...fits, run_at: "2031-01-01T00:00" },
        "invalid_moment",
        "run_at",
      ],
      ["a delay that is no duration", { ...fits, delay: "soon" }, "invalid_duration", "delay"],
      ["a negative delay", { ...fits, delay: -1 }, "invalid_duration", "delay"],
      ["a delay of another type", { ...fits, delay: true }, "invalid_request", "delay must be"],
      [
        "run_at and delay at once",
        { ...fits, run_at: "2031-01-01", delay: 1 },
        "invalid_request",
        "both run_at and delay",
      ],
      ["negative max_retries", { ...fits, max_retries: -1 }, "invalid_option", "max_retries"],
      ["a timeout that is no duration", { ...fits, timeout: "5" }, "invalid_duration", "timeout"],
      ["an empty unique_key", { ...fits, unique_key: "" }, "invalid_option", "unique key"],
      ["tags that are no list", { ...fits, tags: "a" }, "invalid_request", "tags must be"],
      ["a tag that is no text", { ...fits, tags: ["a", 1] }, "invalid_request", "tags.1 must be"],
      ["too many tags", { ...fits, tags: Array(51).fill("a") }, "invalid_option", "tags"],
      ["an empty scope", { ...fits, scope_app_id: "" }, "invalid_request", "scope_app_id must"],
      [
        "a scope that is too long",
        { ...fits, scope_org_id: "x".repeat(201) },
        "invalid_request",
        "scope_org_id must",
      ],
    ];
    for (const [what, body, code, told] of cases) {
      it(what, async () => {
        await using api = await serve();
        const { error } = await assertProblem(await api.post("/v1/jobs", body), 400, code);
        assertStringIncludes(error, told);
        assertEquals((await api.engine.jobs.list()).length, 0);
      });
    }

    it("a body without a content type, or with that of a form", async () => {
      await using api = await serve();
      for (const type of ["", "text/plain", "application/x-www-form-urlencoded", "text/json"]) {
        const response = await api.post("/v1/jobs", fits, { "Content-Type": type });
        const { hint } = await assertProblem(response, 400, "invalid_request");
        assertEquals(hint, "Send it as application/json.");
      }
    });

    it("a body that is not UTF-8", async () => {
      await using api = await serve();
      const response = await api.app.request("/api/dispatch/v1/jobs", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: new Uint8Array([...new TextEncoder().encode('{"name":"'), 0xff, 0x22, 0x7d]),
      });
      await assertProblem(response, 400, "invalid_request");
    });

    it("any query", async () => {
      await using api = await serve();
      await assertProblem(await api.post("/v1/jobs?name=a", fits), 400, "invalid_request");
    });
  });

  it("names the key that was probably meant", async () => {
    await using api = await serve();
    for (const [typed, meant] of [["runAt", "run_at"], ["prioritty", "priority"]]) {
      const response = await api.post("/v1/jobs", { name: "later", [typed]: null });
      const { hint } = await assertProblem(response, 400, "invalid_request");
      assertEquals(hint, `Did you mean "${meant}"?`);
    }
  });
});
