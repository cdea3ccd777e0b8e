/**
 * A store of your own, and the suite that says whether it keeps what stores promise. This one wraps
 * another and counts the jobs that it is given.
 * `deno run -A --import-map=scripts/npm_imports.json examples/12_custom_store.ts`
 */
import { type JobStore, memoryStore, type Store } from "@dispatch/dispatch";
import { testStore } from "@dispatch/dispatch/testing";

let enqueued = 0;

function countingStore(inner: Store): Store {
  const jobs: JobStore = Object.create(bound(inner.jobs));
  jobs.enqueue = (added) => (enqueued += added.length, inner.jobs.enqueue(added));
  return { ...bound(inner), name: "counting", jobs };
}

/** The same object, whose methods need no `this`. */
function bound<T extends object>(object: T): T {
  return new Proxy(object, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const rules = new Map<string, () => Promise<void>>(); // in a test file: test: Deno.test
testStore({
  name: "counting",
  test: (rule, run) => rules.set(rule, run),
  open: ({ clock }) => Promise.resolve({ store: countingStore(memoryStore({ clock })) }),
});
for (const run of rules.values()) await run();
console.log("every rule is kept:", rules.size > 100);
console.log("jobs were counted:", enqueued > 0); // now it may be the `store` of an extension

// Prints:
// every rule is kept: true
// jobs were counted: true
