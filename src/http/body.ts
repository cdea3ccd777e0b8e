import type { Context } from "@hono/hono";
import type * as v from "valibot";
import { DispatchError, messageOf } from "../core/errors.ts";
import { check } from "./check.ts";
import { readQuery } from "./query.ts";

/**
 * Reads the JSON object that a request must have as its body. A field that is `null` counts as left
 * out, so that what was read from this API can be sent back.
 *
 * @throws {DispatchError} `invalid_request` for a body that is missing or no JSON object, and for an
 * unknown or unfit field; also for any query, since everything belongs in the body
 */
export async function readBody<Entries extends v.ObjectEntries>(
  c: Context,
  entries: Entries,
): Promise<v.InferOutput<v.ObjectSchema<Entries, undefined>>> {
  const body = await readObject(c);
  if (body === null) throw refuse("it is empty", "Send a JSON object.");
  return checkBody(c, body, entries);
}

/**
 * The same where the body may be empty, which means `{}`.
 *
 * @throws {DispatchError} `invalid_request`
 */
export async function readOptionalBody<Entries extends v.ObjectEntries>(
  c: Context,
  entries: Entries,
): Promise<v.InferOutput<v.ObjectSchema<Entries, undefined>>> {
  return checkBody(c, await readObject(c) ?? {}, entries);
}

function checkBody<Entries extends v.ObjectEntries>(
  c: Context,
  body: object,
  entries: Entries,
): v.InferOutput<v.ObjectSchema<Entries, undefined>> {
  readQuery(c, {});
  const given = Object.entries(body).map(([name, value]) => [name, value ?? undefined] as const);
  return check("the body", new Map<string, unknown>(given), entries);
}

/** The object in the body, or `null` where there is no body. */
async function readObject(c: Context): Promise<object | null> {
  const bytes = await c.req.arrayBuffer();
  if (bytes.byteLength === 0) return null;
  const type = c.req.header("Content-Type") ?? "none";
  if (!/^application\/(?:[\w.+-]+\+)?json(?:\s*;.*)?$/i.test(type.trim())) {
    throw refuse(`its content type is ${JSON.stringify(type)}`, "Send it as application/json.");
  }
  const value = parse(bytes);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value;
  throw refuse("it is not an object", "Send a JSON object.");
}

function parse(bytes: ArrayBuffer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (thrown) {
    throw refuse(`it is not JSON (${messageOf(thrown)})`, "Send JSON in UTF-8.");
  }
}

function refuse(why: string, hint: string): DispatchError {
  return new DispatchError("invalid_request", `Cannot accept the body: ${why}`, { hint });
}
