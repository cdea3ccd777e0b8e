import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Api, assertProblem, NO_JOB, NO_LETTER, serve } from "./harness.ts";

const LISTS = ["/v1/jobs", "/v1/dlq"];

describe("a query", () => {
  const cases: [query: string, told: string][] = [
    ["limit=0", "limit must be a whole number from 1 to 1000, not 0"],
    ["limit=1001", "limit must be"],
    ["limit=-1", "limit must be"],
    ["limit=1.5", "limit must be"],
    ["limit=1e2", "limit must be"],
    ["limit=0x10", "limit must be"],
    ["limit=%2010", "limit must be"],
    ["limit=ten", "limit must be"],
    ["limit=99999999999999999999", "limit must be"],
    ["offset=-1", "offset must be a whole number from 0"],
    ["offset=2.5", "offset must be"],
    ["offset=9999999999999999", "offset must be"],
    ["cursor=%00", "cursor must be"],
    ["cursor=caf%C3%A9", "cursor must be"],
    [`cursor=${"x".repeat(501)}`, "cursor must be"],
    ["limit=1&limit=2", '"limit" is given twice'],
    ["page=2", '"page" is not known'],
    ["Limit=2", '"Limit" is not known'],
    ["__proto__=1", '"__proto__" is not known'],
  ];
  for (const [query, told] of cases) {
    it(`is refused for ${query.slice(0, 40)}`, async () => {
      await using api = await serve();
      for (const path of LISTS) {
        const response = await api.get(`${path}?${query}`);
        assertStringIncludes((await assertProblem(response, 400, "invalid_request")).error, told);
      }
    });
  }

  it("is refused for a state that jobs do not have, naming those that they have", async () => {
    await using api = await serve();
    for (const state of ["done", "Pending", "pending,running"]) {
      const response = await api.get(`/v1/jobs?state=${state}`);
      const { error } = await assertProblem(response, 400, "invalid_request");
      assertStringIncludes(error, '"retrying"');
    }
  });

  it("is refused for names that no queue and no job can have", async () => {
    await using api = await serve();
    await assertProblem(await api.get("/v1/jobs?queue=%20a"), 400, "invalid_queue");
    await assertProblem(await api.get("/v1/jobs?name=%07"), 400, "invalid_job_name");
    await assertProblem(await api.get("/v1/dlq?queue=%20a"), 400, "invalid_queue");
    await assertProblem(await api.get("/v1/dlq/count?job_name=%07"), 400, "invalid_job_name");
  });

  it("is refused for a flag or a duration that cannot be read", async () => {
    await using api = await serve();
    for (const path of ["/v1/dlq", "/v1/dlq/count"]) {
      await assertProblem(await api.get(`${path}?replayed=1`), 400, "invalid_request");
      await assertProblem(await api.get(`${path}?older_than=1y`), 400, "invalid_duration");
    }
  });

  it("is refused where none is taken", async () => {
    await using api = await serve();
    const gets = [
      "/v1/jobs/counts",
      `/v1/jobs/${NO_JOB}`,
      `/v1/dlq/${NO_LETTER}`,
      "/v1/queues",
      "/v1/stats",
    ];
    const posts = [
      `/v1/jobs/${NO_JOB}/cancel`,
      `/v1/jobs/${NO_JOB}/retry`,
      `/v1/dlq/${NO_LETTER}/replay`,
      "/v1/dlq/replay-all",
      "/v1/dlq/purge",
      "/v1/queues/mail/pause",
      "/v1/queues/mail/resume",
    ];
    for (const path of gets) {
      await assertProblem(await api.get(`${path}?x=1`), 400, "invalid_request");
    }
    for (const path of posts) {
      await assertProblem(await api.post(`${path}?x=1`), 400, "invalid_request");
    }
  });

  it("is answered with the parameter that was probably meant", async () => {
    await using api = await serve();
    const cases = [["limt", "limit"], ["sate", "state"], ["QUEUE", "queue"], ["offsett", "offset"]];
    for (const [typed, meant] of cases) {
      const { hint } = await assertProblem(
        await api.get(`/v1/jobs?${typed}=1`),
        400,
        "invalid_request",
      );
      assertEquals(hint, `Did you mean "${meant}"?`);
    }
  });
});

describe("paging", () => {
  const ids = async (response: Response) =>
    (await response.json()).map((item: { id: string }) => item.id);

  /** Follows the Link headers to the end, and returns the ids of each page. */
  async function follow(api: Api, path: string): Promise<string[][]> {
    const pages: string[][] = [];
    let at: string | undefined = `/api/dispatch${path}`;
    while (at !== undefined) {
      const response: Response = await api.app.request(at);
      assertEquals(response.status, 200);
      pages.push(await ids(response));
      at = response.headers.get("Link")?.match(/^<(.+)>; rel="next"$/)?.[1];
    }
    return pages;
  }

  it("follows Link through all jobs, each once, keeping filter and limit", async () => {
    await using api = await serve();
    const all: string[] = [];
    for (let i = 0; i < 7; i++) {
      all.unshift((await api.engine.enqueue("later", i, { queue: "a & b" })).id);
      await api.engine.enqueue("other");
    }
    const pages = await follow(api, "/v1/jobs?queue=a%20%26%20b&limit=3");
    assertEquals(pages.map((page) => page.length), [3, 3, 1]);
    assertEquals(pages.flat(), all);
    assertEquals(
      (await follow(api, "/v1/jobs?queue=a+%26+b&limit=3&offset=2")).flat(),
      all.slice(2),
    );
  });

  it("follows Link through all dead letters", async () => {
    await using api = await serve();
    const all: string[] = [];
    for (let i = 0; i < 4; i++) all.unshift((await api.dead()).id.replace("job_", "dlq_"));
    assertEquals(await follow(api, "/v1/dlq?limit=3"), [all.slice(0, 3), all.slice(3)]);
  });

  it("gives the cursor by itself as well, and neither header on the last page", async () => {
    await using api = await serve();
    const [first, second] = [await api.engine.enqueue("a"), await api.engine.enqueue("b")];
    const page = await api.get("/v1/jobs?limit=1");
    const cursor = encodeURIComponent(page.headers.get("X-Next-Cursor")!);
    assertEquals(await ids(page), [second.id]);
    const last = await api.get(`/v1/jobs?limit=1&cursor=${cursor}`);
    assertEquals(await ids(last), [first.id]);
    assertEquals([last.headers.get("Link"), last.headers.get("X-Next-Cursor")], [null, null]);
  });

  it("is refused behind what is no cursor", async () => {
    await using api = await serve();
    for (const path of LISTS) {
      await assertProblem(await api.get(`${path}?cursor=zzz`), 400, "invalid_option");
    }
  });

  it("has 50 on a page where no limit is given, and up to 1000", async () => {
    await using api = await serve();
    await api.engine.enqueueMany(Array.from({ length: 1001 }, () => ({ job: "later" })));
    assertEquals((await ids(await api.get("/v1/jobs"))).length, 50);
    assertEquals((await ids(await api.get("/v1/jobs?limit=1000"))).length, 1000);
  });
});
