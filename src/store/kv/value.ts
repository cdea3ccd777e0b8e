/**
 * Values are UTF-8 JSON in a `Uint8Array`, and counters: what Deno serialises in its own way a Node
 * may not be able to read.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** For keys that say it all. */
export const NOTHING: Uint8Array = encoder.encode("0");

/** A value as bytes. */
export function encode(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** What {@link encode} was given. */
export function decode<Value>(bytes: unknown): Value {
  return JSON.parse(decoder.decode(bytes as Uint8Array)) as Value;
}

/** Largest piece of a text that is kept in pieces; a value has at most 64 KiB with all that is around it. */
const PIECE_BYTES = 60_000;

/** Cuts a text into values. */
export function cut(text: string): Uint8Array[] {
  const bytes = encoder.encode(text);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    pieces.push(bytes.slice(at, at + PIECE_BYTES));
  }
  return pieces;
}

/** The text that {@link cut} was given. */
export function join(pieces: readonly unknown[]): string {
  const decoding = new TextDecoder("utf-8", { ignoreBOM: true });
  const parts = pieces.map((piece) => decoding.decode(piece as Uint8Array, { stream: true }));
  return parts.join("") + decoding.decode();
}

/** What a counter has counted; it went below zero where it was read between two halves. */
export function counted(value: unknown): number {
  const n = (value as { readonly value: bigint } | null)?.value ?? 0n;
  return Math.max(0, Number(BigInt.asIntN(64, n)));
}
