/** How a record rests: what is usual is left out, and what is long lies in pieces beside it. */

import { DispatchError } from "../../core/errors.ts";
import type { Draft } from "./draft.ts";
import type { Keys } from "./keys.ts";
import { cut, decode, encode, join } from "./value.ts";

/** Largest payload or result: it is written together with its record, and a commit takes 800 KiB. */
export const MAX_BYTES = 640 * 1024;
/** Longer texts lie beside their record. */
const INLINE_LENGTH = 2048;

/** In how many pieces each field is that lies beside a record. */
export type Pieces = Readonly<Record<string, number>>;

/** A record as it was read or written. */
export interface Stored<Kept> {
  /** The record; fields that lie beside it may still be missing. */
  readonly record: Kept;
  /** What lies beside it; `null` where nothing does. */
  readonly pieces: Pieces | null;
}

/** A record as it is written. */
export interface Slim {
  readonly id?: string;
  readonly pieces?: Pieces;
}

/** What is asked of a format. */
interface Rules<Kept> {
  /** The values that most records have. */
  readonly usual: Partial<Kept>;
  /** Fields that may be long: texts, and what becomes one as JSON. */
  readonly long: readonly (string & keyof Kept)[];
  /** How large a field may be. Default {@link MAX_BYTES}. */
  readonly maxBytes?: number;
}

/** Long fields that are kept as JSON; any other is a text. */
const AS_JSON: ReadonlySet<string> = new Set(["failure", "tags", "cause", "events"]);
/** Fields whose values are frozen, so that records can share them. */
const FROZEN = ["tags", "scope", "failure", "cause", "events"];

const NO_TAGS: readonly string[] = Object.freeze([]);
const NO_SCOPE: object = Object.freeze({});

/** Writes and reads records of one kind. */
export class Format<Kept extends object> {
  readonly #usual: Readonly<Record<string, unknown>>;
  readonly #long: readonly string[];
  readonly #maxBytes: number;

  constructor({ usual, long, maxBytes = MAX_BYTES }: Rules<Kept>) {
    this.#usual = usual as Record<string, unknown>;
    this.#long = long;
    this.#maxBytes = maxBytes;
  }

  /**
   * The record as a value. What is too long goes to `draft`, unless it is there already in the
   * version `before`; pieces that are not needed any more are removed.
   *
   * @throws {DispatchError} `payload_too_large`
   */
  pack(
    draft: Draft,
    keys: Keys,
    id: string,
    record: Kept,
    before: Stored<object> | null = null,
  ): { readonly value: Uint8Array; readonly stored: Stored<Kept> } {
    const slim = this.#slim(record);
    let pieces: Record<string, number> | null = null;
    for (const field of this.#long) {
      const known = before?.pieces?.[field] ?? 0;
      const value = slim[field];
      const text = toText(value);
      let count = 0;
      if (text.length > INLINE_LENGTH) {
        const unchanged = known > 0 && (before!.record as Record<string, unknown>)[field] === value;
        count = unchanged ? known : this.#write(draft, keys, id, field, text);
        (pieces ??= {})[field] = count;
        delete slim[field];
      }
      for (let n = count; n < known; n++) draft.delete(keys.piece(id, field, n));
    }
    if (pieces !== null) slim.pieces = pieces;
    return { value: encode(slim), stored: { record, pieces } };
  }

  /** What a value says; fields that lie beside it are to be read with {@link Format.complete}. */
  unpack(value: unknown): Stored<Kept> {
    return this.fill(decode<Slim>(value));
  }

  /** The same of a value that was decoded. */
  fill(value: Slim): Stored<Kept> {
    const { pieces = null, ...slim } = value;
    const record = { ...this.#usual, ...slim } as Record<string, unknown>;
    for (const field of FROZEN) {
      if (typeof record[field] === "object") Object.freeze(record[field]);
    }
    return { record: record as Kept, pieces };
  }

  /** The same record with its long fields, which `read` brings. */
  async complete(
    { record, pieces }: Stored<Kept>,
    read: (field: string, count: number) => Promise<unknown[]>,
  ): Promise<Stored<Kept>> {
    if (pieces === null) return { record, pieces };
    const whole = { ...record } as Record<string, unknown>;
    for (const [field, count] of Object.entries(pieces)) {
      const text = join(await read(field, count));
      whole[field] = AS_JSON.has(field) ? Object.freeze(JSON.parse(text)) : text;
    }
    return { record: whole as Kept, pieces };
  }

  #write(draft: Draft, keys: Keys, id: string, field: string, text: string): number {
    const values = cut(text);
    const bytes = values.reduce((sum, value) => sum + value.length, 0);
    if (bytes > this.#maxBytes) {
      throw new DispatchError(
        "payload_too_large",
        `Cannot store the ${field} of ${id}: it takes ${bytes} bytes as JSON, the limit of a KV is ` +
          MAX_BYTES,
      );
    }
    values.forEach((value, n) => draft.set(keys.piece(id, field, n), value));
    return values.length;
  }

  #slim(record: Kept): Record<string, unknown> {
    const slim: Record<string, unknown> = {};
    for (const field in record) {
      const value: unknown = record[field];
      if (value === this.#usual[field]) continue;
      if (Array.isArray(value) && value.length === 0) continue; // of tags, or of names of events
      if (field === "scope" && isEmpty(value as object)) continue;
      slim[field] = value;
    }
    return slim;
  }
}

/** The tags and the tenant of a job that has none. */
export const UNLABELLED = { tags: NO_TAGS, scope: NO_SCOPE } as const;

/** Forgets what lies beside a record. */
export function deletePieces(draft: Draft, keys: Keys, id: string, pieces: Pieces | null): void {
  for (const [field, count] of Object.entries(pieces ?? {})) {
    for (let n = 0; n < count; n++) draft.delete(keys.piece(id, field, n));
  }
}

function toText(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

function isEmpty(scope: object): boolean {
  for (const _ in scope) return false;
  return true;
}
