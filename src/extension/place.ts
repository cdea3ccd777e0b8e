/** Where a value was given, so that an error about it can say so: in a file, or in code. */

import { DispatchError } from "../core/errors.ts";
import { listNames, suggest } from "../core/name.ts";

/** Where a value was given. */
export interface Place {
  /** What was given, by its name there. */
  readonly name: string;
  /** How a field is spelled there: `basePath` in code, `base_path` in YAML. */
  spell(name: string): string;
  /** The place of a field, by the key that was typed, or of an item of a list. */
  at(key: string | number): Place;
  /** The value has another type than was expected. */
  wrongType(expected: string, found: unknown): DispatchError;
  /** The value has the right type and is impossible; `reason` says why. */
  invalid(reason: DispatchError): DispatchError;
  /** The value holds a key that nobody knows. */
  unknownKey(key: string, known: readonly string[]): DispatchError;
}

/** Somewhere in `source`, a file or what stands for one. Errors have a code of their own. */
export function placeInConfig(source: string, path: string): Place {
  const fail = (code: "config_wrong_type" | "config_invalid_value", why: string, from?: Error) =>
    new DispatchError(code, `Cannot use ${path || "the value"} in ${source}: ${why}`, {
      hint: from instanceof DispatchError ? from.hint : undefined,
      cause: from,
    });
  return {
    name: path,
    spell: (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    at: (key) => placeInConfig(source, join(path, key)),
    wrongType: (expected, found) =>
      fail("config_wrong_type", `expected ${expected}, found ${describe(found)}`),
    invalid: (reason) =>
      fail("config_invalid_value", reason.message.replace(/^Cannot/, "cannot"), reason),
    unknownKey: (key, known) =>
      new DispatchError(
        "config_unknown_key",
        `Cannot use ${join(path, key)} in ${source}: no such key`,
        {
          hint: suggest(key, known, `Known keys are ${listNames(known)}.`),
        },
      ),
  };
}

/** An option of `createExtension`, or a part of one. */
export function placeInCode(path: string): Place {
  return {
    name: path,
    spell: (name) => name,
    at: (key) => placeInCode(join(path, key)),
    wrongType: (expected, found) =>
      new DispatchError(
        "invalid_option",
        `Cannot use the option ${path}: expected ${expected}, found ${describe(found)}`,
      ),
    invalid: (reason) => reason,
    unknownKey: (key, known) =>
      new DispatchError(
        "invalid_option",
        `Cannot use the option ${join(path, key)}: no such option`,
        {
          hint: suggest(key, known, `Known options are ${listNames(known)}.`),
        },
      ),
  };
}

/** `a.b`, `a[0]`; a key that would be misread is quoted. */
function join(path: string, key: string | number): string {
  if (typeof key === "number") return `${path}[${key}]`;
  const shown = /^[\w-]+$/.test(key) ? key : JSON.stringify(key.slice(0, 60));
  return path === "" ? shown : `${path}.${shown}`;
}

/** A value as an error shows it: its type, and where it is short the value itself. */
function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return `the text ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)}`;
    case "number":
    case "boolean":
      return `${value}`;
    case "object":
      if (value === null) return "null";
      if (Array.isArray(value)) return "a list";
      return value instanceof Date ? "a date" : "an object";
    default:
      return value === undefined ? "nothing" : `a ${typeof value}`;
  }
}
