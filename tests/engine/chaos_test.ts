import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { constant } from "../../src/core/backoff.ts";
import { sleep } from "../../src/core/clock.ts";
import { cancel, discard, snooze } from "../../src/core/outcome.ts";
import { defineJob } from "../../src/engine/definition.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { Rig, type StoreCall, turns, until } from "../harness.ts";

const HOWS = ["ok", "slow", "flaky", "hopeless", "snooze", "discard", "cancel", "deaf"] as const;
type How = typeof HOWS[number];

type Step =
  | { do: "enqueue"; how: How; unique: boolean; delay: number }
  | { do: "enqueueMany"; how: How; count: number }
  | { do: "advance"; ms: number }
  | { do: "cancel" | "retry" | "remove" | "replay"; at: number }
  | { do: "pause" | "resume" | "turns" }
  | { do: "stop" | "kill"; engine: number };

const at = fc.nat({ max: 1000 });
const how = fc.constantFrom(...HOWS);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("enqueue" as const),
      how,
      unique: fc.boolean(),
      delay: fc.constantFrom(0, 0, 0, 5000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("enqueueMany" as const),
      how,
      count: fc.integer({ min: 1, max: 60 }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.constantFrom(1, 100, 1000, 5000, 20_000, 45_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom(
        "cancel" as const,
        "retry" as const,
        "remove" as const,
        "replay" as const,
      ),
      at,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("pause" as const, "resume" as const, "turns" as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom("stop" as const, "kill" as const),
      engine: fc.nat({ max: 2 }),
    }),
  },
);

/** A source of chances that gives the same ones for the same seed. */
function chances(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A few engines on one store, every call of which may fail before or after it is performed. */
class Chaos implements AsyncDisposable {
  readonly rig = new Rig({
    store: (clock) => memoryStore({ clock, maxFinished: Infinity }),
  });
  readonly stored: string[] = [];
  readonly removed = new Set<string>();
  /** Results of handlers that ran to their end, by job. */
  readonly effects = new Map<string, Set<number>>();
  readonly #chance: () => number;
  readonly #faults: number;
  #calm = false;
  #effect = 0;
  readonly #live: { engine: Engine; kill: () => void }[] = [];

  constructor(seed: number, faults: number) {
    this.#chance = chances(seed);
    this.#faults = faults;
  }

  async begin(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.#addEngine();
  }

  async run(step: Step): Promise<void> {
    const { engine } = this.#live[Math.floor(this.#chance() * this.#live.length)];
    switch (step.do) {
      case "enqueue": {
        const options = { uniqueKey: step.unique ? step.how : undefined, delay: step.delay };
        return this.#store(() => engine.enqueue("chaos", step.how, options).then((job) => [job]));
      }
      case "enqueueMany": {
        const items = Array.from({ length: step.count }, () => ({ job: "chaos", input: step.how }));
        return this.#store(() => engine.enqueueMany(items));
      }
      case "advance":
        return await this.rig.advance(step.ms);
      case "turns":
        return await turns(5);
      case "pause":
      case "resume":
        return void engine.queues[step.do]("default").catch(() => {});
      case "stop":
      case "kill": {
        const [victim] = this.#live.splice(step.engine % this.#live.length, 1);
        if (step.do === "kill") victim.kill();
        else void victim.engine.stop();
        return await this.#addEngine();
      }
      case "replay": {
        const letters = await this.rig.store.deadLetters.list({ limit: 100, offset: 0 });
        const letter = letters.items[step.at % letters.items.length];
        if (letter === undefined) return;
        return this.#store(() => engine.dlq.replay(letter.id).then((job) => [job]));
      }
      default: {
        const id = this.stored[step.at % this.stored.length];
        if (id === undefined) return;
        const done = () => step.do === "remove" && this.removed.add(id);
        // What was lost may be the answer only: afterwards both are allowed.
        void engine.jobs[step.do](id).then(done, done);
      }
    }
  }

  /** Lets everything come to rest. */
  async rest(): Promise<void> {
    this.#calm = true;
    await this.rig.store.queues.configure("default", { paused: false });
    for (let i = 0; i < 5000; i++) {
      await this.rig.advance("20s");
      const { pending, retrying, running } = await this.rig.store.jobs.counts();
      if (pending + retrying + running === 0) return;
    }
    const states = await this.rig.store.jobs.list({ limit: 1000, offset: 0 });
    const left = states.items.filter(({ completedAt }) => completedAt === null);
    throw new Error(`not at rest: ${JSON.stringify(left)}`);
  }

  async check(): Promise<void> {
    const { items } = await this.rig.store.jobs.list({ limit: Infinity, offset: 0 });
    const jobs = new Map(items.map((job) => [job.id, job]));
    assertEquals(jobs.size, items.length, "a job is stored twice");
    for (const id of this.stored) {
      assert(jobs.has(id) || this.removed.has(id), `${id} is lost`);
    }
    const letters = await this.rig.store.deadLetters.list({ limit: 1e6, offset: 0 });
    const dead = new Set(letters.items.map(({ jobId }) => jobId));
    for (const job of items) {
      assert(["completed", "failed", "cancelled"].includes(job.state), `${job.id}: ${job.state}`);
      if (job.state === "failed") assert(dead.has(job.id), `${job.id} has no dead letter`);
      if (job.state !== "completed") continue;
      const effects = this.effects.get(job.id);
      assert(effects !== undefined, `${job.id} completed without having run`);
      assert(effects.has(Number(job.result)), `${job.id}: ${job.result} is nobody's result`);
    }
    const { completed, failed, cancelled } = await this.rig.store.jobs.counts();
    assertEquals(completed + failed + cancelled, items.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#calm = true;
    for (const engine of this.rig.engines) await this.rig.stop(engine);
    await this.rig.advance("2m"); // the sleeps of deaf handlers
    await this.rig[Symbol.asyncDispose]();
  }

  #store(enqueue: () => Promise<{ id: string }[]>): void {
    // One that fails may or may not be stored: only the others are promised to be there.
    void enqueue().then((jobs) => this.stored.push(...jobs.map(({ id }) => id)), () => {});
  }

  async #addEngine(): Promise<void> {
    let dead = false;
    const adding = this.rig.add({
      jobs: [this.#definition()],
      concurrency: 4,
      shutdownTimeout: "3s",
      backoff: constant("2s"),
      retention: false,
      around: (call, proceed) => dead ? new Promise(() => {}) : this.#around(call, proceed),
    });
    const engine = this.rig.engines.at(-1)!;
    await adding;
    this.#live.push({ engine, kill: () => (dead = true) });
  }

  async #around({ name }: StoreCall, proceed: () => Promise<unknown>): Promise<unknown> {
    if (this.#calm) return proceed();
    const chance = this.#chance();
    if (this.#chance() < 0.3) await turns(1);
    if (chance < this.#faults / 2) throw new Error(`before ${name}`);
    const result = await proceed();
    if (chance < this.#faults) throw new Error(`after ${name}`);
    return result;
  }

  #definition() {
    return defineJob({
      name: "chaos",
      maxRetries: 2,
      timeout: "1m",
      handler: async (how: How, job) => {
        if (how === "slow") await sleep(this.rig.clock, 25_000, job.signal);
        if (how === "deaf") await sleep(this.rig.clock, 70_000);
        job.signal.throwIfAborted();
        if (how === "flaky" && job.retryCount < 2) throw new Error("flaky");
        if (how === "hopeless") throw new Error("hopeless");
        if (how === "snooze" && this.#chance() < 0.5) throw snooze("10s");
        if (how === "discard") throw discard("useless");
        if (how === "cancel") throw cancel("unwanted");
        const effects = this.effects.get(job.id) ?? new Set();
        this.effects.set(job.id, effects.add(++this.#effect));
        return this.#effect;
      },
    });
  }
}

describe("engines on a store that fails at random", () => {
  it("lose no job, end every job, and store no result that no handler returned", async () => {
    let ended = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.constantFrom(0, 0.05, 0.3),
        fc.integer({ min: 2, max: 3 }),
        fc.array(step, { minLength: 5, maxLength: 40 }),
        async (seed, faults, engines, steps) => {
          await using chaos = new Chaos(seed, faults);
          await chaos.begin(engines);
          for (const step of steps) await chaos.run(step);
          await turns();
          await chaos.rest();
          await chaos.check();
          ended += (await chaos.rig.store.jobs.counts()).completed;
        },
      ),
      { numRuns: 300, seed: 20260101, endOnFailure: true },
    );
    await until(() => ended > 1000, () => `only ${ended} jobs completed`, 1);
  });
});
