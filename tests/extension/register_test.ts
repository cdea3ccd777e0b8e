import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type Context, Hono } from "@hono/hono";
import { createMiddleware } from "@hono/hono/factory";
import type { Engine } from "../../src/engine/engine.ts";
import { engineFrom } from "../../src/extension/engine_from.ts";
import { codeOf, errorOf } from "../harness.ts";
import { make } from "./harness.ts";

/** Handlers that note the engine which they find. */
function finder() {
  const found: (Engine | string)[] = [];
  const note = (c: Context): void => {
    try {
      found.push(engineFrom(c));
    } catch (error) {
      found.push((error as { code: string }).code);
    }
  };
  const handler = (c: Context) => (note(c), c.text("ok"));
  const middleware = createMiddleware(async (c, next) => (note(c), await next()));
  return { found, handler, middleware, note };
}

const same = (found: unknown[], engine: Engine, count: number) => {
  assertEquals(found.length, count);
  assertEquals(found.every((each) => each === engine), true, `found ${found}`);
};

describe("engineFrom()", () => {
  it("finds the engine in handlers that were added before register() and after", async () => {
    const ext = make();
    const { found, handler } = finder();
    const app = new Hono();
    app.get("/before", handler).get("/before/:id", handler).post("/files/*", handler);
    app.get("/:kind{[a-z]+}/list", handler).all("/any", handler);
    ext.register(app);
    app.get("/after", handler).get("/after/:id", handler);

    const paths = ["/before", "/before/7", "/jobs/list", "/any", "/after", "/after/7"];
    for (const path of paths) assertEquals((await app.request(path)).status, 200);
    assertEquals((await app.request("/files/a/b", { method: "POST" })).status, 200);
    assertEquals((await app.request("/before", { method: "HEAD" })).status, 200);
    same(found, ext.engine, paths.length + 2);
  });

  it("finds it in middleware, notFound and onError", async () => {
    const ext = make();
    const { found, middleware, note } = finder();
    const app = new Hono();
    app.use(middleware);
    app.get("/throws", () => {
      throw new Error("no");
    });
    ext.register(app);
    app.use(middleware);
    app.notFound((c) => (note(c), c.text("none", 404)));
    app.onError((_error, c) => (note(c), c.text("bad", 500)));
    assertEquals((await app.request("/nowhere")).status, 404);
    same(found, ext.engine, 3);
    assertEquals((await app.request("/throws")).status, 500);
    same(found, ext.engine, 5);
  });

  it("finds it in sub-apps that were mounted before and after", async () => {
    const ext = make();
    const { found, handler } = finder();
    const early = new Hono().get("/x", handler);
    const late = new Hono().get("/x", handler).onError((_e, c) => c.text("late", 500));
    const app = new Hono();
    app.route("/early", early);
    ext.register(app);
    app.route("/late", late);
    await app.request("/early/x");
    await app.request("/late/x");
    same(found, ext.engine, 2);
  });

  it("finds it where the app itself is mounted in another, even behind its own onError", async () => {
    for (const custom of [false, true]) {
      const ext = make();
      const { found, handler } = finder();
      const app = new Hono();
      if (custom) app.onError((_error, c) => c.text("own", 500));
      app.get("/before", handler);
      ext.register(app);
      app.get("/after", handler);
      const outer = new Hono().route("/inner", app);
      await outer.request("/inner/before");
      await outer.request("/inner/after");
      same(found, ext.engine, 2);
      assertEquals((await outer.request("/inner/api/dispatch/health")).status, 503);
    }
  });

  it("finds it in apps with a base path", async () => {
    const ext = make({ basePath: "/jobs" });
    const { found, handler } = finder();
    const app = new Hono().basePath("/v2");
    app.get("/before", handler);
    ext.register(app);
    await app.request("/v2/before");
    same(found, ext.engine, 1);
    assertEquals((await app.request("/v2/jobs/health")).status, 503);
  });

  it("finds that of the extension that was registered last", async () => {
    const [first, second] = [make(), make({ basePath: "/second" })];
    const { found, handler } = finder();
    const app = new Hono();
    app.get("/a", handler);
    first.register(app);
    app.get("/b", handler);
    second.register(app);
    app.get("/c", handler);
    for (const path of ["/a", "/b", "/c"]) await app.request(path);
    same(found, second.engine, 3);
  });

  it("keeps the engines of several apps apart", async () => {
    const [one, two] = [make(), make()];
    const { found, handler } = finder();
    for (const ext of [one, two]) {
      const app = new Hono().get("/x", handler);
      ext.register(app);
      await app.request("/x");
    }
    assertEquals(found[0] === one.engine && found[1] === two.engine, true);
  });

  it("is an error with a hint where no extension was registered", async () => {
    let seen: unknown;
    const app = new Hono();
    app.get("/", async (c) => {
      seen = await errorOf(() => engineFrom(c));
      return c.text("ok");
    });
    app.route("/", make().app); // serves the routes, and does not say which engine is the app's
    await app.request("/");
    assertEquals((seen as { code: string }).code, "not_started");
    assertStringIncludes((seen as { hint: string }).hint, "ext.register(app)");
  });
});

describe("register()", () => {
  it("serves the routes, as host.route() and app.fetch do", async () => {
    const ext = make();
    await ext.start();
    const registered = new Hono();
    ext.register(registered);
    const routed = new Hono().route("/", ext.app);
    for (const app of [registered, routed, ext.app]) {
      const health = await app.request("/api/dispatch/health");
      assertEquals([health.status, (await health.json()).status], [200, "ok"]);
      assertEquals((await app.request("/api/dispatch/v1/jobs")).status, 200);
    }
    await ext.stop();
  });

  it("serves the routes under the base path that was set", async () => {
    for (const [basePath, path] of [["/a/b/", "/a/b/v1/jobs"], ["/", "/v1/jobs"]]) {
      await using ext = make({ basePath });
      await ext.start();
      const app = new Hono();
      ext.register(app);
      assertEquals((await app.request(path)).status, 200);
      assertEquals((await app.request("/api/dispatch/v1/jobs")).status, 404);
    }
  });

  it("leaves the host's own routes alone: no auth, no headers", async () => {
    const ext = make({ auth: { bearer: "secret" } });
    const app = new Hono();
    app.get("/before", (c) => c.text("ok"));
    ext.register(app);
    app.post("/after", (c) => c.text("ok"));
    const before = await app.request("/before");
    const after = await app.request("/after", { method: "POST", body: "a=b" });
    assertEquals([before.status, after.status], [200, 200]);
    assertEquals([...before.headers.keys()], ["content-type"]);
    assertEquals((await app.request("/api/dispatch/v1/jobs")).status, 401);
  });

  it("for the same app again does nothing", () => {
    const ext = make();
    const app = new Hono();
    ext.register(app);
    const routes = app.routes.length;
    ext.register(app);
    assertEquals(app.routes.length, routes);
  });

  it("serves several apps", async () => {
    const ext = make();
    for (const app of [new Hono(), new Hono()]) {
      ext.register(app);
      assertEquals((await app.request("/api/dispatch/health")).status, 503);
    }
  });

  it("refuses what is no Hono app", async () => {
    for (const host of [null, undefined, {}, () => {}]) {
      assertEquals(await codeOf(() => make().register(host as never)), "invalid_option");
    }
  });

  it("refuses an app that has served a request, which takes no more routes", async () => {
    const app = new Hono().get("/", (c) => c.text("ok"));
    await app.request("/");
    assertEquals(await codeOf(() => make().register(app)), "wrong_state");
  });
});

describe("disableRoutes", () => {
  it("has the app serve nothing, and register() still provide the engine", async () => {
    await using ext = make({ disableRoutes: true });
    await ext.start();
    const { found, handler } = finder();
    const app = new Hono();
    ext.register(app);
    app.get("/x", handler);
    await app.request("/x");
    same(found, ext.engine, 1);
    for (const served of [app, ext.app]) {
      for (const path of ["/api/dispatch/health", "/api/dispatch/v1/jobs", "/api/dispatch"]) {
        assertEquals((await served.request(path)).status, 404);
      }
    }
    assertEquals(ext.app.routes, []);
  });
});
