import { Hono } from "@hono/hono";
import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { assertProblem, BASE, serve } from "./harness.ts";

describe("the app in a host", () => {
  it("answers below basePath and leaves everything else as it is", async () => {
    await using api = await serve({ auth: { bearer: "secret" }, maxBodyBytes: 10 });
    const host = new Hono();
    host.get("/before", (c) => c.text("before"));
    host.route("/", api.app);
    host.get("/after", (c) => c.text("after"));
    host.post("/upload", async (c) => c.text(await c.req.text()));
    host.get("/broken", () => {
      throw new Error("of the host");
    });
    host.get("/api/dispatcher", (c) => c.text("a neighbour"));
    host.onError((error, c) => c.text(`host: ${error.message}`, 500));
    host.notFound((c) => c.text("host: nothing here", 404));

    const Authorization = "Bearer secret";
    assertEquals((await host.request(`${BASE}/v1/jobs`)).status, 401);
    assertEquals(
      (await host.request(`${BASE}/v1/jobs`, { headers: { Authorization } })).status,
      200,
    );
    const unknown = await host.request(`${BASE}/nothing`, { headers: { Authorization } });
    await assertProblem(unknown, 404, "not_found");
    const malformed = await host.request(`${BASE}/v1/jobs/1`, { headers: { Authorization } });
    await assertProblem(malformed, 400, "invalid_id");

    const others: [string, RequestInit, number, string][] = [
      ["/before", {}, 200, "before"],
      ["/after", {}, 200, "after"],
      ["/api/dispatcher", {}, 200, "a neighbour"],
      ["/broken", {}, 500, "host: of the host"],
      ["/nothing", {}, 404, "host: nothing here"],
      ["/api", {}, 404, "host: nothing here"],
      [
        "/upload",
        {
          method: "POST",
          body: "more than ten bytes",
          headers: { Origin: "https://elsewhere.example", "Content-Type": "text/plain" },
        },
        200,
        "more than ten bytes",
      ],
    ];
    for (const [path, init, status, text] of others) {
      const response = await host.request(path, init);
      assertEquals([response.status, await response.text()], [status, text], path);
      assertEquals(response.headers.get("Content-Security-Policy"), null, path);
      assertEquals(response.headers.get("Cache-Control"), null, path);
    }
  });

  it("shares what the host's middleware put on the context with auth", async () => {
    await using api = await serve({
      auth: async (c, next) => c.get("user") === "ada" ? await next() : c.text("who?", 401),
    });
    const host = new Hono<{ Variables: { user: string } }>();
    host.use(async (c, next) => {
      c.set("user", c.req.header("X-User") ?? "");
      await next();
    });
    host.route("/", api.app);
    const ask = async (user: string) =>
      (await host.request(`${BASE}/v1/jobs`, { headers: { "X-User": user } })).status;
    assertEquals([await ask("ada"), await ask("bob")], [200, 401]);
  });

  it("keeps what breaks inside inside, also what is no Error", async () => {
    for (const thrown of [new Error("inside"), "inside"]) {
      await using api = await serve({
        auth: () => {
          throw thrown;
        },
      });
      const host = new Hono();
      host.onError((_error, c) => c.text("the host was told", 500));
      host.route("/", api.app);
      await assertProblem(await host.request(`${BASE}/v1/jobs`), 500, "internal");
    }
  });

  it("says where a job is under a further prefix of the host", async () => {
    await using api = await serve();
    const host = new Hono();
    host.route("/admin", api.app);
    const response = await host.request(`/admin${BASE}/v1/jobs`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"name":"later"}',
    });
    assertEquals((await host.request(response.headers.get("Location")!)).status, 200);
  });
});

describe("basePath", () => {
  for (const basePath of ["/", ""]) {
    it(`may be ${JSON.stringify(basePath)}: then only our own names are ours`, async () => {
      await using api = await serve({ basePath, auth: { bearer: "secret" } });
      const host = new Hono();
      host.route("/", api.app);
      host.get("/", (c) => c.text("home"));
      host.get("/v1x", (c) => c.text("theirs"));
      assertEquals(await (await host.request("/")).text(), "home");
      const theirs = await host.request("/v1x");
      assertEquals(await theirs.text(), "theirs");
      assertEquals(theirs.headers.get("Cache-Control"), null);
      assertEquals((await host.request("/health")).status, 200);
      assertEquals((await host.request("/v1/jobs")).status, 401);
      const headers = { Authorization: "Bearer secret" };
      assertEquals((await host.request("/v1/jobs", { headers })).status, 200);
      await assertProblem(await host.request("/v1/nothing", { headers }), 404, "not_found");
      await assertProblem(await api.app.request("/nothing"), 404, "not_found");
    });
  }

  it("may have slashes too many or too few", async () => {
    for (const basePath of ["jobs", "/jobs/", "//jobs//"]) {
      await using api = await serve({ basePath });
      assertEquals((await api.app.request("/jobs/v1/jobs")).status, 200, basePath);
      assertEquals((await api.app.request("/jobs/health")).status, 200, basePath);
    }
  });
});

describe("a request", () => {
  it("for an unknown path is answered with 404 in JSON, also outside basePath", async () => {
    await using api = await serve();
    for (const path of ["/", "/api", BASE, `${BASE}/`, `${BASE}/v1`, `${BASE}/v1/jobs/`]) {
      await assertProblem(await api.app.request(path), 404, "not_found");
    }
    const response = await api.get("/v2/jobs");
    const { error } = await assertProblem(response, 404, "not_found");
    assertEquals(error, "Cannot find the route GET /api/dispatch/v2/jobs");
  });

  it("with a method that a known path does not take is answered with 405 and Allow", async () => {
    await using api = await serve();
    const cases: [string, string, string][] = [
      ["DELETE", "/v1/jobs", "GET, HEAD, POST"],
      ["PUT", "/v1/jobs/counts", "GET, HEAD"],
      ["POST", "/v1/jobs/counts", "GET, HEAD"],
      ["PATCH", "/v1/jobs/job_1", "GET, HEAD"],
      ["GET", "/v1/jobs/job_1/cancel", "POST"],
      ["GET", "/v1/queues/mail/pause", "POST"],
      ["POST", "/v1/stats", "GET, HEAD"],
      ["POST", "/health", "GET, HEAD"],
    ];
    for (const [method, path, allow] of cases) {
      const response = await api.app.request(BASE + path, { method });
      assertEquals(response.headers.get("Allow"), allow, `${method} ${path}`);
      await assertProblem(response, 405, "invalid_request");
    }
  });

  it("with HEAD is answered as GET would be, without the body", async () => {
    await using api = await serve();
    const { id } = await api.engine.enqueue("a");
    await api.engine.enqueue("b");
    const paths = ["/v1/jobs?limit=1", `/v1/jobs/${id}`, "/v1/dlq", "/v1/queues", "/v1/stats"];
    for (const path of [...paths, "/v1/jobs/1", "/nothing"]) {
      const get = await api.get(path);
      const head = await api.app.request(BASE + path, { method: "HEAD" });
      assertEquals([head.status, await head.text()], [get.status, ""]);
      assertEquals([...head.headers], [...get.headers]);
    }
  });
});
