import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Database } from "../../src/store/postgres/database.ts";
import { Wake } from "../../src/store/postgres/wake.ts";
import { heldClock } from "../../src/testing/held_clock.ts";

/** Hints that a process sends by themselves, and its clock. */
function setup() {
  const sent: unknown[] = [];
  const query = (_: string, params: unknown[]) => (sent.push(params[1]), Promise.resolve([]));
  const clock = heldClock();
  const wake = new Wake({ schema: "dispatch", query } as unknown as Database, true, clock);
  /** An insert: what it does when it begins, and when it is answered. */
  const begin = () => {
    const told = wake.takeTurn() !== null;
    return { told, end: () => wake.send(["default"], told ? "told" : "with the next") };
  };
  return { wake, clock, sent, begin };
}

describe("the hints of a process", () => {
  it("go with the first insert after a pause, and none by itself while inserts follow each other", async () => {
    const { clock, sent, begin } = setup();
    const told: boolean[] = [];
    for (let i = 0; i < 30; i++) {
      const insert = begin();
      await clock.advance(1); // as long as it takes
      insert.end();
      told.push(insert.told);
    }
    assertEquals(sent, []);
    assertEquals(told[0], true);
    assertEquals(told.filter(Boolean).length, 6); // of 30 ms, every fifth
    await clock.advance(100);
    assertEquals(sent, ["default"]); // what came after the last one
  });

  it("of an insert that outlasts the pause is sent soon, where no other insert comes", async () => {
    const { clock, sent, begin } = setup();
    begin().end();
    const slow = begin();
    assertEquals(slow.told, false);
    await clock.advance(10);
    slow.end();
    assertEquals(sent, []);
    await clock.advance(2);
    assertEquals(sent, ["default"]);
  });

  it("go out at once where no insert can take them along", async () => {
    const { wake, clock, sent } = setup();
    wake.send(["default"]);
    assertEquals(sent, ["default"]);
    wake.send(["default"]);
    await clock.advance(7);
    assertEquals(sent, ["default", "default"]);
    await wake.close();
  });
});
