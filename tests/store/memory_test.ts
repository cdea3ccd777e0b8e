import { describe, it } from "@std/testing/bdd";
import { memoryStore } from "../../src/store/memory/store.ts";
import { testStore } from "../../src/testing/mod.ts";

describe("memoryStore()", () => {
  testStore({
    name: "memory",
    test: it,
    open: ({ clock }) => Promise.resolve({ store: memoryStore({ clock }) }),
  });
});
