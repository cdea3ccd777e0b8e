import type { Clock } from "../core/clock.ts";
import { DispatchError, messageOf } from "../core/errors.ts";
import type { JsonText } from "../core/json.ts";
import type { ClaimedJob, Lease, LeaseStatus } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import type { JobStore, LeaseExtension } from "../store/store.ts";
import { createBatcher } from "./batcher.ts";
import { every } from "./every.ts";

const MAX_BATCH = 1000;

/** What a heartbeat is made of. */
export interface HeartbeatOptions {
  readonly jobs: JobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly intervalMs: number;
  readonly leaseMs: number;
  /** Everything that is leased now. */
  readonly claims: () => ClaimedJob[];
  /** Called for leases that are gone, and for jobs that someone cancelled. */
  readonly onStatus: (lease: Lease, status: Exclude<LeaseStatus, "held">) => void;
}

/** Extends every lease of a worker at an interval, and learns which are lost or to be cancelled. */
export class Heartbeat {
  readonly #options: HeartbeatOptions;
  readonly #report: (extension: LeaseExtension) => Promise<LeaseStatus>;
  #stop: (() => Promise<void>) | null = null;
  #failures = 0;
  /** When the latest round that succeeded began. */
  #beatenAt = -Infinity;

  constructor(options: HeartbeatOptions) {
    this.#options = options;
    this.#report = createBatcher(
      (extensions) => options.jobs.extend(extensions, options.leaseMs),
      MAX_BATCH,
    );
  }

  start(): void {
    this.#stop = every(this.#options.clock, this.#options.intervalMs, async () => {
      await this.#beat();
    });
  }

  async stop(): Promise<void> {
    await this.#stop?.();
  }

  /**
   * Stores a job's progress, which extends its lease as well. Concurrent calls share a write.
   *
   * @throws {DispatchError} `lease_lost`
   */
  async report(lease: Lease, progress: JsonText): Promise<void> {
    const status = await this.#report({ lease, progress });
    if (status !== "held") this.#options.onStatus(lease, status);
    if (status === "lost") {
      throw new DispatchError(
        "lease_lost",
        `Cannot report progress of ${lease.jobId}: its lease is lost`,
      );
    }
  }

  /**
   * True when every lease of this worker was extended lately, if need be now. A worker whose event
   * loop was blocked, or whose store was away, would else take its own jobs for those of a dead one.
   */
  async isFresh(): Promise<boolean> {
    const { clock, intervalMs } = this.#options;
    return clock.now() - this.#beatenAt < 1.5 * intervalMs || await this.#beat();
  }

  async #beat(): Promise<boolean> {
    const { jobs, clock, leaseMs, logger, claims, onStatus } = this.#options;
    const leases = claims().map(({ lease }) => ({ lease }));
    const startedAt = clock.now();
    const errors: unknown[] = [];
    for (let at = 0; at < leases.length; at += MAX_BATCH) {
      const batch = leases.slice(at, at + MAX_BATCH);
      try {
        const statuses = await jobs.extend(batch, leaseMs);
        statuses.forEach((status, i) => {
          if (status !== "held") onStatus(batch[i].lease, status);
        });
      } catch (thrown) { // the other batches may fare better
        errors.push(thrown);
      }
    }
    if (errors.length > 0) {
      if (++this.#failures === 1) {
        logger.error("could not extend leases", { error: messageOf(errors[0]) });
      }
      return false;
    }
    if (this.#failures > 0) logger.info("heartbeats work again", { failures: this.#failures });
    this.#failures = 0;
    this.#beatenAt = startedAt;
    return true;
  }
}
