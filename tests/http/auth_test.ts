import type { MiddlewareHandler } from "@hono/hono";
import { basicAuth } from "@hono/hono/basic-auth";
import { HTTPException } from "@hono/hono/http-exception";
import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { assertProblem, NO_JOB, NO_LETTER, serve } from "./harness.ts";
import { authenticate } from "../../src/http/auth.ts";

const ROUTES: [method: string, path: string][] = [
  ["GET", "/v1/jobs"],
  ["POST", "/v1/jobs"],
  ["GET", "/v1/jobs/counts"],
  ["GET", `/v1/jobs/${NO_JOB}`],
  ["POST", `/v1/jobs/${NO_JOB}/cancel`],
  ["POST", `/v1/jobs/${NO_JOB}/retry`],
  ["GET", "/v1/dlq"],
  ["GET", "/v1/dlq/count"],
  ["GET", `/v1/dlq/${NO_LETTER}`],
  ["POST", `/v1/dlq/${NO_LETTER}/replay`],
  ["POST", "/v1/dlq/replay-all"],
  ["POST", "/v1/dlq/purge"],
  ["GET", "/v1/queues"],
  ["POST", "/v1/queues/mail/pause"],
  ["POST", "/v1/queues/mail/resume"],
  ["GET", "/v1/stats"],
  ["HEAD", "/v1/jobs"],
  ["DELETE", "/v1/jobs"],
  ["GET", "/no/such/route"],
  ["GET", ""],
];

describe("auth: { bearer }", () => {
  it("guards every route, known or not, with 401 and a challenge", async () => {
    await using api = await serve({ auth: { bearer: "secret" } });
    for (const [method, path] of ROUTES) {
      const response = await api.app.request(`/api/dispatch${path}`, { method });
      assertEquals(response.status, 401, `${method} ${path}`);
      assertMatch(response.headers.get("WWW-Authenticate")!, /^Bearer realm="dispatch"/);
      if (method !== "HEAD") await assertProblem(response, 401, "unauthorized");
    }
    assertEquals(await api.engine.queues.list(), []);
  });

  it("answers 401 for a wrong token, another scheme and a malformed header", async () => {
    await using api = await serve({ auth: { bearer: "secret" } });
    const headers = ["Bearer Secret", "Bearer secret2", "Bearer secre", "Basic c2VjcmV0", "Bearer"];
    for (const Authorization of [...headers, "secret", "Bearer secret secret", "Bearer ;"]) {
      const response = await api.get("/v1/jobs", { Authorization });
      assertMatch(response.headers.get("WWW-Authenticate")!, /^Bearer /);
      await assertProblem(response, 401, "unauthorized");
    }
  });

  it("lets in whoever has a token, in either case of the scheme", async () => {
    await using api = await serve({ auth: { bearer: ["old-one", "new.one=="] } });
    for (const Authorization of ["Bearer old-one", "bearer new.one=="]) {
      assertEquals((await api.get("/v1/jobs", { Authorization })).status, 200);
    }
  });

  it("leaves /health open", async () => {
    await using api = await serve({ auth: { bearer: "secret" } });
    assertEquals((await api.get("/health")).status, 200);
    assertEquals((await api.get("/health/more")).status, 401);
  });

  it("is refused where it would let nobody in, or everybody", () => {
    const unfit: unknown[] = [
      { bearer: "" },
      { bearer: [] },
      { bearer: ["fine", ""] },
      { bearer: undefined },
      { bearer: [undefined] },
      { bearer: null },
      { bearer: "with a blank" },
      { bearer: "ünfit" },
      {},
      null,
      "secret",
    ];
    for (const auth of unfit) {
      const error = assertThrows(
        () => authenticate(auth as { bearer: string }),
        DispatchError,
        "Cannot use auth",
      );
      assertEquals(error.code, "invalid_option");
      assertEquals(error.message.includes("secret"), false);
    }
  });
});

describe("auth: middleware", () => {
  it("guards the routes but not /health", async () => {
    const auth: MiddlewareHandler = async (c, next) => {
      if (c.req.header("X-User") !== "ada") return c.json({ login: "/login" }, 401);
      await next();
    };
    await using api = await serve({ auth });
    const refused = await api.get("/v1/jobs");
    assertEquals([refused.status, await refused.json()], [401, { login: "/login" }]);
    assertEquals((await api.get("/v1/jobs", { "X-User": "ada" })).status, 200);
    assertEquals((await api.get("/health")).status, 200);
  });

  it("may throw as Hono's own do; the answer has our shape and its challenge", async () => {
    await using api = await serve({ auth: basicAuth({ username: "ada", password: "x" }) });
    const response = await api.get("/v1/jobs");
    assertMatch(response.headers.get("WWW-Authenticate")!, /^Basic /);
    await assertProblem(response, 401, "unauthorized");
  });

  it("may refuse with a message of its own, and redirect", async () => {
    const thrown: HTTPException[] = [
      new HTTPException(403, { message: "Only admins" }),
      new HTTPException(429, { message: "Too many" }),
      new HTTPException(302, { res: new Response(null, { headers: { Location: "/login" } }) }),
    ];
    await using api = await serve({
      auth: () => {
        throw thrown.shift();
      },
    });
    const { error } = await assertProblem(await api.get("/v1/jobs"), 403, "forbidden");
    assertEquals(error, "Only admins");
    const busy = await api.get("/v1/jobs");
    assertEquals([busy.status, await busy.text()], [429, "Too many"]);
    const redirect = await api.get("/v1/jobs");
    assertEquals([redirect.status, redirect.headers.get("Location")], [302, "/login"]);
  });

  it("that breaks keeps the door shut", async () => {
    for (const thrown of [new Error("secret place"), "a text", undefined, { status: 200 }]) {
      await using api = await serve({
        auth: () => {
          throw thrown;
        },
      });
      const { error } = await assertProblem(await api.get("/v1/jobs"), 500, "internal");
      assertEquals(error.includes("secret"), false);
    }
  });
});
