/**
 * What tests of applications and of stores need: a clock that a test holds, a way to wait until all
 * jobs have ended, and the suite that says whether a store keeps the promises of its port.
 *
 * @example
 * ```ts
 * import { memoryStore } from "@dispatch/dispatch";
 * import { heldClock } from "@dispatch/dispatch/testing";
 *
 * const clock = heldClock();
 * const store = memoryStore({ clock });
 * await clock.advance("1h");
 * ```
 *
 * @module
 */

export { drain, type DrainOptions } from "./drain.ts";
export { type HeldClock, heldClock } from "./held_clock.ts";
export { type OpenedStore, type StoreSuiteOptions, testStore } from "./store_suite.ts";
