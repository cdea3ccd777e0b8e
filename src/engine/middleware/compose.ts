import type { JobContext } from "../definition.ts";

/**
 * Wraps the handling of a job. It may look at the job, run code before and after `next()`, change
 * what is returned, throw, or not call `next` at all.
 *
 * @example
 * ```ts
 * import type { Middleware } from "@dispatch/dispatch";
 *
 * const timed: Middleware = async (job, next) => {
 *   const start = performance.now();
 *   try {
 *     return await next();
 *   } finally {
 *     console.log(job.name, performance.now() - start, "ms");
 *   }
 * };
 * ```
 */
export type Middleware = (job: JobContext, next: () => Promise<unknown>) => Promise<unknown>;

/**
 * Joins middleware into one; the first is the outermost.
 *
 * @example
 * ```ts
 * import { compose, logging, recover } from "@dispatch/dispatch";
 *
 * const usual = compose(recover(), logging());
 * ```
 */
export function compose(...middleware: readonly Middleware[]): Middleware {
  if (middleware.length === 1) return middleware[0];
  return (job, next) => {
    const run = (at: number): Promise<unknown> => {
      try {
        return at === middleware.length ? next() : middleware[at](job, () => run(at + 1));
      } catch (thrown) { // whoever calls next() may rely on a promise
        return Promise.reject(thrown);
      }
    };
    return run(0);
  };
}
