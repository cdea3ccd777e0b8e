/**
 * The options that are data: those that YAML can set too. One table says what each takes, and reads
 * it wherever it was given; keys in YAML are the same names in snake_case.
 */

import { type Duration, parseDuration } from "../core/duration.ts";
import { DispatchError } from "../core/errors.ts";
import { checkQueue } from "../core/name.ts";
import { type EngineOptions, readOptions } from "../engine/options.ts";
import { checkLimits, type QueueLimits } from "../engine/queue_limits.ts";
import type { Retention } from "../engine/retention.ts";
import { parseBasePath } from "./base_path.ts";
import type { Place } from "./place.ts";

/** The options that are data, checked. */
export interface DataOptions extends
  Pick<
    EngineOptions,
    | "concurrency"
    | "queues"
    | "queueLimits"
    | "strictNames"
    | "pollInterval"
    | "maxPollInterval"
    | "heartbeatInterval"
    | "leaseDuration"
    | "shutdownTimeout"
    | "retention"
  > {
  groveDatabase?: string;
  groveKv?: string;
  basePath?: string;
  disableRoutes?: boolean;
  disableMigrate?: boolean;
}

/** Checks a value; what it returns is what is used. */
type Reader<Value> = (value: unknown, place: Place) => Value;

const FIELDS: { readonly [Name in keyof DataOptions]-?: Reader<DataOptions[Name]> } = {
  groveDatabase: text,
  groveKv: text,
  concurrency: (value, place) => {
    const concurrency = number(value, place, "a whole number");
    return valid(place, () => readOptions({ concurrency }).concurrency);
  },
  queues: (value, place) => {
    if (!Array.isArray(value)) throw place.wrongType("a list of names", value);
    const queues = value.map((name, i) => {
      const queue = text(name, place.at(i));
      return valid(place.at(i), () => checkQueue(queue));
    });
    return valid(place, () => readOptions({ queues }).queues);
  },
  queueLimits: (value, place) => {
    const limits = new Map<string, QueueLimits>();
    for (const [name, given] of Object.entries(record(value, "limits by queue", place))) {
      const queue = place.at(name);
      valid(queue, () => checkQueue(name));
      const read = readLimits(given, queue);
      limits.set(name, valid(queue, () => checkLimits(name, read)));
    }
    return Object.fromEntries(limits);
  },
  basePath: (value, place) => {
    const path = text(value, place);
    return valid(place, () => parseBasePath(path, place.name));
  },
  disableRoutes: boolean,
  disableMigrate: boolean,
  strictNames: boolean,
  pollInterval: (value, place) => duration(value, place, 1),
  maxPollInterval: (value, place) => duration(value, place, 1),
  heartbeatInterval: (value, place) => duration(value, place, 1),
  leaseDuration: (value, place) => duration(value, place, 1),
  shutdownTimeout: (value, place) => duration(value, place),
  retention: (value, place) => {
    if (typeof value !== "object" || value === null) {
      return value === false ? false : duration(value, place, 0, "a duration, false or an object");
    }
    return readObject<Retention>(value, RETENTION, place);
  },
};

const RETENTION: { readonly [Kind in keyof Retention]-?: Reader<Retention[Kind]> } = {
  completed: age,
  failed: age,
  cancelled: age,
  deadLetters: age,
  events: age,
};

/** Names of the options that are data. */
export const DATA_OPTIONS = Object.keys(FIELDS) as readonly (keyof DataOptions)[];

/**
 * Reads an object whose keys are spelled as the place spells them.
 *
 * @throws {DispatchError} what the place makes of an unknown key, a wrong type, an impossible value
 */
export function readFields(given: Readonly<Record<string, unknown>>, place: Place): DataOptions {
  return readObject<DataOptions>(given, FIELDS, place);
}

function readObject<Result extends object>(
  given: unknown,
  readers: { readonly [Name in keyof Result]-?: Reader<Result[Name]> },
  place: Place,
): Result {
  const names = Object.keys(readers) as (keyof Result & string)[];
  const byKey = new Map(names.map((name) => [place.spell(name), name]));
  const result: Partial<Result> = {};
  for (const [key, value] of Object.entries(record(given, "an object", place))) {
    const name = byKey.get(key);
    if (name === undefined) throw place.unknownKey(key, [...byKey.keys()]);
    if (value !== undefined) result[name] = readers[name](value, place.at(key));
  }
  return result as Result;
}

function readLimits(value: unknown, place: Place): QueueLimits {
  return readObject<QueueLimits>(value, {
    concurrency: (given, at) => given === null ? null : number(given, at, "a whole number or null"),
  }, place);
}

function text(value: unknown, place: Place): string {
  if (typeof value === "string") return value;
  throw place.wrongType("text", value);
}

function boolean(value: unknown, place: Place): boolean {
  if (typeof value === "boolean") return value;
  throw place.wrongType("true or false", value);
}

function age(value: unknown, place: Place): Duration | false {
  return value === false ? false : duration(value, place, 0, "a duration or false");
}

function duration(value: unknown, place: Place, leastMs = 0, expected = "a duration"): Duration {
  if (typeof value !== "number" && typeof value !== "string") {
    throw place.wrongType(expected, value);
  }
  return valid(place, () => {
    if (parseDuration(value, place.name) >= leastMs) return value;
    throw new DispatchError(
      "invalid_duration",
      `Cannot use ${JSON.stringify(value)} as ${place.name}: it must be at least 1 ms`,
    );
  });
}

function record(value: unknown, expected: string, place: Place): Record<string, unknown> {
  if (isRecord(value)) return value;
  throw place.wrongType(expected, value);
}

/** Whether a value is an object with keys: neither null nor a list nor a date. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Date);
}

function number(value: unknown, place: Place, expected: string): number {
  if (typeof value === "number") return value;
  throw place.wrongType(expected, value);
}

/** Has an error of the rule that was broken say where the value was given. */
function valid<Value>(place: Place, check: () => Value): Value {
  try {
    return check();
  } catch (error) {
    throw error instanceof DispatchError ? place.invalid(error) : error;
  }
}
