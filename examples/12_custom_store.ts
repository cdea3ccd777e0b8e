/**
 * A store of your own, and the suite that says whether it keeps what stores promise. This one wraps
 * another and counts the jobs that it is given.
 * `deno run -A --import-map=scripts/npm_imports.json examples/12_custom_store.ts`
 */
import { createExtension, defineJob, memoryStore, type Store } from "@dispatch/dispatch";
import { testStore } from "@dispatch/dispatch/testing";

let enqueued = 0;

function countingStore(inner: Store): Store {
  const methods = <T extends object>(own: Partial<T>, other: T): T =>
    new Proxy(other, {
      get: (target, key) => Reflect.get(own, key) ?? Reflect.get(target, key).bind(target),
    });
  const jobs = methods({
    enqueue: (added) => (enqueued += added.length, inner.jobs.enqueue(added)),
  }, inner.jobs);
  return Object.create(inner, { name: { value: "counting" }, jobs: { value: jobs } });
}

const rules = new Map<string, () => Promise<void>>(); // in a test file: test: Deno.test
testStore({
  name: "counting",
  test: (rule, run) => rules.set(rule, run),
  open: ({ clock }) => Promise.resolve({ store: countingStore(memoryStore({ clock })) }),
});
for (const run of rules.values()) await run();
console.log("every rule is kept:", rules.size > 100);

enqueued = 0;
const Hello = defineJob({ name: "hello", handler: () => "hello" });
const store = countingStore(memoryStore());
await using dispatch = createExtension({ store, jobs: [Hello], config: false });
await dispatch.start();
const job = await dispatch.engine.enqueue(Hello, null);
console.log(await dispatch.engine.result(job.id), enqueued);

// Prints:
// every rule is kept: true
// hello 1
