import type { Context, Hono } from "@hono/hono";
import { DispatchError, ERROR_HINTS } from "../core/errors.ts";

/** `not_found` for a path that no route has. */
export function noRoute(c: Context): DispatchError {
  return new DispatchError("not_found", `Cannot find the route ${c.req.method} ${c.req.path}`, {
    hint: "Check the path; it starts with the basePath of the extension.",
  });
}

/**
 * Answers 405 for the routes that are there so far when they are asked with another method. To be
 * called behind all of them.
 */
export function refuseOtherMethods(app: Hono): void {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of app.routes) {
    if (method === "ALL") continue;
    const taken = methods.get(path) ?? new Set();
    taken.add(method);
    if (method === "GET") taken.add("HEAD");
    methods.set(path, taken);
  }
  for (const [path, taken] of methods) {
    const allow = [...taken].sort().join(", ");
    app.all(path, (c) =>
      c.json(
        {
          error: `Cannot ${c.req.method} ${c.req.path}: it takes ${allow}`,
          code: "invalid_request",
          hint: ERROR_HINTS.invalid_request,
        },
        405,
        { Allow: allow },
      ));
  }
}
