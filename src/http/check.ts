import * as v from "valibot";
import { DispatchError } from "../core/errors.ts";
import { listNames, suggest } from "../core/name.ts";

/** A duration in a body: milliseconds or text. */
export const DURATION = v.union([v.number(), v.string()]);

/**
 * Checks named values against one schema for each name that is known.
 *
 * @param what how errors call the whole, e.g. `"the query"`
 * @throws {DispatchError} `invalid_request` that names the value, or the suggest known name
 */
export function check<Entries extends v.ObjectEntries>(
  what: string,
  values: ReadonlyMap<string, unknown>,
  entries: Entries,
): v.InferOutput<v.ObjectSchema<Entries, undefined>> {
  for (const name of values.keys()) {
    if (!Object.hasOwn(entries, name)) throw unknownName(what, name, Object.keys(entries));
  }
  const result = v.safeParse(v.object(entries), Object.fromEntries(values));
  if (result.success) return result.output;
  throw new DispatchError(
    "invalid_request",
    `Cannot accept ${what}: ${result.issues.map(describe).join("; ")}`,
  );
}

function unknownName(what: string, name: string, known: readonly string[]): DispatchError {
  const others = known.length === 0 ? "None are taken here." : `Known are ${listNames(known)}.`;
  return new DispatchError(
    "invalid_request",
    `Cannot accept ${what}: ${JSON.stringify(shorten(name))} is not known`,
    {
      hint: suggest(name, known, others),
    },
  );
}

function describe(issue: v.BaseIssue<unknown>): string {
  const path = v.getDotPath(issue) ?? "it";
  if (issue.received === "undefined") return `${path} is missing`;
  // Schemas name what they expect; the message of a rule within one is a sentence of ours.
  return issue.kind === "schema"
    ? `${path} must be ${issue.expected}, not ${shorten(issue.received)}`
    : `${path} ${issue.message}, not ${shorten(issue.received)}`;
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
