import { DispatchError } from "./errors.ts";

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
  refuseLossy(value, what, []);
  const text = JSON.stringify(value) ?? "null"; // toJSON() may have said undefined
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

/** Walks the value once; `ancestors` is both the cycle check and, on failure, the path. */
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
    return refuseToJson(value, path, ancestors);
  }
  ancestors.push(value);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (value[i] === undefined) {
        throw lossy(`${path}[${i}]`, "is undefined, which JSON cannot carry");
      }
      if (typeof value[i] !== "string") refuseLossy(value[i], `${path}[${i}]`, ancestors);
    }
  } else {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null && isLossyClass(value)) {
      throw lossy(
        path,
        `is a ${value.constructor?.name ?? "special object"}, whose content JSON would drop`,
      );
    }
    for (const key in value) {
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

/** An object that describes itself (a Date, a URL): what it says must be JSON in its turn. */
function refuseToJson(value: object, path: string, ancestors: object[]): void {
  const described = (value as { toJSON(): unknown }).toJSON();
  if (described === null && value instanceof Date) throw lossy(path, "is an invalid Date");
  if (described === value) return;
  ancestors.push(value);
  refuseLossy(described, path, ancestors);
  ancestors.pop();
}

/** Containers whose entries are not own enumerable properties: JSON.stringify writes `{}`. */
function isLossyClass(value: object): boolean {
  return value instanceof Map || value instanceof Set || value instanceof WeakMap ||
    value instanceof WeakSet || value instanceof Promise || value instanceof RegExp ||
    value instanceof Error || value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

function lossy(path: string, problem: string): DispatchError {
  return new DispatchError("payload_not_json", `Cannot store ${path}: it ${problem}`);
}
