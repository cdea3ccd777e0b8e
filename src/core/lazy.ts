/** What is loaded when it is first wanted. */

import { DispatchError, messageOf } from "./errors.ts";

/**
 * Loads code once, when it is first asked for; after a failure the next call tries again.
 *
 * @param what how errors call it, e.g. `"the code of workflows"`
 * @throws {DispatchError} `internal` where it cannot be loaded
 */
export function lazy<Code>(what: string, load: () => Promise<Code>): () => Promise<Code> {
  let loading: Promise<Code> | null = null;
  return () =>
    loading ??= load().catch((thrown) => {
      loading = null;
      throw new DispatchError("internal", `Cannot load ${what}: ${messageOf(thrown)}`, {
        hint: "Deploy every file of the package, and every chunk that a bundler made of it.",
        cause: thrown,
      });
    });
}

/** Asynchronous methods of an object that is loaded when one of them is called. */
export function lazyMethods<Part, Name extends keyof Part>(
  load: () => Promise<Part>,
  names: readonly Name[],
): Pick<Part, Name> {
  const method = (name: Name) => async (...args: unknown[]) => {
    const part = await load();
    return await (part[name] as (...args: unknown[]) => unknown).apply(part, args);
  };
  return Object.fromEntries(names.map((name) => [name, method(name)])) as Pick<Part, Name>;
}
