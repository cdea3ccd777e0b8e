/** Whether the keys under the prefix are ours, and of a layout that this release knows. */

import { DispatchError } from "../../core/errors.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import { encode } from "./value.ts";

const LAYOUT = { application: "dispatch", layout: 1 } as const;

/** Marks an empty prefix as ours; does nothing where it is. */
export async function markLayout(database: Database): Promise<void> {
  await database.insist(async () => {
    const mark = await checkLayout(database);
    if (mark.value !== null) return true;
    const draft = new Draft();
    draft.check(mark);
    draft.set(mark.key, encode(LAYOUT));
    return await database.commit(draft) === null ? null : true;
  });
}

/**
 * @throws {DispatchError} `invalid_option` where somebody else's keys are, `schema_newer` where a later
 * release was at work
 */
export async function checkLayout(database: Database): Promise<KvEntry> {
  const { keys } = database;
  const mark = await database.get(keys.version());
  const [other] = mark.value === null
    ? await database.page({ prefix: keys.section() }, 1)
    : [isOurs(mark.value) ? undefined : mark];
  if (other !== undefined) {
    throw new DispatchError(
      "invalid_option",
      `Cannot keep jobs under the prefix "${keys.prefix}": this KV has keys of another application ` +
        `there, such as ${
          JSON.stringify(other.key, (_, part) => typeof part === "bigint" ? String(part) : part)
        }`,
      { hint: 'Pass another prefix, such as kvStore(path, { prefix: "jobs" }), or another KV.' },
    );
  }
  const layout = mark.value === null ? LAYOUT.layout : readMark(mark.value).layout as number;
  if (layout <= LAYOUT.layout) return mark;
  throw new DispatchError(
    "schema_newer",
    `Cannot use the KV: its layout is ${layout}, this release knows ${LAYOUT.layout}`,
  );
}

function isOurs(value: unknown): boolean {
  const { application, layout } = readMark(value);
  return application === LAYOUT.application && typeof layout === "number";
}

function readMark(value: unknown): { application?: unknown; layout?: unknown } {
  try {
    return JSON.parse(new TextDecoder().decode(value as Uint8Array)) ?? {};
  } catch { // anything may be there
    return {};
  }
}
