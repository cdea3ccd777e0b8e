import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { Fifo } from "../../src/core/fifo.ts";

describe("Fifo", () => {
  it("behaves like an array, whatever is done to it", () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ do: fc.constant("push" as const), count: fc.integer({ min: 1, max: 3000 }) }),
        fc.record({ do: fc.constant("shift" as const), count: fc.integer({ min: 1, max: 3000 }) }),
        fc.record({ do: fc.constant("remove" as const), count: fc.integer({ min: 2, max: 5 }) }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(steps, (list) => {
        const fifo = new Fifo<number>();
        let model: number[] = [];
        let next = 0;
        for (const step of list) {
          if (step.do === "remove") {
            const keep = (n: number) => n % step.count !== 0;
            assertEquals(fifo.remove(keep), model.filter((n) => !keep(n)));
            model = model.filter(keep);
          }
          for (let i = 0; i < step.count && step.do !== "remove"; i++) {
            if (step.do === "push") (fifo.push(next), model.push(next++));
            else if (fifo.shift() !== model.shift()) throw new Error("shift() differs");
          }
          assertEquals(fifo.size, model.length);
          assertEquals([fifo.peek(), fifo.last()], [model[0], model.at(-1)]);
        }
        assertEquals(fifo.items(), model);
      }),
      { numRuns: 50 },
    );
  });

  it("gives nothing when it is empty", () => {
    const fifo = new Fifo<number>();
    assertEquals([fifo.peek(), fifo.last(), fifo.shift(), fifo.size], [
      undefined,
      undefined,
      undefined,
      0,
    ]);
  });
});
