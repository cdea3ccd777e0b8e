/** Jobs that lie under the key of the first of them: one write, and one read, for all. */

import type { KvKey } from "./client.ts";

/** So many ready jobs lie under one key at most; a claim of a single one writes the others anew. */
const BLOCK_JOBS = 32;
const BLOCK_BYTES = 32_000;

const [OPENING, COMMA, CLOSING] = new TextEncoder().encode("[,]");

/** Jobs of one line, in the order of their ids. */
export interface Block {
  readonly jobs: (readonly [KvKey, Uint8Array])[];
  bytes: number;
}

/** True where a job may follow those of a block: they are few, and its id is after theirs. */
export function hasRoom({ jobs, bytes }: Block, key: KvKey, value: Uint8Array): boolean {
  const last = jobs[jobs.length - 1][0];
  return jobs.length < BLOCK_JOBS && bytes + value.length < BLOCK_BYTES &&
    (key[key.length - 1] as string) > (last[last.length - 1] as string);
}

/** One job as it is, several as a JSON array of them. */
export function blockOf(jobs: Block["jobs"], bytes: number): Uint8Array {
  if (jobs.length === 1) return jobs[0][1];
  const block = new Uint8Array(bytes - 1).fill(COMMA);
  let at = 1;
  for (const [, value] of jobs) {
    block.set(value, at);
    at += value.length + 1;
  }
  block[0] = OPENING;
  block[block.length - 1] = CLOSING;
  return block;
}
