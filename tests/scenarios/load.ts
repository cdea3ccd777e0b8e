/**
 * Work under load on a Postgres store, and what must be true of it in the end, whatever has happened
 * to the database meanwhile.
 */

import { assert, assertEquals } from "@std/assert";
import type { Job } from "../../src/core/job.ts";
import { defineJob } from "../../src/engine/definition.ts";
import type { Extension, ExtensionOptions } from "../../src/extension/extension.ts";
import { createRegistry } from "../../src/extension/registry.ts";
import { SqlError } from "../../src/sql/sql_error.ts";
import { make } from "../extension/harness.ts";
import { RecordingLogger } from "../harness.ts";

export const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Looks again and again until it is so; what cannot be asked yet is not so yet. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = 30_000,
): Promise<void> {
  const deadline = Date.now() + ms;
  while (!await Promise.resolve().then(holds).catch(() => false)) {
    assert(Date.now() < deadline, `never: ${what}`);
    await pause(20);
  }
}

/** Callers that enqueue without a pause, and a worker that does what they ask for. */
export class Load implements AsyncDisposable {
  readonly log = new RecordingLogger();
  readonly ext: Extension;
  /** Answers of the health check, in turn, the same one told once. */
  readonly health: string[] = [];
  /** What enqueueing threw. */
  readonly errors: SqlError[] = [];
  /** When a handler last ran. */
  ranAt = 0;
  readonly #acknowledged = new Set<number>();
  readonly #refused = new Set<number>();
  /** Attempts that handlers have seen, by job. */
  readonly #attempts = new Map<string, number[]>();
  #next = 0;
  #stopped = false;
  #loops: Promise<void>[] = [];

  /** @param database a URL, or a store in `options` */
  constructor(database: string | null, options: ExtensionOptions = {}) {
    const Work = defineJob({
      name: "work",
      handler: async (_: number, job) => {
        const seen = this.#attempts.get(job.id);
        if (seen === undefined) this.#attempts.set(job.id, [job.attempt]);
        else seen.push(job.attempt);
        this.ranAt = Date.now();
        await pause(5);
      },
    });
    this.ext = make({
      ...(database !== null && {
        registry: createRegistry({ databases: { only: database } }),
        groveDatabase: "only",
      }),
      jobs: [Work],
      logger: this.log,
      disableRoutes: true,
      pollInterval: "100ms",
      maxPollInterval: "1s",
      heartbeatInterval: "1s",
      leaseDuration: "3s",
      ...options,
    });
  }

  /** How many jobs were enqueued, as their callers know. */
  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** Starts the worker, so many callers, and one who looks after its health. */
  async start(callers: number): Promise<void> {
    await this.ext.start();
    this.#loops = Array.from({ length: callers }, () => this.#call());
    this.#loops.push(this.#watch());
  }

  async #call(): Promise<void> {
    while (!this.#stopped) {
      const n = this.#next++;
      try {
        await this.ext.engine.enqueue("work", n);
        this.#acknowledged.add(n);
      } catch (error) {
        assert(error instanceof SqlError, String(error));
        this.errors.push(error);
        if (!error.uncertain) this.#refused.add(n);
      }
      await pause(2);
    }
  }

  async #watch(): Promise<void> {
    while (!this.#stopped) {
      const { status } = await this.ext.health();
      if (this.health.at(-1) !== status) this.health.push(status);
      await pause(20);
    }
  }

  /** Waits until it is at work, so that whatever comes next happens under load. */
  async works(more = 50): Promise<void> {
    const goal = this.#attempts.size + more;
    await until("jobs are run", () => this.#attempts.size >= goal);
  }

  /**
   * Ends the load, waits for the rest, and looks at what is there: what was acknowledged exactly
   * once, what was refused not at all, everything completed, and nothing run after that. An attempt
   * whose claim a falling server forgot is made again; the outcome of the first is refused.
   */
  async verify(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    const { engine } = this.ext;
    await until("all jobs have ended", async () => {
      const { pending, running, retrying } = await engine.jobs.counts();
      return pending + running + retrying === 0;
    });
    const counts = await engine.jobs.counts();
    assertEquals([counts.failed, counts.cancelled], [0, 0]);
    const jobs: Job[] = [];
    let cursor: string | null | undefined;
    do {
      const page = await engine.jobs.list({ limit: 1000, cursor: cursor ?? undefined });
      jobs.push(...page);
      cursor = page.nextCursor;
    } while (cursor !== null);
    assertEquals(jobs.length, counts.completed);
    const kept = new Set(jobs.map((job) => job.payload as number));
    assertEquals(kept.size, jobs.length, "a job is there twice");
    assertEquals([...this.#acknowledged].filter((n) => !kept.has(n)), [], "jobs were lost");
    assertEquals([...this.#refused].filter((n) => kept.has(n)), [], "refused jobs are there");
    const refused = this.log.lines.filter(({ message }) => message.includes("came too late"));
    for (const { id, attempt } of jobs) {
      const seen = this.#attempts.get(id) ?? [];
      const again = seen.length - new Set(seen).size;
      const late = refused.filter(({ fields }) => fields.job === id).length;
      assert(
        again <= late,
        `an attempt of ${id} was run ${again} times too often, ${late} refused`,
      );
      assertEquals(seen.at(-1), attempt, `${id} was run after it was settled`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    await this.ext.stop();
  }
}
