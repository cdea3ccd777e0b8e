import { notFound, wrongState } from "../../core/errors.ts";
import { isId, withPrefix } from "../../core/id.ts";
import type { JobRecord } from "../../core/job.ts";
import {
  type Checkpoint,
  isRunName,
  noRuns,
  parseRunName,
  type RunCounts,
  type RunRecord,
  type RunState,
} from "../../core/run.ts";
import type {
  CheckpointQuery,
  RunQuery,
  RunRest,
  RunStore,
  StepStatus,
  StepWait,
  StepWrite,
  UnservedRuns,
} from "../run_store.ts";
import type { Page } from "../store.ts";
import type { KvEntry } from "./client.ts";
import type { Draft } from "./draft.ts";
import type { KvParts } from "./parts.ts";
import { notACursor } from "./reader.ts";
import { jobs } from "./record.ts";
import { shown } from "./run_record.ts";
import type { FoundFlow } from "./run_steps.ts";
import type { Target } from "./targets.ts";
import { unserved } from "./unserved.ts";
import { counted } from "./value.ts";

const MAX_OPEN_SHOWN = 20;

/** A run, and where its job is. */
type RunTarget = Target & { readonly run: FoundFlow };

/** The runs of a KV store. */
export class KvRuns implements RunStore {
  readonly #parts: KvParts;

  constructor(parts: KvParts) {
    this.#parts = parts;
  }

  async get(jobIds: readonly string[]): Promise<(RunRecord | null)[]> {
    const found = await this.#parts.targets.find([...new Set(jobIds)]);
    const runs = await Promise.all(
      found.map((target) => target?.run ? this.#record({ ...target, run: target.run }) : null),
    );
    const records = new Map(runs.map((run) => [run?.job.id, run]));
    return jobIds.map((id) => records.get(id) ?? null);
  }

  resume(jobIds: readonly string[], limit: number): Promise<RunRest[]> {
    return this.#parts.runSteps.resume(jobIds, limit);
  }

  async list(query: RunQuery): Promise<Page<RunRecord>> {
    const { state, name, limit, offset, cursor } = query;
    if (cursor !== undefined && !isId("job", cursor)) throw notACursor(cursor);
    const items: RunRecord[] = [];
    let skip = offset;
    for await (const target of this.#walk(query)) {
      const { record: job } = target.stored;
      if (name !== undefined && parseRunName(job.name).name !== name) continue;
      if (state !== undefined && stateOf(target) !== state || skip-- > 0) continue;
      if (items.length === limit) return { items, nextCursor: items.at(-1)?.job.id ?? null };
      items.push(await this.#record(target));
    }
    return { items, nextCursor: null };
  }

  async counts(): Promise<RunCounts> {
    const { database } = this.#parts;
    const counts = noRuns();
    for (
      const { key, value } of await database.page({ prefix: database.keys.section("runs") }, 10)
    ) {
      counts[key[2] as RunState] = counted(value);
    }
    return counts;
  }

  save(writes: readonly StepWrite[]): Promise<StepStatus[]> {
    return this.#parts.runWrites.save(writes);
  }

  wait(waits: readonly StepWait[]): Promise<(Checkpoint | null)[]> {
    return this.#parts.runWrites.wait(waits);
  }

  checkpoints(queries: readonly CheckpointQuery[]): Promise<Checkpoint[][]> {
    return Promise.all(queries.map((query) => this.#parts.runSteps.checkpoints(query)));
  }

  async compensate(jobId: string): Promise<RunRecord> {
    const { database, targets, moves, verbs } = this.#parts;
    return await this.#change(jobId, async (draft, target) => {
      const { stored, running, run: { flow } } = target;
      const { record } = stored;
      if (record.completedAt !== null) {
        throw refuse("cancel", jobId, record.state, "a run that has not ended");
      }
      if (flow.record.compensating) return record;
      const now = database.now();
      const after = { ...flow.record, compensating: true, cause: null };
      moves.runs.turn(draft, jobId, after, flow);
      return running === null
        ? await verbs.ready(draft, stored, now)
        : targets.interrupt(draft, stored, running, now);
    });
  }

  async rewind(jobId: string, from: number): Promise<RunRecord> {
    const { database, resume, verbs } = this.#parts;
    return await this.#change(jobId, async (draft, target) => {
      const { record } = target.stored;
      if (target.running !== null) {
        throw refuse("replay", jobId, "executing", "a run that is not executing");
      }
      if (record.completedAt !== null) {
        await verbs.holdKey(draft, "replay", "run", withPrefix("run", jobId), record);
      }
      const now = database.now();
      if (!await resume.rewind(draft, target, from, now)) return null;
      return await verbs.revived(draft, target.stored, now);
    });
  }

  unserved(jobNames: readonly string[], dueForMs: number): Promise<UnservedRuns[]> {
    return unserved(this.#parts.database, jobNames, dueForMs);
  }

  async #change(
    jobId: string,
    build: (draft: Draft, target: RunTarget) => Promise<JobRecord | null>,
  ): Promise<RunRecord> {
    const { targets, aftermath } = this.#parts;
    const missing = () => notFound("run", withPrefix("run", jobId));
    await targets.change(jobId, async (draft, { run, ...target }) => {
      if (run === null) throw missing();
      return await build(draft, { ...target, run });
    }, missing);
    await aftermath.flush();
    const [record] = await this.get([jobId]);
    if (record === null) throw missing();
    return record;
  }

  /** Runs from the newest on, without what they wait for. */
  async *#walk({ state, parentId, cursor }: RunQuery): AsyncGenerator<RunTarget> {
    const { database: { keys }, reader, targets } = this.#parts;
    const section = parentId !== undefined
      ? keys.section("child", parentId)
      : state === "running" || state === "compensating"
      ? keys.section("w")
      : state === "failed" || state === "cancelled"
      ? keys.section("s", state)
      : keys.section("run");
    const mayBeRun = ({ key, value }: KvEntry) =>
      key[1] !== "w" || isRunName(jobs.unpack(value).record.name);
    for await (const page of reader.pages(section, cursor)) {
      const ids = page.filter(mayBeRun).map(({ key }) => key[section.length] as string);
      for (const target of await targets.find(ids)) {
        if (target !== null && target.run !== null) yield { ...target, run: target.run };
      }
    }
  }

  async #record({ stored, run }: RunTarget): Promise<RunRecord> {
    const { database, runSteps } = this.#parts;
    const { record: job } = stored;
    const { compensating, cause, parentId, since, opened } = run.flow.record;
    const now = database.now();
    const open = opened ? await runSteps.pending(job.id) : [];
    return {
      job: { ...job },
      compensating,
      cause,
      parentId,
      since: since ?? job.createdAt,
      open: open.filter(({ record }) => record.state === "open").slice(0, MAX_OPEN_SHOWN)
        .map((step) => shown(step, now)),
    };
  }
}

function stateOf({ stored, run }: RunTarget): RunState {
  const { completedAt, state } = stored.record;
  if (completedAt !== null) return state as RunState;
  return run.flow.record.compensating ? "compensating" : "running";
}

function refuse(verb: string, jobId: string, state: string, allowed: string) {
  return wrongState(verb, "run", withPrefix("run", jobId), state, allowed);
}
