import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { checkId, type IdPrefix, isId, newId, withPrefix } from "../../src/core/id.ts";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** The 128 bits behind an identifier. */
function decode(id: string): bigint {
  let bits = 0n;
  for (const letter of id.slice(id.indexOf("_") + 1)) {
    bits = bits * 32n + BigInt(ALPHABET.indexOf(letter));
  }
  return bits;
}

/** Runs `body` while `Date.now` says what it is told to. */
function atTime<T>(now: () => number, body: () => T): T {
  const real = Date.now;
  Date.now = now;
  try {
    return body();
  } finally {
    Date.now = real;
  }
}

describe("newId()", () => {
  it("makes UUIDs of version 7 that carry the time", () => {
    const at = Date.UTC(2126, 5, 1, 12, 30);
    for (let i = 0; i < 1000; i++) {
      const bits = decode(atTime(() => at + i, () => newId("job")));
      assert(bits < 2n ** 128n);
      assertEquals(bits >> 80n, BigInt(at + i));
      assertEquals((bits >> 76n) & 0xfn, 7n);
      assertEquals((bits >> 62n) & 0x3n, 2n);
    }
  });

  it("makes a million within one millisecond that are unique and grow", () => {
    atTime(() => Date.UTC(2127, 0, 1), () => {
      let last = "";
      for (let i = 0; i < 1_000_000; i++) {
        const id = newId("job");
        if (id <= last) throw new Error(`${id} is not above ${last} (${i})`);
        last = id;
      }
    });
  });

  it("goes on growing when the clock steps back", () => {
    const before = atTime(() => Date.UTC(2128, 0, 2), () => newId("job"));
    assert(atTime(() => Date.UTC(2128, 0, 1), () => newId("job")) > before);
  });

  it("draws different identifiers in each process: 48 bits are random", () => {
    const low = new Set<bigint>();
    for (let i = 0; i < 1000; i++) low.add(decode(newId("job")) & (2n ** 48n - 1n));
    assertEquals(low.size, 1000);
  });
});

describe("isId()", () => {
  it("takes what newId() makes, of the same kind only", () => {
    for (const prefix of ["job", "run", "cron", "dlq", "evt", "wkr"] satisfies IdPrefix[]) {
      assert(isId(prefix, newId(prefix)));
      assert(!isId(prefix, newId(prefix === "job" ? "run" : "job")));
    }
  });

  const good = "job_01jd0gxm6te4fs5b9v3q8n2kzr";
  for (
    const [what, text] of [
      ["nothing", ""],
      ["a prefix alone", "job_"],
      ["no prefix", good.slice(4)],
      ["a letter too few", good.slice(0, -1)],
      ["a letter too many", good + "0"],
      ["capital letters", good.toUpperCase()],
      ["letters that Crockford left out", good.slice(0, -1) + "u"],
      ["more than 128 bits", "job_81jd0gxm6te4fs5b9v3q8n2kzr"],
      ["a line break at its end", good + "\n"],
      ["blanks", ` ${good}`],
    ]
  ) {
    it(`refuses ${what}`, () => {
      assert(!isId("job", text));
      assertEquals(assertThrows(() => checkId("job", text), DispatchError).code, "invalid_id");
    });
  }

  it("refuses what is no text with the same error", () => {
    for (const value of [undefined, null, 5, 10n, {}, Symbol("x"), Object.create(null)]) {
      const error = assertThrows(() => checkId("job", value as string), DispatchError);
      assertEquals(error.code, "invalid_id");
    }
  });
});

describe("withPrefix()", () => {
  it("keeps the suffix", () => {
    const id = newId("job");
    assertEquals(withPrefix("dlq", id), `dlq_${id.slice(4)}`);
    assert(isId("dlq", withPrefix("dlq", id)));
  });
});
