/** What to say of a word that is not known. */

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
