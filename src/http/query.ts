import type { Context } from "@hono/hono";
import * as v from "valibot";
import { DispatchError } from "../core/errors.ts";
import { type List, MAX_LIMIT } from "../engine/list.ts";
import { check } from "./check.ts";

/** A whole number in a query. */
function whole(min: number, max: number) {
  const rule = `must be a whole number from ${min} to ${max}`;
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,16}$/, rule),
    v.transform(Number),
    v.minValue(min, rule),
    v.maxValue(max, rule),
  );
}

/** `true` or `false` in a query. */
export const FLAG = v.pipe(v.picklist(["true", "false"]), v.transform((text) => text === "true"));

/** What every list takes. */
export const PAGE = {
  limit: v.optional(whole(1, MAX_LIMIT)),
  offset: v.optional(whole(0, Number.MAX_SAFE_INTEGER)),
  cursor: v.optional(
    v.pipe(v.string(), v.regex(/^[\x21-\x7e]{1,500}$/, "must be the X-Next-Cursor of a page")),
  ),
};

/**
 * Reads the query. A parameter that is empty, as in `?state=&limit=10`, counts as left out.
 *
 * @throws {DispatchError} `invalid_request` for an unknown, repeated or unfit parameter
 */
export function readQuery<Entries extends v.ObjectEntries>(
  c: Context,
  entries: Entries,
): v.InferOutput<v.ObjectSchema<Entries, undefined>> {
  const values = new Map<string, string | undefined>();
  for (const [name, value] of new URL(c.req.url).searchParams) {
    if (values.has(name)) {
      throw new DispatchError(
        "invalid_request",
        `Cannot accept the query: ${JSON.stringify(name)} is given twice`,
        { hint: "Give each parameter once." },
      );
    }
    values.set(name, value === "" ? undefined : value);
  }
  return check("the query", values, entries);
}

/** Answers with a page as a bare array; where another follows, headers tell how to get it. */
export function sendPage<Item>(
  c: Context,
  list: List<Item>,
  toWire: (item: Item) => object,
): Response {
  if (list.nextCursor !== null) {
    const next = new URL(c.req.url);
    next.searchParams.delete("offset"); // the cursor is behind what the offset skipped
    next.searchParams.set("cursor", list.nextCursor);
    c.header("Link", `<${next.pathname}${next.search}>; rel="next"`);
    c.header("X-Next-Cursor", list.nextCursor);
  }
  return c.json(list.map((item) => toWire(item)));
}
