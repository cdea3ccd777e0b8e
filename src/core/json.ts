import { DispatchError, messageOf } from "./errors.ts";

/** A value that JSON can carry without loss. */
export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

/**
 * JSON text. Payloads, results and progress travel and rest as text: a copy is made on the way in
 * and on the way out by construction, and every store can keep it.
 */
export type JsonText = string;

const encoder = new TextEncoder();

/**
 * Encodes a value as JSON text, refusing what JSON.stringify would drop or change silently.
 * `undefined` becomes `null`; a property that is `undefined` is left out; what has a `toJSON`
 * (a Date, a URL) is written as that says.
 *
 * @param what how errors call the value, e.g. `"the payload of send_email"`
 * @throws {DispatchError} `payload_not_json` with the path of the offending value
 * @throws {DispatchError} `payload_too_large` over `maxBytes` of UTF-8
 */
export function encodeJson(value: unknown, what: string, maxBytes: number): JsonText {
  if (value === undefined || value === null) return "null";
  const text = stringify(value, what);
  // A UTF-16 unit takes at most 3 bytes in UTF-8: most texts need no exact count.
  if (text.length * 3 > maxBytes) {
    const bytes = encoder.encode(text).length;
    if (bytes > maxBytes) {
      throw new DispatchError(
        "payload_too_large",
        `Cannot store ${what}: it takes ${bytes} bytes as JSON, the limit is ${maxBytes}`,
      );
    }
  }
  return text;
}

/** Decodes JSON text into a fresh value that shares nothing with any other copy. */
export function decodeJson(text: JsonText): unknown {
  return text === "null" ? null : JSON.parse(text);
}

/** Deeper nesting would exhaust the stack, here or in whatever reads it later. */
const MAX_DEPTH = 1000;

function stringify(value: unknown, what: string): JsonText {
  try {
    refuseLossy(value, what, []);
    return JSON.stringify(value) ?? "null"; // toJSON() may have said undefined
  } catch (thrown) {
    if (thrown instanceof DispatchError) throw thrown;
    const problem = `cannot be read: ${messageOf(thrown)}`; // a getter or toJSON() threw
    throw lossy(what, problem, thrown);
  }
}

/** Walks the value once; `ancestors` is both the cycle check and the depth. */
function refuseLossy(value: unknown, path: string, ancestors: object[]): void {
  switch (typeof value) {
    case "string":
    case "boolean":
    case "undefined":
      return;
    case "number":
      if (Number.isFinite(value)) return;
      throw lossy(path, `is ${value}, which JSON cannot carry`);
    case "object":
      break;
    default:
      throw lossy(path, `is a ${typeof value}, which JSON cannot carry`);
  }
  if (value === null) return;
  if (ancestors.includes(value)) throw lossy(path, "refers back to itself (a cycle)");
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") {
    return refuseDescribed(value, path, ancestors);
  }
  refuseContent(value, path, ancestors);
}

/** An object that describes itself (a Date, a URL): what it says must be JSON in its turn. */
function refuseDescribed(value: object, path: string, ancestors: object[]): void {
  const described = (value as { toJSON(): unknown }).toJSON();
  if (described === null && value instanceof Date) throw lossy(path, "is an invalid Date");
  if (described === undefined && Array.isArray(ancestors.at(-1))) throw lossy(path, IS_UNDEFINED);
  if (typeof described !== "object" || described === null) {
    return refuseLossy(described, path, ancestors);
  }
  if (described === value) return refuseContent(value, path, ancestors);
  ancestors.push(value);
  if (ancestors.includes(described)) throw lossy(path, "refers back to itself (a cycle)");
  refuseContent(described, path, ancestors); // whose own toJSON() nobody asks
  ancestors.pop();
}

function refuseContent(value: object, path: string, ancestors: object[]): void {
  if (ancestors.push(value) > MAX_DEPTH) {
    throw lossy(path, `is nested too deep: more than ${MAX_DEPTH} levels`);
  }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (value[i] === undefined) throw lossy(`${path}[${i}]`, IS_UNDEFINED);
      if (typeof value[i] !== "string") refuseLossy(value[i], `${path}[${i}]`, ancestors);
    }
  } else {
    const prototype = Object.getPrototypeOf(value);
    const plain = prototype === Object.prototype || prototype === null;
    if (!plain && isLossyClass(value)) {
      throw lossy(
        path,
        `is a ${value.constructor?.name ?? "special object"}, whose content JSON would drop`,
      );
    }
    for (const key in value) {
      if (!plain && !Object.hasOwn(value, key)) continue;
      const child = (value as Record<string, unknown>)[key];
      const kind = typeof child;
      // Paths are only built for what may nest or fail: this walk is on the path of every enqueue.
      if (kind === "string" || kind === "boolean" || kind === "undefined") continue;
      if (kind === "number" && Number.isFinite(child)) continue;
      refuseLossy(child, `${path}.${key}`, ancestors);
    }
  }
  ancestors.pop();
}

/** Classes whose objects JSON.stringify would write as `{}`, as null, or not at all. */
const LOSSY = [
  ...[Map, Set, WeakMap, WeakSet, Promise, RegExp, Error, ArrayBuffer, Date, BigInt, Symbol],
];

function isLossyClass(value: object): boolean {
  return LOSSY.some((lossy) => value instanceof lossy) || ArrayBuffer.isView(value) ||
    (value instanceof Number && !Number.isFinite(value.valueOf()));
}

const IS_UNDEFINED = "is undefined, which JSON cannot carry";

function lossy(path: string, problem: string, cause?: unknown): DispatchError {
  const where = path.length > 200 ? `${path.slice(0, 200)}…` : path;
  return new DispatchError("payload_not_json", `Cannot store ${where}: it ${problem}`, { cause });
}
