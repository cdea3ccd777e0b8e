import { newId } from "../../../src/core/id.ts";
import { newRecord } from "../../../src/core/job.ts";
import { Draft } from "../../../src/store/kv/draft.ts";
import { Keys } from "../../../src/store/kv/keys.ts";
import { openKv } from "../../../src/store/kv/open.ts";
import { jobs } from "../../../src/store/kv/record.ts";

/** Writes so many completed jobs, as a store that has run for long has them. */
export async function seed(path: string, count: number): Promise<void> {
  const kv = await openKv(path);
  const keys = new Keys("dispatch");
  const now = Date.now();
  const like = { name: "noop", queue: "default", priority: 0, payload: '{"n":1}', maxRetries: 3 };
  for (let done = 0; done < count;) {
    const draft = new Draft();
    for (; done < count; done++) {
      const one = new Draft();
      const id = newId("job");
      const rest = { timeoutMs: 0, delayMs: 0, runAt: null, uniqueKey: null, tags: [], scope: {} };
      const job = { ...newRecord({ id, ...like, ...rest }, now), attempt: 1, completedAt: now };
      const { value } = jobs.pack(one, keys, id, { ...job, state: "completed", result: "null" });
      one.set(keys.finished(id), value);
      one.finish("completed", id);
      one.count("default", "completed", 1);
      if (!draft.fits(one)) break;
      draft.add(one);
    }
    const op = kv.atomic();
    draft.applyTo(op, keys, now);
    await op.commit();
  }
  kv.close();
}
