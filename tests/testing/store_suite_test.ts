import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { nextTurn } from "../../src/core/clock.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import type { Store } from "../../src/store/store.ts";
import { type StoreSuiteOptions, testStore } from "../../src/testing/mod.ts";
import { BROKEN_RUNS } from "./broken_runs.ts";
import { BROKEN_STORES } from "./broken_stores.ts";

/** The tests that the suite registers, without running them. */
function collect(options: Partial<StoreSuiteOptions> = {}): Map<string, () => Promise<void>> {
  const tests = new Map<string, () => Promise<void>>();
  testStore({
    name: "store",
    test: (name, run) => tests.set(name, run),
    open: ({ clock }) => Promise.resolve({ store: memoryStore({ clock }) }),
    ...options,
  });
  return tests;
}

/** Names of the cases that a store fails, of those whose names have this part. */
async function failures(breakIt: (store: Store) => Store, part = ""): Promise<string[]> {
  const failed: string[] = [];
  const tests = collect({
    open: ({ clock }) => Promise.resolve({ store: breakIt(memoryStore({ clock })) }),
  });
  for (const [name, run] of tests) {
    if (name.includes(part)) await run().catch(() => failed.push(name));
  }
  return failed;
}

/** The same store behind a line on which every call and every answer takes a while of its own. */
function late(store: Store): Store {
  let calls = 0;
  const pass = async () => {
    for (let turns = ++calls * 7 % 4; turns > 0; turns--) await nextTurn();
  };
  const delayed = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get: (_, key) => async (...args: unknown[]) => {
        await pass();
        const method = Reflect.get(part, key) as (...args: unknown[]) => unknown;
        const answer = await method.apply(part, args);
        await pass();
        return answer;
      },
    });
  return {
    ...store,
    jobs: delayed(store.jobs),
    deadLetters: delayed(store.deadLetters),
    queues: delayed(store.queues),
    runs: delayed(store.runs!),
    events: delayed(store.events!),
    onWake: (wake) => store.onWake!((queue) => void pass().then(() => wake(queue))),
  };
}

describe("testStore()", () => {
  it("passes a sound store, also through the wrapper of the broken ones", async () => {
    assertEquals(await failures((store) => new Proxy(store, {})), []);
  });

  it("passes a sound store that answers late and out of order, as over a network", async () => {
    assertEquals(await failures(late), []);
  });

  for (const { fault, foundBy, breakIt } of [...BROKEN_STORES, ...BROKEN_RUNS]) {
    it(`finds a store that ${fault}`, async () => {
      assert((await failures(breakIt, foundBy)).length > 0, `"${foundBy}" passes`);
    });
  }

  it("has a name of its own for each case", () => {
    let registered = 0;
    const tests = collect();
    collect({ test: () => void registered++ });
    assertEquals(tests.size, registered);
  });

  it("does not run what is skipped, and shows the reason", async () => {
    let opened = 0;
    const tests = collect({
      open: () => Promise.reject(new Error(`opened ${++opened}`)),
      skip: { "ping() resolves while the store answers": "it has no server" },
    });
    await tests.get(
      "store: ping() resolves while the store answers (skipped: it has no server)",
    )!();
    assertEquals(opened, 0);
  });

  it("refuses to skip a case that does not exist, or without a reason", () => {
    assertThrows(() => collect({ skip: { "ping()": "typo" } }), TypeError, 'Cannot skip "ping()"');
    const unreasoned = { "ping() resolves while the store answers": " " };
    assertThrows(() => collect({ skip: unreasoned }), TypeError, "no reason");
  });

  it("closes everything and clears away after each case, also after a failure", async () => {
    const events: string[] = [];
    const open: StoreSuiteOptions["open"] = ({ clock }) => {
      const store = memoryStore({ clock });
      const handle = (name: string, ping: () => Promise<void>): Store => ({
        ...store,
        ping,
        close: () => Promise.resolve(void events.push(`close ${name}`)),
      });
      return Promise.resolve({
        store: handle("store", () => Promise.reject(new Error("no answer"))),
        peer: () => Promise.resolve(handle("peer", store.ping)),
        dispose: () => Promise.resolve(void events.push("dispose")),
      });
    };
    const tests = collect({ open });
    await assertRejects(
      tests.get("store: ping() resolves while the store answers")!,
      Error,
      "no answer",
    );
    assertEquals(events, ["close store", "dispose"]);
    events.length = 0;
    await tests.get("store: a peer's rescue takes the lease away as well")!();
    assertEquals(events, ["close peer", "close store", "dispose"]);
  });
});
