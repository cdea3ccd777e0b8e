import type { Scope } from "../../core/job.ts";
import { inheritScope } from "../execution.ts";
import type { Middleware } from "./compose.ts";

/**
 * Carries the tenant of a job into its handler: jobs that are enqueued through `job.engine` belong
 * to the same scope unless they name one. With `enter`, the handler also runs inside the tenant
 * context of the application.
 *
 * @example
 * ```ts
 * import { AsyncLocalStorage } from "node:async_hooks";
 * import { createExtension, type Scope, scope } from "@dispatch/dispatch";
 *
 * const tenant = new AsyncLocalStorage<Scope>();
 * const ext = createExtension({
 *   middleware: [scope((current, next) => tenant.run(current, next))],
 *   config: false,
 * });
 * ```
 */
export function scope(
  enter?: (scope: Scope, next: () => Promise<unknown>) => Promise<unknown>,
): Middleware {
  return (job, next) => {
    inheritScope(job);
    return enter === undefined ? next() : enter(job.scope, next);
  };
}
