/** Small arithmetic and printing that every benchmark shares. */

/** Cells of one line of a table. */
export type Row = readonly string[];

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Lowest and highest value, for people to judge the noise by. */
export function range(values: readonly number[]): string {
  const show = (value: number) => Math.round(value).toLocaleString("en");
  return `${show(Math.min(...values))} – ${show(Math.max(...values))}`;
}

export function perSecond(count: number, ms: number): number {
  return count / ms * 1000;
}

/** Megabytes in use after a collection; run with `--v8-flags=--expose-gc`. */
export function gcHeapMB(): number {
  const { gc } = globalThis as { gc?: () => void };
  for (let i = 0; i < 3; i++) gc?.();
  return Deno.memoryUsage().heapUsed / 2 ** 20;
}

export function printTable(header: Row, rows: readonly Row[]): void {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  for (const row of all) {
    console.log(
      row.map((cell, i) => i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])).join("  "),
    );
  }
}
