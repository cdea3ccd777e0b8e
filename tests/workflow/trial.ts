import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { constant } from "../../src/core/backoff.ts";
import type { Clock } from "../../src/core/clock.ts";
import { withPrefix } from "../../src/core/id.ts";
import { NEVER, type RunRecord } from "../../src/core/run.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import type { StepStatus, StepWrite, Store } from "../../src/store/store.ts";
import { Rig, type StoreCall, turns } from "../harness.ts";
import { eventsOf, expected, interpreter, type Program } from "./programs.ts";

/** A process dies at its so-manieth call of the store: before that is made, or before it is answered. */
interface Crash {
  calls: number;
  answered: boolean;
}

const crash: fc.Arbitrary<Crash> = fc.record({
  calls: fc.integer({ min: 1, max: 60 }),
  answered: fc.boolean(),
});

/** A run is taken for the cause of crashes at the third. */
export const crashes = fc.array(crash, { minLength: 0, maxLength: 2 });

let trials = 0;

/** One program, run to its end on workers some of which die. */
export class Trial implements AsyncDisposable {
  readonly rig: Rig;
  readonly #peer: (() => Store) | null;
  /** Calls of the store that its workers wait for. */
  #underWay = 0;
  readonly #trial = ++trials;
  readonly #program: Program;
  readonly #crashes: Crash[];
  readonly #remembered = new Set<string>();
  readonly #undone: string[] = [];

  /** @param peer opens the same data once more for each worker, as another process would */
  constructor(
    program: Program,
    crashes: readonly Crash[],
    store: (clock: Clock) => Store = (clock) => memoryStore({ clock, maxFinished: Infinity }),
    peer: ((clock: Clock) => Store) | null = null,
  ) {
    this.rig = new Rig({ store });
    this.#peer = peer === null ? null : () => peer(this.rig.clock);
    this.#program = program;
    this.#crashes = [...crashes];
  }

  async run(): Promise<void> {
    const client = await this.rig.add({ concurrency: 0, jobs: [this.#workflow()] });
    for (let i = 0; i < 2; i++) this.#addWorker();
    const input = { program: this.#program, place: "p", trial: this.#trial };
    const { id } = await client.startWorkflow("interpret", input);
    const events = eventsOf(this.#program);
    const send = ({ place }: { place: string }) =>
      client.publishEvent(place, place, { key: String(this.#trial), idempotencyKey: place });
    for (const event of events) if (!event.later) await send(event);
    const late = events.filter(({ later }) => later);
    for (let round = 0;; round++) {
      assert(round < 200, `the runs never end: ${JSON.stringify(await this.#unfinished())}`);
      await this.#pause();
      for (const event of late.splice(0, 1)) await send(event);
      await this.rig.advance("7s");
      const left = await this.#unfinished();
      // A store that is read in two steps may show a run as it never was: then it is read again.
      const lost = left.filter((run) => !isAwaited(run)).map(({ job }) => job.id);
      for (const run of await this.rig.store.runs!.get(lost)) {
        assert(run === null || isAwaited(run), `${run?.job.id} waits for nothing`);
      }
      if (left.length === 0 && late.length === 0) break;
    }
    await this.#check(id);
  }

  async #check(id: string): Promise<void> {
    const { runs } = this.rig.store;
    const jobId = withPrefix("job", id);
    const [root] = await runs!.get([jobId]);
    const value = expected(this.#program);
    const { state, result, failure } = root!.job;
    const why = failure?.message ?? "";
    assertEquals(state, value === null ? "failed" : "completed", why);
    if (value !== null) assertEquals(JSON.parse(result!), value.value);
    // What was done and can be undone is undone, once, the latest first; of no other run anything.
    const undone: string[] = [];
    const { items } = await runs!.list({ limit: 1000, offset: 0 });
    for (const { job, compensating } of items) {
      if (!compensating) continue;
      assertEquals(job.state, "failed");
      const [steps] = await runs!.checkpoints([
        { jobId: job.id, after: null, limit: 1000, pending: false },
      ]);
      const undos = steps.filter(({ kind }) => kind === "compensate");
      undos.sort((a, b) => a.endedAt! - b.endedAt!);
      for (const { state, name } of undos) {
        assertEquals(state, "completed");
        undone.push(`${withPrefix("run", job.id)} ${name}`);
      }
      const done = steps.filter(({ kind, state }) => kind === "run" && state === "completed");
      const undoable = done.filter(({ name }) => canBeUndone(this.#program, name));
      assertEquals(undos.map(({ name }) => name).sort(), undoable.map(({ name }) => name).sort());
    }
    for (const key of undone) assert(this.#undone.includes(key), `${key} was not undone`);
    for (const key of this.#undone) assert(undone.includes(key), `${key} was undone`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
    await this.#pause(); // for calls that a worker was too late to wait for
  }

  /** Time stands still while a store that is not in memory has not answered. */
  async #pause(): Promise<void> {
    await turns(3);
    while (this.#underWay > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await turns(3);
    }
  }

  #workflow() {
    return interpreter({
      called: (key) => assert(!this.#remembered.has(key), `${key} is done again`),
      undone: (key) => {
        assert(!this.#remembered.has(`undo ${key}`), `${key} is undone again`);
        this.#undone.push(key);
      },
    });
  }

  async #unfinished(): Promise<RunRecord[]> {
    const { items } = await this.rig.store.runs!.list({ limit: 1000, offset: 0 });
    return items.filter(({ job }) => job.completedAt === null);
  }

  #addWorker(): void {
    const crash = this.#crashes.shift();
    const store = this.#peer?.();
    let calls = 0;
    let dead = false;
    const die = () => {
      if (dead) return;
      dead = true;
      this.#addWorker();
    };
    void this.rig.add({ // one that dies while it starts never gets there
      jobs: [this.#workflow()],
      concurrency: 3,
      shutdownTimeout: "1s",
      backoff: constant("2s"),
      retention: false,
      around: async (call, proceed) => {
        if (dead) return await new Promise(() => {});
        const isLast = crash !== undefined && ++calls >= crash.calls;
        if (isLast && !crash.answered) return die(), await new Promise(() => {});
        this.#underWay++;
        const made = store === undefined ? proceed() : make(store, call);
        const answer = await made.finally(() => this.#underWay--);
        if (call.name === "runs.save") this.#note(call, answer as StepStatus[]);
        if (isLast) return die(), await new Promise(() => {});
        return answer;
      },
    });
  }

  #note({ args: [writes] }: StoreCall, statuses: readonly StepStatus[]): void {
    (writes as StepWrite[]).forEach(({ lease, name, kind, state }, i) => {
      if (statuses[i] !== "saved" || state === "open") return;
      const key = `${withPrefix("run", lease.jobId)} ${name}`;
      if (kind === "run" && state === "completed") this.#remembered.add(key);
      if (kind === "compensate") this.#remembered.add(`undo ${key}`);
    });
  }
}

/** Makes a call of another store. */
async function make(store: Store, { name, args }: StoreCall): Promise<unknown> {
  const path = name.split(".");
  const method = path.pop()!;
  // deno-lint-ignore no-explicit-any -- the parts of a store by their names
  const part = path.reduce((at: any, key) => at[key], store);
  return await part[method](...args);
}

/** A run that is not executing is due some time, or something of it is open. */
function isAwaited({ job, open }: RunRecord): boolean {
  return job.state !== "pending" || job.runAt < NEVER || open.length > 0;
}

function canBeUndone(program: Program, place: string): boolean {
  const path = place.split(".").slice(1).map(Number);
  let at = program;
  for (const i of path) at = "part" in at ? at.part : "parts" in at ? at.parts[i] : at;
  return at.do === "run" && at.undo;
}
