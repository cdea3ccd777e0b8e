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
 * Stands for an object that is loaded when one of its methods is called.
 *
 * @param methods all that it has, each of which has to be asynchronous
 */
export function standIn<Whole>(
  load: () => Promise<Whole>,
  methods: Record<keyof Whole & string, true>,
): Whole {
  const method = (name: string) => async (...args: unknown[]) => {
    const whole = await load();
    return (whole[name as keyof Whole] as (...args: unknown[]) => unknown).apply(whole, args);
  };
  return Object.fromEntries(Object.keys(methods).map((name) => [name, method(name)])) as Whole;
}
