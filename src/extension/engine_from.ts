/**
 * How a handler finds the engine.
 *
 * Middleware that sets a variable would reach only the handlers that are added after it. But Hono
 * tells a request about every route that matches it, also those that are never reached: so
 * `ext.register(host)` adds a middleware that matches all of the host's requests and does nothing,
 * and the engine is found by that middleware, wherever the handler stands.
 */

import type { Context, Hono, MiddlewareHandler } from "@hono/hono";
import { matchedRoutes } from "@hono/hono/route";
import { findTargetHandler } from "@hono/hono/utils/handler";
import { DispatchError } from "../core/errors.ts";
import type { Engine } from "../engine/engine.ts";

/** The engine that each marker stands for. */
// deno-lint-ignore ban-types -- Hono's own type of what findTargetHandler() returns
const engines = new WeakMap<Function, Engine>();

/**
 * Has `engineFrom()` find the engine in every handler of a host.
 *
 * @throws {DispatchError} `invalid_option` for what is no Hono app, `wrong_state` for one that has
 * served a request already
 */
export function provideEngine(host: AnyHono, engine: Engine): void {
  if (typeof host?.use !== "function" || typeof host.route !== "function") {
    throw new DispatchError("invalid_option", "Cannot register on this host: it is no Hono app", {
      hint: "Pass the app itself: ext.register(app).",
    });
  }
  const marker: MiddlewareHandler = (_c, next) => next();
  engines.set(marker, engine);
  try {
    host.use(marker);
  } catch (error) { // its router is built by the first request and takes no routes after that
    throw new DispatchError(
      "wrong_state",
      "Cannot register on this host: it has served a request already",
      { hint: "Call ext.register(app) before the app serves.", cause: error },
    );
  }
}

/**
 * The engine of the extension that was registered on the app that serves this request, in any of its
 * handlers and middleware, added before or after `ext.register(app)`. Of several extensions it is
 * the one that was registered last.
 *
 * @throws {DispatchError} `not_started` where none was registered
 *
 * @example
 * ```ts
 * import { createExtension, engineFrom } from "@dispatch/dispatch";
 * import { Hono } from "@hono/hono";
 *
 * const app = new Hono();
 * const ext = createExtension({ config: false });
 * ext.register(app);
 *
 * app.post("/signup", async (c) => {
 *   const job = await engineFrom(c).enqueue("send_email", await c.req.json());
 *   return c.json({ job: job.id }, 202);
 * });
 * ```
 */
// deno-lint-ignore no-explicit-any -- only any accepts the contexts of every app
export function engineFrom(c: Context<any, any, any>): Engine {
  for (const { handler } of matchedRoutes(c).reverse()) {
    const engine = engines.get(findTargetHandler(handler));
    if (engine !== undefined) return engine;
  }
  throw new DispatchError(
    "not_started",
    "Cannot find the engine: no extension is registered on the app that serves this request",
    { hint: "Call ext.register(app) before the app serves; ext.engine works everywhere." },
  );
}

/** A Hono app, whatever its types. */
// deno-lint-ignore no-explicit-any -- only any accepts the types of every app
export type AnyHono = Hono<any, any, any>;
