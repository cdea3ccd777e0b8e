/**
 * What the end of a run means for others may be too much for the commit that ends it: its parent is
 * told, its children are cancelled where it was, its steps do not wait any more; and what hangs on a
 * run that is gone is forgotten. So that commit leaves a note of it, under a key of its own, and
 * whoever has made it goes on with the note at once. If he dies, the next rescue does.
 *
 * All of it may be done twice: whoever comes second finds nothing to do.
 */

import { createMutex, type Mutex } from "../../sql/mutex.ts";
import type { KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft, type Errands } from "./draft.ts";
import type { KeptEvents } from "./kept_events.ts";
import type { Moves } from "./moves.ts";
import type { EndedRun, Parents } from "./parents.ts";
import { jobs } from "./record.ts";
import type { RunSteps } from "./run_steps.ts";
import { checkTarget, type Target, type Targets } from "./targets.ts";
import { decode } from "./value.ts";

const UNWANTED = { code: "cancelled", message: "Its parent was cancelled" } as const;

export class Aftermath {
  readonly #database: Database;
  readonly #moves: Moves;
  readonly #steps: RunSteps;
  readonly #events: KeptEvents;
  readonly #targets: Targets;
  readonly #parents: Parents;
  readonly #exclusive: Mutex = createMutex();
  /** Notes of this process. */
  #notes: KvKey[] = [];

  constructor(parts: {
    database: Database;
    moves: Moves;
    runSteps: RunSteps;
    keptEvents: KeptEvents;
    targets: Targets;
    parents: Parents;
  }) {
    this.#database = parts.database;
    this.#moves = parts.moves;
    this.#steps = parts.runSteps;
    this.#events = parts.keptEvents;
    this.#targets = parts.targets;
    this.#parents = parts.parents;
  }

  /** Something was written. */
  note({ errandsKey }: Draft): void {
    if (errandsKey !== null) this.#notes.push(errandsKey);
  }

  /** Goes on with what this process has left. What fails is not lost: a rescue finds the note. */
  async flush(): Promise<void> {
    await this.#exclusive(async () => {
      while (this.#notes.length > 0) {
        const notes = this.#notes;
        this.#notes = [];
        for (const note of notes) await this.#do(note).catch(() => {});
      }
    });
  }

  /** Goes on with what anybody has left. One note that fails does not hold up the others. */
  async flushAll(): Promise<void> {
    await this.#exclusive(async () => {
      this.#notes = [];
      const section = { prefix: this.#database.keys.section("after") };
      const failures = new Map<string, unknown>();
      for (;;) {
        const page = await this.#database.page(section, 500);
        const notes = page.map(({ key }) => key).filter((key) => !failures.has(key[2] as string));
        if (notes.length === 0) break;
        for (const note of notes) {
          await this.#do(note).catch((error) => failures.set(note[2] as string, error));
        }
      }
      for (const failure of failures.values()) throw failure;
    });
  }

  /** False where something was left to do about one of these runs: it is done then, look again. */
  async isDone(ids: readonly string[]): Promise<boolean> {
    const section = { prefix: this.#database.keys.section("after") };
    for await (const { value } of this.#database.list(section)) {
      const { ended = [] } = decode<Errands>(value);
      if (!ended.some((id) => ids.includes(id))) continue;
      await this.flushAll();
      return false;
    }
    return true;
  }

  async #do(note: KvKey): Promise<void> {
    const { value } = await this.#database.get(note);
    if (value === null) return; // somebody else has done it
    const { ended = [], unwanted = [], gone = [] } = decode<Errands>(value);
    await this.#cancel(unwanted);
    for (const id of gone) await this.#clear(id);
    const runs = await this.#ended(ended);
    for (const { job: { id, state }, flow: { hears, bears } } of runs) {
      if (hears) await this.#database.insist(() => this.#release(id));
      if (bears && state === "cancelled") await this.#cancelChildren(id);
    }
    await this.#parents.tell(runs, note);
  }

  /** Those of the runs that have ended, and have not come back since. */
  async #ended(ids: readonly string[]): Promise<EndedRun[]> {
    if (ids.length === 0) return [];
    const { keys } = this.#database;
    const entries = await this.#database.getMany(ids.map((id) => keys.finished(id)));
    const flows = await this.#steps.flows(ids);
    const found = await Promise.all(ids.map(async (id, i) => {
      const flow = flows[i]?.flow.record;
      if (entries[i].value === null || flow === undefined) return null;
      const job = await this.#database.complete(jobs, id, jobs.unpack(entries[i].value));
      return { job: job.record, flow };
    }));
    return found.filter((run) => run !== null);
  }

  async #cancelChildren(id: string): Promise<void> {
    const prefix = this.#database.keys.section("child", id);
    const children: string[] = [];
    for await (const { key } of this.#database.list({ prefix }, { batchSize: 500 })) {
      children.push(key[3] as string);
    }
    await this.#cancel(children);
  }

  /** Cancels runs that nobody wants any more, apart from those that undo their steps. */
  async #cancel(ids: readonly string[]): Promise<void> {
    for (let left = ids; left.length > 0;) {
      const maxChecks = await this.#database.maxChecks();
      const some = left.slice(0, 50);
      const count = await this.#database.insist(async () => {
        const now = this.#database.now();
        const draft = new Draft();
        let count = 0;
        for (const target of await this.#targets.find(some)) {
          if (target !== null && isUnwanted(target)) {
            const one = new Draft();
            checkTarget(one, target);
            if (await this.#targets.cancelled(one, target, UNWANTED, now) === null) return null;
            if (!draft.fits(one, maxChecks)) break;
            draft.add(one);
          }
          count++;
        }
        if (draft.checks === 0) return count;
        return await this.#database.commit(draft, now) === null ? null : count;
      });
      left = left.slice(count);
    }
  }

  /** The steps of a run that has ended do not wait any more. */
  async #release(id: string): Promise<true | null> {
    const [found] = await this.#steps.flows([id]);
    const ended = await this.#database.get(this.#database.keys.finished(id));
    if (found === null || ended.value === null) return true;
    let draft = new Draft();
    const commit = async () => {
      if (draft.isEmpty) return true;
      draft.check(found.entry); // it may come back
      return await this.#database.commit(draft) !== null;
    };
    for (const { record } of await this.#steps.pending(id)) {
      if (record.state !== "open") continue;
      const one = new Draft();
      this.#moves.runs.unwait(one, id, record);
      if (!draft.fits(one)) {
        if (!await commit()) return null;
        draft = new Draft();
      }
      draft.add(one);
    }
    return await commit() ? true : null;
  }

  /** Forgets what hangs on a run that is gone. */
  async #clear(id: string): Promise<void> {
    const { keys } = this.#database;
    let draft = new Draft();
    const add = async (one: Draft) => {
      if (!draft.fits(one)) {
        await this.#database.commit(draft);
        draft = new Draft();
      }
      draft.add(one);
    };
    for (const { record, pieces } of await this.#steps.all(id)) {
      const one = new Draft();
      // Nobody is told that it is gone: children go on.
      this.#moves.runs.forget(one, id, { record: { ...record, childId: null }, pieces });
      await add(one);
    }
    const ofRun = { prefix: keys.section("event", "run", id) };
    const found: string[] = [];
    for await (const { key } of this.#database.list(ofRun)) found.push(key.at(-1) as string);
    for (const event of await this.#events.read(found)) {
      if (event === null) continue;
      const one = new Draft();
      this.#events.drop(one, event);
      await add(one);
    }
    for await (const { key } of this.#database.list({ prefix: keys.section("took", id) })) {
      const one = new Draft();
      one.delete(key);
      await add(one);
    }
    if (!draft.isEmpty) await this.#database.commit(draft);
  }
}

/** True for a run that has not ended and does not undo its steps. */
function isUnwanted({ stored, run }: Target): boolean {
  return stored.record.completedAt === null && run?.flow.record.compensating !== true;
}
