import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { Deadlines } from "../../src/sql/deadlines.ts";
import { withLimit } from "../../src/sql/limit.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const never = new Promise<never>(() => {});

describe("the deadlines of a driver", () => {
  it("give up statements in the order in which they began, those that are answered not at all", async () => {
    const deadlines = new Deadlines(40);
    const told: string[] = [];
    const run = (name: string, statement: Promise<unknown>) =>
      withLimit(40, statement, () => told.push(name), deadlines).then(
        () => `${name} answered`,
        (error) => `${name} ${error.code}`,
      );
    const first = [run("a", never), run("b", pause(5)), run("c", Promise.reject(new Error("no")))];
    await pause(20);
    const second = run("d", never);
    assertEquals((await Promise.all(first)).map((text) => text.split(" ")[0]), ["a", "b", "c"]);
    assertEquals(told, ["a"]);
    await second;
    assertEquals(told, ["a", "d"]);
    assertEquals(await run("e", pause(5)), "e answered", "they begin again");
    deadlines.close();
  });

  it("hold nothing up that an answer has come for while the process was busy", async () => {
    const deadlines = new Deadlines(10);
    const answer = pause(15);
    const waiting = withLimit(10, answer, () => {}, deadlines);
    const until = performance.now() + 60;
    while (performance.now() < until);
    await waiting;
    deadlines.close();
  });

  it("leave no timer behind: a process that closes its store ends at once", async () => {
    const code = `
      import { Deadlines } from "./src/sql/deadlines.ts";
      import { withLimit } from "./src/sql/limit.ts";
      const deadlines = new Deadlines(600_000);
      await withLimit(600_000, Promise.resolve(1), () => {}, deadlines);
      deadlines.close();
      await withLimit(600_000, Promise.resolve(2), () => {}, deadlines);`;
    const args = ["eval", "--quiet", code];
    const process = new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).spawn();
    const timer = setTimeout(() => process.kill(), 60_000);
    assert((await process.status).success);
    clearTimeout(timer);
  });
});
