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

/**
 * Stands for an object that is loaded when one of its methods is called. All of them have to be named,
 * and all have to be asynchronous.
 */
export function standIn<Whole>(
  load: () => Promise<Whole>,
  methods: readonly (keyof Whole & string)[],
): Whole {
  const method = (name: keyof Whole) => async (...args: unknown[]) => {
    const whole = await load();
    return (whole[name] as (...args: unknown[]) => unknown).apply(whole, args);
  };
  return Object.fromEntries(methods.map((name) => [name, method(name)])) as Whole;
}
