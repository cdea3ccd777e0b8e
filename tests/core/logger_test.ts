import { assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { consoleLogger, harmless, type LogFields, silentLogger } from "../../src/core/logger.ts";

const LEVELS = ["debug", "info", "warn", "error"] as const;

/** What `body` writes to the console. */
function written(body: () => void): string[] {
  const real = { ...console };
  const lines: string[] = [];
  for (const level of LEVELS) console[level] = (line: string) => void lines.push(line);
  try {
    body();
  } finally {
    Object.assign(console, real);
  }
  return lines;
}

function line(message: string, fields?: LogFields): string {
  return written(() => consoleLogger().info(message, fields))[0];
}

describe("consoleLogger()", () => {
  it("writes one line with the fields behind the message", () => {
    assertEquals(
      line("job failed", {
        job: "job_1",
        n: 3,
        list: [1],
        gone: undefined,
        cause: new Error("no"),
      }),
      "[dispatch] job failed job=job_1 n=3 list=[1] cause=no",
    );
    assertEquals(line("started"), "[dispatch] started");
  });

  it("writes from the asked level on", () => {
    for (const [at, level] of LEVELS.entries()) {
      const lines = written(() => LEVELS.forEach((l) => consoleLogger({ level })[l](l)));
      assertEquals(lines.length, LEVELS.length - at);
    }
  });

  it("stays one line of plain characters, whatever the message and the fields hold", () => {
    const evil = 'a\n[dispatch] b\r\u0000\u001b[2J\u0085\u2028\u2029\u007f"';
    for (
      const text of [
        line(evil),
        line("x", { evil }),
        line("x", { [evil]: 1 }),
        line("x", { e: new Error(evil) }),
      ]
    ) {
      assertEquals(/[\p{Cc}\u2028\u2029]/u.test(text), false, JSON.stringify(text));
    }
    assertMatch(line("x", { evil }), /evil="a\\n\[dispatch\] b/);
  });

  it("survives values that cannot be written", () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    for (const value of [10n, cycle, Object.create(null), Symbol("s"), () => 1, null]) {
      assertMatch(line("x", { value }), /^\[dispatch\] x value=/);
    }
  });
});

describe("harmless()", () => {
  it("passes everything on, and swallows what the logger throws", () => {
    const seen: unknown[] = [];
    const logger = harmless({
      ...silentLogger,
      info: (...args) => void seen.push(args),
      error: () => {
        throw new Error("disk full");
      },
    });
    logger.info("a", { b: 1 });
    logger.error("c");
    assertEquals(seen, [["a", { b: 1 }]]);
  });
});

describe("silentLogger", () => {
  it("writes nothing", () => {
    assertEquals(written(() => LEVELS.forEach((level) => silentLogger[level]("x", { a: 1 }))), []);
  });
});
