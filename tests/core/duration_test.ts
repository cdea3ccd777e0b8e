import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { parseDuration, parseMoment } from "../../src/core/duration.ts";
import { DispatchError } from "../../src/core/errors.ts";

describe("parseDuration()", () => {
  for (
    const [given, ms] of [
      [0, 0],
      [1, 1],
      [1.6, 2],
      [-0, 0],
      [9e12, 9e12],
      ["0s", 0],
      ["250ms", 250],
      ["30s", 30_000],
      ["5m", 300_000],
      ["2h", 7_200_000],
      ["7d", 604_800_000],
      ["2w", 1_209_600_000],
      ["1h30m", 5_400_000],
      ["1m1ms", 60_001],
      ["1.5h", 5_400_000],
      ["30m1h", 5_400_000],
      [" 5m ", 300_000],
      // A limit that someone set must not turn into 0, which means no limit.
      ["0.2ms", 1],
      [0.2, 1],
    ] as const
  ) {
    it(`reads ${JSON.stringify(given)} as ${ms} ms`, () => {
      assertEquals(Object.is(parseDuration(given, "timeout"), ms), true);
    });
  }

  for (
    const given of [
      "",
      "5",
      "5 m",
      "-5m",
      "5M",
      "5min",
      "1e3s",
      ".5s",
      "5.s",
      "soon",
      "PT5M",
      "m5",
      "5m,30s",
      "٥m",
      "286y",
      "99999999999d",
      "9".repeat(400) + "s",
      -1,
      NaN,
      Infinity,
      9e12 + 1,
      null,
      undefined,
      true,
      {},
      [],
      10n,
      Symbol("5m"),
      Object.create(null),
      { toString: 1 },
    ]
  ) {
    it(`refuses ${typeof given === "object" ? "an object" : String(given).slice(0, 20)}`, () => {
      const error = assertThrows(() => parseDuration(given as string, "timeout"), DispatchError);
      assertEquals(error.code, "invalid_duration");
      assertEquals(error.message.startsWith("Cannot read timeout as a duration"), true);
    });
  }

  it("takes no long time over a long text", () => {
    assertThrows(() => parseDuration("1".repeat(100_000) + "x", "timeout"), DispatchError);
    assertThrows(() => parseDuration("1s".repeat(50_000) + "x", "timeout"), DispatchError);
  });
});

describe("parseMoment()", () => {
  const at = Date.UTC(2026, 0, 31, 9);
  for (
    const [given, ms] of [
      [new Date(at), at],
      ["2026-01-31T09:00:00Z", at],
      ["2026-01-31T09:00Z", at],
      ["2026-01-31T09:00:00.250Z", at + 250],
      ["2026-01-31T10:00:00+01:00", at],
      ["2026-01-31T10:00:00+0100", at],
      ["2026-01-31T09:00:00.123456Z", at + 123],
      ["2026-01-31", Date.UTC(2026, 0, 31)],
      ["2024-02-29", Date.UTC(2024, 1, 29)],
      ["1969-12-31T00:00:00Z", -864e5],
    ] as const
  ) {
    it(`reads ${given instanceof Date ? "a Date" : given}`, () => {
      assertEquals(parseMoment(given, "runAt"), ms);
    });
  }

  for (
    const given of [
      "",
      "tomorrow",
      "2026-01-31T09:00:00", // no zone: another moment on each machine
      "2026-01-31 09:00:00Z",
      "31.01.2026",
      "2026-13-01",
      "2026-01-32",
      "2026-02-30", // the runtime would take this for March
      "2026-02-30T09:00:00Z",
      "2025-02-29",
      "2026-04-31T00:00:00+02:00",
      "2026-01-31T25:00:00Z",
      "2026-01-31T09:61:00Z",
      "1769850000000",
      new Date(NaN),
      1769850000000,
      null,
      {},
      Object.create(null),
    ]
  ) {
    it(`refuses ${typeof given === "object" ? typeof given : JSON.stringify(given)}`, () => {
      const error = assertThrows(() => parseMoment(given as string, "runAt"), DispatchError);
      assertEquals(error.code, "invalid_moment");
    });
  }
});
