/** The store suite of `@dispatch/dispatch/testing`, imported from JSR, on a store imported likewise. */
import { memoryStore } from "@dispatch/dispatch";
import { testStore } from "@dispatch/dispatch/testing";

testStore({
  name: "memory",
  test: Deno.test,
  open: ({ clock }) => Promise.resolve({ store: memoryStore({ clock }) }),
});
