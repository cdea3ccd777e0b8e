import { Hono, type MiddlewareHandler } from "@hono/hono";
import type { Logger } from "../core/logger.ts";
import type { Engine } from "../engine/engine.ts";
import { type Auth, authenticate } from "./auth.ts";
import { deadLetterRoutes } from "./dead_letters.ts";
import { type Health, healthRoutes } from "./health.ts";
import { jobRoutes } from "./jobs.ts";
import { noRoute, refuseOtherMethods } from "./no_route.ts";
import { problem } from "./problem.ts";
import { queueRoutes } from "./queues.ts";
import { safeHeaders, sameOrigin, smallBody } from "./safety.ts";
import { statsRoutes } from "./stats.ts";
import { workflowRoutes } from "./workflows.ts";

/** What {@link createApp} takes. */
export interface AppOptions {
  /** What the routes act on; until it has started they answer 503. */
  engine: Engine;
  /** Prefix of every route; `"/"` or `""` for none. */
  basePath: string;
  /** Who is let in. Left out, everyone is. */
  auth?: Auth;
  /** What `/health` shows. */
  health: () => Promise<Health>;
  /** Where failures that no caller caused are logged. */
  logger: Logger;
  /** Largest body that is read, in bytes. Default 2 MiB. */
  maxBodyBytes?: number;
}

/**
 * Makes the app that serves the admin API, each route already under `basePath`: it answers by
 * itself, and mounted with `host.route("/", app)` it answers below `basePath` and nowhere else.
 *
 * @throws {DispatchError} `invalid_option` for an `auth` that would let nobody in
 */
export function createApp(options: AppOptions): Hono {
  const { engine, logger, maxBodyBytes = 2 * 2 ** 20 } = options;
  const base = withoutSlash(options.basePath);
  // A host shares the root with us: there we own single names only.
  const own = base === "" ? ["/health", "/v1/*"] : [`${base}/*`];
  const app = new Hono();
  app.onError((error, c) => problem(c, error, logger));
  app.notFound((c) => problem(c, noRoute(c), logger));

  app.on("ALL", own, safeHeaders(), catchAll(logger));
  app.route(`${base}/health`, healthRoutes(options.health));
  app.on("ALL", own, sameOrigin());
  if (options.auth !== undefined) app.on("ALL", own, authenticate(options.auth));
  app.on("ALL", own, smallBody(maxBodyBytes));
  app.route(`${base}/v1/jobs`, jobRoutes(engine));
  app.route(`${base}/v1/dlq`, deadLetterRoutes(engine));
  app.route(`${base}/v1/queues`, queueRoutes(engine));
  app.route(`${base}/v1/workflows`, workflowRoutes(engine));
  app.route(`${base}/v1/stats`, statsRoutes(engine));

  refuseOtherMethods(app);
  // Not c.notFound(): mounted, that would be the host's.
  app.on("ALL", own, (c) => problem(c, noRoute(c), logger));
  return app;
}

/** Hono hands errors to onError, but lets pass what is thrown and is none. */
function catchAll(logger: Logger): MiddlewareHandler {
  return async (c, next) => {
    try {
      await next();
    } catch (thrown) {
      return problem(c, thrown, logger);
    }
  };
}

function withoutSlash(path: string): string {
  const trimmed = path.replace(/^\/+|\/+$/g, "");
  return trimmed === "" ? "" : `/${trimmed}`;
}
