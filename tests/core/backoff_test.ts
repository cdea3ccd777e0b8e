import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import {
  type Backoff,
  clampDelay,
  constant,
  defaultBackoff,
  exponential,
  jittered,
  linear,
} from "../../src/core/backoff.ts";
import { DispatchError } from "../../src/core/errors.ts";

const DAY = 864e5;

describe("backoff strategies", () => {
  for (
    const [name, strategy, delays] of [
      ["exponential()", exponential(), [1000, 2000, 4000, 8000]],
      ["exponential() with a factor", exponential({ base: 100, factor: 3 }), [100, 300, 900]],
      ["exponential() up to its max", exponential({ base: "1s", max: "3s" }), [1000, 2000, 3000]],
      ["exponential() that shrinks", exponential({ base: 800, factor: 0.5 }), [800, 400, 200]],
      ["exponential() from zero", exponential({ base: 0 }), [0, 0, 0]],
      ["exponential() whose max is below its base", exponential({ base: 9, max: 5 }), [5, 5]],
      ["linear()", linear(), [1000, 2000, 3000]],
      ["linear() up to its max", linear({ base: 40, max: 100 }), [40, 80, 100, 100]],
      ["constant()", constant(), [5000, 5000]],
      ["constant() of a text", constant("1m30s"), [90_000]],
    ] as [string, Backoff, number[]][]
  ) {
    it(`${name} goes ${delays.join(", ")}`, () => {
      assertEquals(delays.map((_, i) => strategy(i + 1)), delays);
    });
  }

  it("stay finite and within 30 days at the millionth failure", () => {
    const strategies: Backoff[] = [
      exponential(),
      exponential({ base: 0 }),
      exponential({ base: "300d", max: "9000d", factor: 1e300 }),
      linear({ max: "9000d" }),
      constant("9000d"),
      defaultBackoff,
      jittered(exponential({ max: "9000d" })),
    ];
    for (const strategy of strategies) {
      for (const failure of [1, 64, 1024, 1025, 1e6]) {
        const delay = clampDelay(strategy(failure));
        assert(Number.isInteger(delay) && delay >= 0 && delay <= 30 * DAY, `${failure}: ${delay}`);
      }
    }
    assertEquals(exponential({ base: 0 })(1e6), 0);
    assertEquals(exponential()(1e6), 600_000);
  });

  it("refuse durations and factors that make no sense", () => {
    const code = (make: () => Backoff) => assertThrows(make, DispatchError).code;
    assertEquals(code(() => exponential({ base: "soon" })), "invalid_duration");
    assertEquals(code(() => linear({ max: -1 })), "invalid_duration");
    assertEquals(code(() => constant("")), "invalid_duration");
    for (const factor of [0, -2, NaN, Infinity, "2" as unknown as number]) {
      assertEquals(code(() => exponential({ factor })), "invalid_option");
    }
  });
});

describe("jittered()", () => {
  it("stays within its bounds, whatever it spreads", () => {
    const delay = fc.oneof(fc.double(), fc.integer(), fc.constantFrom(NaN, Infinity, -Infinity));
    const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(fc.property(delay, random, (ms, chance) => {
      const whole = clampDelay(ms);
      const full = clampDelay(jittered(() => ms, "full", () => chance)(1));
      const equal = clampDelay(jittered(() => ms, "equal", () => chance)(1));
      assert(full >= 0 && full <= whole);
      assert(equal >= Math.floor(whole / 2) && equal <= whole);
    }));
  });

  it("spreads over the whole of the range", () => {
    const delays = Array.from({ length: 1000 }, () => jittered(constant(1000))(1));
    assert(Math.min(...delays) < 100 && Math.max(...delays) > 900);
  });
});

describe("clampDelay()", () => {
  for (
    const [given, delay] of [
      [1.4, 1],
      [-5, 0],
      [Infinity, 30 * DAY],
      [-Infinity, 0],
      [NaN, 1000],
      [undefined, 1000],
      ["5", 1000],
      [10n, 1000],
      [Promise.resolve(5), 1000],
    ] as const
  ) {
    it(`makes ${delay} ms of ${String(given)}`, () => {
      assertEquals(clampDelay(given as number), delay);
    });
  }
});
