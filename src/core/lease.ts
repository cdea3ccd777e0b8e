import type { JobRecord } from "./job.ts";

/**
 * A fencing token: each claim of a job gets one that no earlier claim of it had. Stores choose what
 * it is (a counter, a versionstamp); everyone else only hands it back.
 */
export type LeaseToken = number | string;

/** Time-limited ownership of one job. Every write that a worker makes presents it. */
export interface Lease {
  /** The job that is owned. */
  readonly jobId: string;
  /** What tells this claim from earlier and later ones. */
  readonly token: LeaseToken;
}

/** True for two that are of the same claim. */
export function isSameLease(a: Lease, b: Lease): boolean {
  return a.jobId === b.jobId && a.token === b.token;
}

/** A job together with the lease under which it was claimed. */
export interface ClaimedJob {
  /** The job as it was claimed. */
  readonly job: JobRecord;
  /** Proof of ownership. */
  readonly lease: Lease;
}

/**
 * What a heartbeat learns of a lease: `held` goes on, `cancelling` is held by a job that someone
 * cancelled meanwhile, `lost` belongs to someone else or to nobody.
 */
export type LeaseStatus = "held" | "cancelling" | "lost";
