import { DispatchError, show } from "../core/errors.ts";
import { suggest } from "../core/suggest.ts";

/** A name that `strictNames` refuses. It is loaded when there is one: see `on_demand.ts`. */
export function unknownJob(name: string, known: Iterable<string>): DispatchError {
  return new DispatchError("unknown_job", `Cannot enqueue ${show(name)}: no such job`, {
    hint: suggest(name, [...known]),
  });
}
