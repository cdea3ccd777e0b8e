import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { lazy, standIn } from "../../src/core/lazy.ts";

describe("what is loaded when it is wanted", () => {
  it("is not loaded before, and once for all who want it", async () => {
    let loads = 0;
    const load = lazy("the code", () => Promise.resolve(++loads));
    assertEquals(loads, 0);
    assertEquals(await Promise.all([load(), load()]), [1, 1]);
    assertEquals(await load(), 1);
  });

  it("says what could not be loaded and why, and is tried again by the next call", async () => {
    let loads = 0;
    const gone = new TypeError("Module not found: chunk-7.js");
    const load = lazy("the code of workflows", async () => {
      if (++loads === 1) throw gone;
      return await Promise.resolve("code");
    });
    const error = await assertRejects(load, DispatchError);
    assertEquals([error.code, error.cause], ["internal", gone]);
    assertEquals(error.message, "Cannot load the code of workflows: Module not found: chunk-7.js");
    assertStringIncludes(error.hint, "every chunk");
    assertEquals(await load(), "code");
  });

  it("has a stand-in, whose methods are those of the object, with its own errors", async () => {
    class Counter {
      #count = 0;
      async add(by: number): Promise<number> {
        if (by < 0) throw new RangeError("less than nothing");
        return await Promise.resolve(this.#count += by);
      }
    }
    const counter = new Counter();
    const stand = standIn<Counter>(() => Promise.resolve(counter), ["add"]);
    assertEquals([await stand.add(2), await stand.add(3)], [2, 5]);
    await assertRejects(() => stand.add(-1), RangeError, "less than nothing");
  });
});
