import type { Store } from "../store/store.ts";
import { type HeldClock, heldClock } from "./held_clock.ts";
import { claimingCases } from "./suite/claiming.ts";
import { CaseContext, type StoreCase } from "./suite/context.ts";
import { deadLetterCases } from "./suite/dead_letters.ts";
import { delayCases } from "./suite/delays.ts";
import { enqueueCases } from "./suite/enqueue.ts";
import { familyCases } from "./suite/families.ts";
import { fencingCases } from "./suite/fencing.ts";
import { lifecycleCases } from "./suite/lifecycle.ts";
import { listingCases } from "./suite/listing.ts";
import { orderingCases } from "./suite/ordering.ts";
import { queueCases } from "./suite/queues.ts";
import { raceCases } from "./suite/races.ts";
import { rescueCases } from "./suite/rescue.ts";
import { retentionCases } from "./suite/retention.ts";
import { runLifeCases } from "./suite/run_life.ts";
import { settlingCases } from "./suite/settling.ts";
import { stepCases } from "./suite/steps.ts";
import { uniqueCases } from "./suite/unique.ts";
import { verbCases } from "./suite/verbs.ts";
import { waitCases } from "./suite/waits.ts";
import { wakeCases } from "./suite/wake.ts";

const CASES: readonly StoreCase[] = [
  ...lifecycleCases,
  ...enqueueCases,
  ...orderingCases,
  ...delayCases,
  ...claimingCases,
  ...settlingCases,
  ...fencingCases,
  ...rescueCases,
  ...uniqueCases,
  ...raceCases,
  ...verbCases,
  ...deadLetterCases,
  ...retentionCases,
  ...queueCases,
  ...listingCases,
  ...wakeCases,
  ...stepCases,
  ...waitCases,
  ...familyCases,
  ...runLifeCases,
];

/** A store that was opened for one case. */
export interface OpenedStore {
  /** The store, empty. The suite migrates and closes it. */
  readonly store: Store;
  /**
   * Opens the same data once more, as another process would. The suite closes what it returns.
   * Default: the same store, for stores that only one process can have.
   */
  readonly peer?: () => Promise<Store>;
  /** Clears away what `open` has made, after everything was closed. */
  readonly dispose?: () => Promise<void>;
}

/** What {@link testStore} takes. */
export interface StoreSuiteOptions {
  /** Name of the store; every test is called after it. */
  readonly name: string;
  /** Registers a test: `Deno.test`, `test` of `node:test`, or the `it` of any runner. */
  readonly test: (name: string, run: () => Promise<void>) => unknown;
  /** Opens a fresh, empty store that takes its time from the given clock. Called for each case. */
  readonly open: (context: { readonly clock: HeldClock }) => Promise<OpenedStore>;
  /**
   * Cases that the store cannot pass, by name, each with the reason, which is shown in the name of
   * the test.
   */
  readonly skip?: Readonly<Record<string, string>>;
  /** Why the store keeps no runs of workflows. Left out where it does. */
  readonly withoutWorkflows?: string;
}

/**
 * Registers the conformance suite of stores: one test for each rule that the port promises. A store
 * that passes may be given to an engine.
 *
 * @throws {TypeError} when `skip` names no case of the suite, or gives no reason
 *
 * @example
 * ```ts
 * import { memoryStore } from "@dispatch/dispatch";
 * import { testStore } from "@dispatch/dispatch/testing";
 *
 * const tests = new Map<string, () => Promise<void>>();
 * testStore({
 *   name: "memory",
 *   test: (name, run) => tests.set(name, run), // in a test file: Deno.test(name, run)
 *   open: ({ clock }) => Promise.resolve({ store: memoryStore({ clock }) }),
 * });
 * for (const run of tests.values()) await run();
 * ```
 */
export function testStore(options: StoreSuiteOptions): void {
  const { name, test, open, skip = {}, withoutWorkflows } = options;
  checkSkips(skip);
  for (const storeCase of CASES) {
    const reason = skip[storeCase.name] ??
      (storeCase.part === "workflows" ? withoutWorkflows : undefined);
    if (reason === undefined) {
      test(`${name}: ${storeCase.name}`, () => runCase(storeCase, open));
    } else {
      test(`${name}: ${storeCase.name} (skipped: ${reason})`, () => Promise.resolve());
    }
  }
}

function checkSkips(skip: Readonly<Record<string, string>>): void {
  const known = new Set(CASES.map((storeCase) => storeCase.name));
  for (const [name, reason] of Object.entries(skip)) {
    // A case that was renamed must not stay skipped under its old name unnoticed.
    if (!known.has(name)) throw new TypeError(`Cannot skip "${name}": no case has this name`);
    if (reason.trim() === "") throw new TypeError(`Cannot skip "${name}": it gives no reason`);
  }
}

async function runCase(storeCase: StoreCase, open: StoreSuiteOptions["open"]): Promise<void> {
  const clock = heldClock();
  const { store, peer, dispose } = await open({ clock });
  const peers: Store[] = [];
  const openPeer = async () => {
    if (peer === undefined) return store;
    const opened = await peer();
    if (opened !== store) peers.push(opened);
    return opened;
  };
  try {
    await store.migrate();
    await storeCase.run(new CaseContext(clock, store, openPeer));
  } finally {
    for (const opened of [...peers, store]) await opened.close();
    await dispose?.();
  }
}
