/** What runs write, lease by lease. */

import type { Lease } from "../../core/lease.ts";
import type { Accepted, Checkpoint } from "../../core/run.ts";
import type { StepStatus, StepWait, StepWrite } from "../run_store.ts";

/** A result that was given to the code. */
export interface AcceptItem {
  readonly accepted: Accepted;
}

/** A step to remember. */
export interface SaveItem {
  readonly write: StepWrite;
  readonly position: number;
  readonly answer: (status: StepStatus) => void;
}

/** A step to wait. */
export interface WaitItem {
  readonly wait: StepWait;
  readonly position: number;
  readonly answer: (checkpoint: Checkpoint) => void;
}

export type Item = AcceptItem | SaveItem | WaitItem;

/** What is to be written under one lease, in this order. */
export interface Group {
  readonly lease: Lease;
  readonly items: readonly Item[];
}

/** By lease: what was given to the code goes before the write that tells of it. */
export function group<
  Write extends { readonly lease: Lease; readonly accepted: readonly Accepted[] },
>(
  writes: readonly Write[],
  itemOf: (write: Write, at: number) => Item,
): Group[] {
  return groupItems(writes.flatMap((write, at) => [
    ...write.accepted.map((accepted) => [write.lease, { accepted }] as const),
    [write.lease, itemOf(write, at)] as const,
  ]));
}

export function groupItems(items: readonly (readonly [Lease, Item])[]): Group[] {
  const groups = new Map<string, { lease: Lease; items: Item[] }>();
  for (const [lease, item] of items) {
    const key = `${lease.jobId} ${lease.token}`;
    const found = groups.get(key) ?? { lease, items: [] };
    groups.set(key, found);
    found.items.push(item);
  }
  return [...groups.values()];
}
