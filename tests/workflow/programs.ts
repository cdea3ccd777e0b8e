/** Random workflows: trees of steps, how they are run, and what must come of them. */

import fc from "fast-check";
import { constant } from "../../src/core/backoff.ts";
import type { Json } from "../../src/core/json.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import type { Step } from "../../src/workflow/step.ts";

export type Program =
  | { do: "run"; failures: number; hopeless: boolean; undo: boolean }
  | { do: "sleep"; ms: number }
  | { do: "wait"; sent: "before" | "later" | "never" }
  | { do: "value" }
  | { do: "seq" | "parallel" | "race"; parts: Program[] }
  | { do: "try" | "child"; part: Program };

/** Everything that happens to the outside, by the step that did it. */
export interface Effects {
  /** A step's function was called. */
  called(key: string): void;
  /** A step was undone. */
  undone(key: string): void;
}

const { program: anyProgram } = fc.letrec<{ program: Program; leaf: Program }>((tie) => ({
  leaf: fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant("run" as const),
        failures: fc.constantFrom(0, 0, 0, 1, 2),
        hopeless: fc.constantFrom(false, false, false, false, false, true),
        undo: fc.boolean(),
      }),
    },
    fc.record({ do: fc.constant("sleep" as const), ms: fc.constantFrom(0, 1000, 20_000) }),
    fc.record({
      do: fc.constant("wait" as const),
      sent: fc.constantFrom("before" as const, "later" as const, "never" as const),
    }),
    fc.constant({ do: "value" as const }),
  ),
  program: fc.oneof(
    { depthSize: "small", maxDepth: 4, withCrossShrink: true },
    tie("leaf"),
    fc.record({
      do: fc.constantFrom("seq" as const, "seq" as const, "parallel" as const, "race" as const),
      parts: fc.array(tie("program"), { minLength: 1, maxLength: 4 }),
    }),
    fc.record({ do: fc.constantFrom("try" as const, "child" as const), part: tie("program") }),
  ),
}));

/** A few parts one after the other, so that most programs do several things. */
export const program: fc.Arbitrary<Program> = fc.array(anyProgram, { minLength: 2, maxLength: 4 })
  .map((parts) => ({ do: "seq", parts }));

/** A place in a program, which names its steps and its events. */
type Place = string;

function placesOf(parts: readonly Program[], place: Place): [Program, Place][] {
  return parts.map((part, i) => [part, `${place}.${i}`]);
}

/** Events that the program waits for and that are sent. */
export function eventsOf(program: Program, place: Place = "p"): { place: Place; later: boolean }[] {
  if (program.do === "wait" && program.sent !== "never") {
    return [{ place, later: program.sent === "later" }];
  }
  if ("part" in program) return eventsOf(program.part, `${place}.0`);
  if ("parts" in program) {
    return placesOf(program.parts, place).flatMap(([part, at]) => eventsOf(part, at));
  }
  return [];
}

/** What a program returns, `null` where it fails. What a race returns says nothing of who won. */
export function expected(program: Program, place: Place = "p"): { value: Json } | null {
  switch (program.do) {
    case "run":
      return program.hopeless ? null : { value: place };
    case "sleep":
    case "value":
      return { value: null };
    case "wait":
      return { value: program.sent === "never" ? null : place };
    case "seq":
    case "parallel": {
      const parts = placesOf(program.parts, place).map(([part, at]) => expected(part, at));
      return parts.includes(null) ? null : { value: parts.map((part) => part!.value) };
    }
    case "race":
      return { value: "raced" };
    case "try":
      return expected(program.part, `${place}.0`) ?? { value: "caught" };
    case "child":
      return expected(program.part, `${place}.0`);
  }
}

interface Input {
  program: Program;
  place: Place;
  /** Tells the events of one trial from those of others. */
  trial: number;
}

/** The workflow that runs programs. */
export function interpreter(effects: Effects) {
  return defineWorkflow({
    name: "interpret",
    maxRetries: 1,
    backoff: constant("3s"),
    handler: ({ program, place, trial }: Input, step) => player(step, trial)(program, place),
  });

  function player(step: Step, trial: number) {
    const play = async (program: Program, place: Place): Promise<Json> => {
      switch (program.do) {
        case "run": {
          const key = `${step.runId} ${place}`;
          return await step.run(place, ({ attempt }) => {
            effects.called(key);
            if (program.hopeless || attempt <= program.failures) throw new Error(`no: ${place}`);
            return place;
          }, {
            maxRetries: 2,
            compensate: program.undo ? () => effects.undone(key) : undefined,
          });
        }
        case "sleep":
          return await step.sleep(place, program.ms) ?? null;
        case "wait": {
          const timeout = program.sent === "never" ? 15_000 : undefined;
          return await step.waitForEvent(place, { key: String(trial), timeout });
        }
        case "value":
          await Promise.all([step.now(), step.random(), step.set("place", place)]);
          return null;
        case "seq": {
          const values: Json[] = [];
          for (const [part, at] of placesOf(program.parts, place)) {
            values.push(await play(part, at));
          }
          return values;
        }
        case "parallel":
          return await Promise.all(
            placesOf(program.parts, place).map(([part, at]) => play(part, at)),
          );
        case "race":
          await Promise.race(
            placesOf(program.parts, place).map(([part, at]) => play(part, at).catch(() => {})),
          );
          return "raced";
        case "try":
          return await play(program.part, `${place}.0`).catch(() => "caught");
        case "child": {
          const input = { program: program.part, place: `${place}.0`, trial };
          return await step.runChild<Input, Json>(place, "interpret", input);
        }
      }
    };
    return play;
  }
}
