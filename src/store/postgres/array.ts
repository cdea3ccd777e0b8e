/** Batches travel as array literals, which every client sends as the text that they are. */

/** A literal of values that need no quotes: numbers, uuids, booleans. */
export function arrayOf(values: readonly (string | number | boolean | null)[]): string {
  return `{${values.map((value) => value ?? "NULL").join(",")}}`;
}

/** A literal of any texts. */
export function textArray(values: readonly (string | null)[]): string {
  let literal = "{";
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    if (i > 0) literal += ",";
    literal += value === null ? "NULL" : `"${SPECIAL.test(value) ? escape(value) : value}"`;
  }
  return literal + "}";
}

const SPECIAL = /["\\]/;

function escape(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
}
