import { type Clock, nextTurn } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { JobRecord } from "../core/job.ts";
import type { Logger } from "../core/logger.ts";
import { parseRunName } from "../core/run.ts";
import type { Store } from "../store/store.ts";
import { every } from "./every.ts";
import { type RetentionMs, UNSERVED_AFTER_MS } from "./retention.ts";

const RESCUE_BATCH = 200;
/**
 * After so many rounds that took nothing back, suspects are looked for all the same: another worker
 * may have found them. In each round that was a quarter of an idle worker's statements.
 */
const SUSPECTS_EVERY = 3;
const PRUNE_BATCH = 1000;
const PRUNE_EVERY_MS = 60_000;

/** What maintenance is made of. */
export interface MaintenanceOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly rescueMs: number;
  readonly retention: RetentionMs;
  /** False while this worker may look dead itself: it then takes nothing back. */
  readonly mayRescue: () => Promise<boolean>;
  /** Called for every job that was taken back from a dead worker. */
  readonly onRescued: (job: JobRecord) => void;
  /** Names of the jobs that this process can run. */
  readonly names: () => string[];
  /** Called after rounds of rescues which may have left a suspect of a crash loop to be run. */
  readonly afterRescue: () => void;
}

/**
 * The rounds that keep a store healthy: leases that ran out are taken back, finished records that
 * are past their time are removed. Every worker makes them; each write is conditional, so that two
 * who make them at once do no harm.
 */
export class Maintenance {
  readonly #options: MaintenanceOptions;
  #stops: (() => Promise<void>)[] = [];
  readonly #failing = new Set<string>();
  #unserved: ReadonlySet<string> = new Set();
  #stopped = false;
  /** Rounds of rescues since the last one that took something back. */
  #rounds = 0;
  /** Rounds of removals. */
  #prunes = 0;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
  }

  /** Makes the first round of rescues at once: what an earlier process left behind is taken up. */
  async start(): Promise<void> {
    const { clock, rescueMs } = this.#options;
    await this.#rescue();
    if (this.#stopped) return;
    this.#stops = [
      every(clock, rescueMs, () => this.#rescue()),
      every(clock, PRUNE_EVERY_MS, () => this.#prune()),
    ];
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#stops.map((stop) => stop()));
  }

  async #rescue(): Promise<void> {
    await this.#guard("rescue expired leases", async () => {
      const { store, logger, mayRescue, onRescued } = this.#options;
      if (!await mayRescue()) return;
      let rescued: JobRecord[];
      let found = 0;
      do {
        rescued = await store.jobs.rescue(RESCUE_BATCH);
        for (const job of rescued) {
          logger.warn("took a job back from a worker that went silent", {
            job: job.id,
            name: job.name,
            worker: job.workerId,
            crashes: job.crashes,
            state: job.state,
          });
          onRescued(job);
        }
        found += rescued.length;
      } while (rescued.length === RESCUE_BATCH);
      if (found > 0) this.#rounds = 0;
    });
    if (this.#rounds++ % SUSPECTS_EVERY === 0) this.#options.afterRescue();
  }

  /** Jobs in each round, all else in turn: idle workers ask for little. */
  async #prune(): Promise<void> {
    const turn = this.#prunes++ % 3;
    await this.#guard("prune finished records", async () => {
      const { store, retention } = this.#options;
      const { deadLetters: olderThanMs, events: keepMs } = retention;
      await inBatches(() => store.jobs.prune(retention, PRUNE_BATCH));
      if (turn === 0 && olderThanMs !== null) {
        await inBatches(() => store.deadLetters.purge({ olderThanMs }, PRUNE_BATCH));
      }
      if (turn === 2 && keepMs !== null) {
        await inBatches(() => store.events?.prune(keepMs, PRUNE_BATCH));
      }
    });
    if (turn !== 1) return;
    await this.#guard("look for runs that nobody serves", () => this.#warnOfUnserved());
  }

  /** Runs of a version that no worker has would wait unnoticed. Each version is told of once. */
  async #warnOfUnserved(): Promise<void> {
    const { store, logger, names } = this.#options;
    const unserved = await store.runs?.unserved(names(), UNSERVED_AFTER_MS) ?? [];
    for (const { jobName, runs } of unserved) {
      if (this.#unserved.has(jobName)) continue;
      const { name, version } = parseRunName(jobName);
      logger.warn("runs wait for a version of their workflow that nobody serves", {
        workflow: name,
        version,
        runs,
      });
    }
    this.#unserved = new Set(unserved.map(({ jobName }) => jobName));
  }

  /** A round that fails is logged once, not every time, and is made again at the next interval. */
  async #guard(what: string, round: () => Promise<void>): Promise<void> {
    const { logger } = this.#options;
    try {
      await round();
      if (this.#failing.delete(what)) logger.info(`can ${what} again`);
    } catch (thrown) {
      if (!this.#failing.has(what)) logger.error(`could not ${what}`, { error: messageOf(thrown) });
      this.#failing.add(what);
    }
  }
}

/** Small writes with turns between them: one long one would hold up everybody else's. */
async function inBatches(remove: () => Promise<number> | undefined): Promise<void> {
  while (await remove() === PRUNE_BATCH) await nextTurn();
}
