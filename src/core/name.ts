import { DispatchError, show } from "./errors.ts";

const MAX_LENGTH = 200;

/** Printable, not empty, no blanks at the ends, and short enough for every store's index. */
export function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_LENGTH &&
    /^[^\s\p{Cc}\p{Cs}]([^\p{Cc}\p{Cs}]*[^\s\p{Cc}\p{Cs}])?$/u.test(value);
}

/** Not empty, not too long, and without what some store cannot keep: NUL and half characters. */
export function isLabel(value: unknown, maxLength: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= maxLength &&
    !/[\0\p{Cs}]/u.test(value);
}

/** @throws {DispatchError} `invalid_queue` */
export function checkQueue(value: unknown): string {
  if (isName(value)) return value;
  throw new DispatchError("invalid_queue", `Cannot use ${show(value)} as a queue's name`);
}

/** @throws {DispatchError} `invalid_job_name` */
export function checkJobName(value: unknown): string {
  if (isName(value)) return value;
  throw new DispatchError("invalid_job_name", `Cannot use ${show(value)} as a job's name`);
}

/**
 * The known word nearest to what was typed, or `null` where none is near: at most a third of its
 * letters differ (Levenshtein, 1965).
 */
export function nearest(typed: string, known: Iterable<string>): string | null {
  let best: string | null = null;
  let bestDistance = Math.max(1, Math.floor(typed.length / 3)) + 1;
  for (const word of known) {
    const distance = editDistance(typed.toLowerCase(), word.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [word, distance];
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length];
}

/** `"a, b and c"`, or `"none"`. */
export function listNames(names: Iterable<string>): string {
  const all = [...names].map((name) => JSON.stringify(name));
  if (all.length === 0) return "none";
  return all.length === 1 ? all[0] : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}

/** What to say of a name that nobody knows: the nearest one, or else which there are. */
export function suggest(
  typed: unknown,
  known: readonly string[],
  otherwise: string = `Registered are ${listNames(known)}.`,
): string {
  const similar = typeof typed === "string" ? nearest(typed, known) : null;
  return similar === null ? otherwise : `Did you mean ${JSON.stringify(similar)}?`;
}
