/** The conformance suite on the memory store. */
import { test } from "node:test";
import { memoryStore } from "@dispatch/dispatch";
import { testStore } from "@dispatch/dispatch/testing";

testStore({
  name: "memory",
  test,
  open: ({ clock }) => Promise.resolve({ store: memoryStore({ clock }) }),
});
