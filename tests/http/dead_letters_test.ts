import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { deadLetterToWire } from "../../src/http/wire.ts";
import { type Api, assertProblem, NO_LETTER, serve } from "./harness.ts";

const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** The dead letter of a job has its suffix. */
const letterOf = (job: { id: string }) => job.id.replace("job_", "dlq_");

async function list(api: Api, query = ""): Promise<string[]> {
  const letters = await (await api.get(`/v1/dlq?${query}`)).json();
  return letters.map((letter: { job_id: string }) => letter.job_id);
}

describe("GET /v1/dlq/:entryId", () => {
  it("shows every field of a dead letter, but not the stack", async () => {
    await using api = await serve();
    const job = await api.dead({ to: "ada" }, {
      tags: ["x"],
      scope: { appId: "app", orgId: "org" },
    });
    const response = await api.get(`/v1/dlq/${letterOf(job)}`);
    assertEquals(response.status, 200);
    const { failed_at, created_at, ...rest } = await response.json();
    assertMatch(failed_at, ISO);
    assertMatch(created_at, ISO);
    assertEquals(rest, {
      id: letterOf(job),
      job_id: job.id,
      job_name: "fail",
      queue: "default",
      payload: { to: "ada" },
      error: "the mail server said no",
      retry_count: 0,
      max_retries: 0,
      scope_app_id: "app",
      scope_org_id: "org",
      replayed_at: null,
      reason: "handler_failed",
      tags: ["x"],
    });
  });

  it("tells its three moments apart", async () => {
    await using api = await serve();
    const letter = (await api.engine.dlq.get(letterOf(await api.dead())))!;
    const [failedAt, replayedAt, createdAt] = [1, 2, 3].map((ms) => new Date(ms));
    const wire = deadLetterToWire({ ...letter, failedAt, replayedAt, createdAt });
    assertEquals([wire.failed_at, wire.replayed_at, wire.created_at], [
      "1970-01-01T00:00:00.001Z",
      "1970-01-01T00:00:00.002Z",
      "1970-01-01T00:00:00.003Z",
    ]);
  });

  it("answers 404 for an unknown id, 400 for what is no id of a dead letter", async () => {
    await using api = await serve();
    await assertProblem(await api.get(`/v1/dlq/${NO_LETTER}`), 404, "not_found");
    for (const id of ["1", NO_LETTER.replace("dlq", "job")]) {
      await assertProblem(await api.get(`/v1/dlq/${id}`), 400, "invalid_id");
    }
  });
});

describe("GET /v1/dlq and /v1/dlq/count", () => {
  it("list and count what matches, the latest failure first", async () => {
    await using api = await serve();
    const first = await api.dead();
    const second = await api.dead();
    await api.engine.queues.pause("default");
    await api.engine.dlq.replay(letterOf(first));
    const cases: [string, string[]][] = [
      ["", [second.id, first.id]],
      ["queue=default", [second.id, first.id]],
      ["queue=other", []],
      ["job_name=fail", [second.id, first.id]],
      ["job_name=other", []],
      ["replayed=true", [first.id]],
      ["replayed=false", [second.id]],
      ["older_than=1h", []],
      ["queue=&job_name=&replayed=", [second.id, first.id]],
    ];
    for (const [query, expected] of cases) {
      assertEquals(await list(api, query), expected, query);
      const { count } = await (await api.get(`/v1/dlq/count?${query}`)).json();
      assertEquals(count, expected.length, query);
    }
    assertEquals(await list(api, "limit=1&offset=1"), [first.id]);
  });

  it("list a letter as it is shown alone", async () => {
    await using api = await serve();
    const job = await api.dead();
    const [letter] = await (await api.get("/v1/dlq")).json();
    assertEquals(letter, await (await api.get(`/v1/dlq/${letterOf(job)}`)).json());
  });

  it("count nothing where nothing died", async () => {
    await using api = await serve();
    assertEquals(await (await api.get("/v1/dlq/count")).json(), { count: 0 });
    assertEquals(await (await api.get("/v1/dlq")).json(), []);
  });
});

describe("POST /v1/dlq/:entryId/replay", () => {
  it("answers 201 with the new job, and marks the letter", async () => {
    await using api = await serve();
    const job = await api.dead({ n: 1 });
    await api.engine.queues.pause("default");
    const response = await api.post(`/v1/dlq/${letterOf(job)}/replay`);
    assertEquals(response.status, 201);
    const replayed = await response.json();
    assertNotEquals(replayed.id, job.id);
    assertEquals([replayed.name, replayed.state, replayed.payload], ["fail", "pending", { n: 1 }]);
    const location = response.headers.get("Location");
    assertEquals(location, `/api/dispatch/v1/jobs/${replayed.id}`);
    const letter = await (await api.get(`/v1/dlq/${letterOf(job)}`)).json();
    assertMatch(letter.replayed_at, ISO);
  });

  it("answers 409 the second time, and while another job holds the unique key", async () => {
    await using api = await serve();
    const once = letterOf(await api.dead());
    assertEquals((await api.post(`/v1/dlq/${once}/replay`, {})).status, 201);
    await assertProblem(await api.post(`/v1/dlq/${once}/replay`), 409, "wrong_state");
    const held = letterOf(await api.dead(1, { uniqueKey: "one" }));
    await api.engine.enqueue("fail", 2, { uniqueKey: "one", delay: "1h" });
    await assertProblem(await api.post(`/v1/dlq/${held}/replay`), 409, "unique_conflict");
  });

  it("answers 404 for an unknown letter and 400 for a malformed id or a body", async () => {
    await using api = await serve();
    await assertProblem(await api.post(`/v1/dlq/${NO_LETTER}/replay`), 404, "not_found");
    await assertProblem(await api.post("/v1/dlq/nonsense/replay"), 400, "invalid_id");
    const response = await api.post(`/v1/dlq/${NO_LETTER}/replay`, { queue: "other" });
    await assertProblem(response, 400, "invalid_request");
  });
});

describe("POST /v1/dlq/replay-all", () => {
  it("replays what was not replayed yet, and tells how many could not be", async () => {
    await using api = await serve();
    await api.dead();
    await api.dead();
    await api.dead(1, { uniqueKey: "one" });
    await api.engine.enqueue("fail", 2, { uniqueKey: "one", delay: "1h" });
    await api.engine.queues.pause("default");
    const response = await api.post("/v1/dlq/replay-all");
    assertEquals(response.status, 200);
    assertEquals(await response.json(), { replayed: 2, errors: 1 });
  });

  it("narrows by queue, job_name and older_than", async () => {
    await using api = await serve();
    await api.dead();
    await api.engine.queues.pause("default");
    for (const filter of [{ queue: "other" }, { job_name: "other" }, { older_than: "1h" }]) {
      const response = await api.post("/v1/dlq/replay-all", filter);
      assertEquals(await response.json(), { replayed: 0, errors: 0 });
    }
    const response = await api.post("/v1/dlq/replay-all", { queue: "default", job_name: "fail" });
    assertEquals(await response.json(), { replayed: 1, errors: 0 });
  });

  it("does not take `replayed`", async () => {
    await using api = await serve();
    const response = await api.post("/v1/dlq/replay-all", { replayed: true });
    await assertProblem(response, 400, "invalid_request");
  });
});

describe("POST /v1/dlq/purge", () => {
  it("removes everything where it is asked for nothing in particular", async () => {
    await using api = await serve();
    await api.dead();
    await api.dead();
    const response = await api.post("/v1/dlq/purge");
    assertEquals(response.status, 200);
    assertEquals(await response.json(), { purged: 2 });
    assertEquals(await list(api), []);
  });

  it("narrows by queue, job_name, older_than and replayed", async () => {
    await using api = await serve();
    await api.dead();
    const others = [
      { queue: "other" },
      { job_name: "other" },
      { older_than: "1h" },
      { older_than: 3_600_000 },
      { replayed: true },
    ];
    for (const filter of others) {
      const response = await api.post("/v1/dlq/purge", filter);
      assertEquals(await response.json(), { purged: 0 });
    }
    const response = await api.post("/v1/dlq/purge", { queue: "default", replayed: false });
    assertEquals(await response.json(), { purged: 1 });
  });

  it("removes nothing where the filter is not understood", async () => {
    await using api = await serve();
    await api.dead();
    const cases: [unknown, string][] = [
      [{ ques: "default" }, "invalid_request"],
      [{ older_than: "a while" }, "invalid_duration"],
      [{ older_than: [] }, "invalid_request"],
      [{ replayed: "true" }, "invalid_request"],
      [{ queue: 1 }, "invalid_request"],
      [{ queue: "" }, "invalid_queue"],
      [{ job_name: " " }, "invalid_job_name"],
      ["{", "invalid_request"],
      ["null", "invalid_request"],
    ];
    for (const [body, code] of cases) {
      await assertProblem(await api.post("/v1/dlq/purge", body), 400, code);
    }
    await assertProblem(await api.post("/v1/dlq/purge?queue=other"), 400, "invalid_request");
    assertEquals((await list(api)).length, 1);
  });
});
