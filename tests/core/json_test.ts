import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { DispatchError } from "../../src/core/errors.ts";
import { decodeJson, encodeJson } from "../../src/core/json.ts";

const encode = (value: unknown, max = 1e6) => encodeJson(value, "the payload", max);

function refusal(value: unknown, max?: number): DispatchError {
  return assertThrows(() => encode(value, max), DispatchError);
}

class Point {
  constructor(readonly x: number, readonly y: number) {}
  get length() {
    return Math.hypot(this.x, this.y);
  }
}

const nested = (depth: number, make: (inner: unknown) => unknown) => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = make(value);
  return value;
};

describe("encodeJson()", () => {
  const shared = { a: 1 };
  for (
    const [what, value, text] of [
      ["undefined as null", undefined, "null"],
      ["null", null, "null"],
      ["a text", "é😀", '"é😀"'],
      ["negative zero as zero", -0, "0"],
      ["an undefined property by leaving it out", { a: undefined, b: 1 }, '{"b":1}'],
      ["a Date as ISO text", { at: new Date(0) }, '{"at":"1970-01-01T00:00:00.000Z"}'],
      ["a URL", new URL("http://a/b"), '"http://a/b"'],
      ["the fields of a class", new Point(3, 4), '{"x":3,"y":4}'],
      ["an object without a prototype", Object.assign(Object.create(null), { a: 1 }), '{"a":1}'],
      ["a shared reference that is no cycle", { p: shared, q: [shared, shared] }, null],
      ["toJSON() that says undefined", { toJSON: () => undefined }, "null"],
      ["a property whose toJSON() says undefined", { a: { toJSON() {} }, b: 1 }, '{"b":1}'],
      ["toJSON() that returns the object itself", selfDescribed(), '{"a":1}'],
      ["an inherited function by leaving it out", Object.create({ f() {} }), "{}"],
      ["boxed values", [Object("a"), Object(1), Object(true)], '["a",1,true]'],
    ] as const
  ) {
    it(`writes ${what}`, () => assertEquals(encode(value), text ?? JSON.stringify(value)));
  }

  const cycle: Record<string, unknown> = { a: { b: [] } };
  (cycle.a as { b: unknown[] }).b.push(cycle);
  for (
    const [what, value, path] of [
      ["a cycle", cycle, "the payload.a.b[0]"],
      ["a BigInt", { list: [1, 10n] }, "the payload.list[1]"],
      ["a function", { f() {} }, "the payload.f"],
      ["a symbol", [Symbol("s")], "the payload[0]"],
      ["NaN", { deep: { n: NaN } }, "the payload.deep.n"],
      ["Infinity", -Infinity, "the payload"],
      ["a Map", { m: new Map([[1, 2]]) }, "the payload.m"],
      ["a Set", new Set(), "the payload"],
      ["a class on top of Map", new (class Cache extends Map {})(), "the payload"],
      ["an Error", { e: new Error("no") }, "the payload.e"],
      ["a regular expression", /x/, "the payload"],
      ["a promise", Promise.resolve(), "the payload"],
      ["bytes", new Uint8Array(2), "the payload"],
      ["undefined in an array", [1, undefined], "the payload[1]"],
      // deno-lint-ignore no-sparse-arrays
      ["a hole in an array", [1, , 2], "the payload[1]"],
      ["toJSON() that says undefined in an array", [{ toJSON() {} }], "the payload[0]"],
      ["an invalid Date", { at: new Date(NaN) }, "the payload.at"],
      ["toJSON() that says NaN", { a: { toJSON: () => NaN } }, "the payload.a"],
      ["toJSON() that leads back", leadsBack(), "the payload"],
      ["toJSON() that says a Date, which is not asked again", {
        toJSON: () => new Date(0),
      }, "the payload"],
      ["a boxed BigInt", { n: Object(1n) }, "the payload.n"],
      ["a boxed NaN", Object(NaN), "the payload"],
      ["what hides behind toJSON() that returns the object itself", {
        toJSON() {
          return this;
        },
        n: 1n,
      }, "the payload"],
      ["toJSON() that throws", {
        a: {
          toJSON() {
            throw new Error("not me");
          },
        },
      }, "the payload"],
      ["a getter that throws", {
        get a() {
          throw new Error("not me");
        },
      }, "the payload"],
      ["a revoked proxy", revoked(), "the payload"],
    ] as const
  ) {
    it(`refuses ${what}, with its path`, () => {
      const error = refusal(value);
      assertEquals(error.code, "payload_not_json");
      assert(error.message.startsWith(`Cannot store ${path}`), error.message);
    });
  }

  for (
    const [what, wrap] of [["arrays", (v: unknown) => [v]], [
      "objects",
      (a: unknown) => ({ a }),
    ]] as const
  ) {
    it(`takes 500 ${what} in each other, and refuses 100,000 with its own error`, () => {
      assertEquals(encode(nested(500, wrap)), JSON.stringify(nested(500, wrap)));
      const error = refusal(nested(100_000, wrap));
      assertEquals(error.code, "payload_not_json");
      assertMatch(error.message, /deep/);
    });
  }

  it("keeps a __proto__ key as data", () => {
    const value = JSON.parse('{"__proto__": {"admin": true}, "a": 1}');
    const copy = decodeJson(encode(value)) as Record<string, unknown>;
    assertEquals(Object.keys(copy), ["__proto__", "a"]);
    assertEquals(copy.admin, undefined);
    assertEquals(
      refusal(JSON.parse('{"__proto__": 1}', (k, v) => k ? NaN : v)).code,
      "payload_not_json",
    );
  });

  it("writes lone surrogates in a way that every store takes", () => {
    const text = encode("a\ud800b");
    assertEquals(text, '"a\\ud800b"');
    assertEquals(decodeJson(text), "a\ud800b");
  });

  it("measures the limit in bytes of UTF-8", () => {
    for (
      const [letter, bytes] of [["a", 1], ["é", 2], ["€", 3], ["😀", 4], ["\ud800", 6], [
        '"',
        2,
      ]] as const
    ) {
      const value = letter.repeat(100);
      const size = 100 * bytes + 2;
      assertEquals(decodeJson(encode(value, size)), value);
      const error = refusal(value, size - 1);
      assertEquals(error.code, "payload_too_large");
      assertMatch(error.message, new RegExp(`takes ${size} bytes.*limit is ${size - 1}`));
    }
  });

  it("brings any JSON back as it was", () => {
    fc.assert(fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      assertEquals(decodeJson(encode(value)), JSON.parse(JSON.stringify(value)));
    }));
  });

  it("throws nothing but its own errors, whatever it is given", () => {
    const anything = fc.anything({
      withBigInt: true,
      withBoxedValues: true,
      withDate: true,
      withMap: true,
      withNullPrototype: true,
      withObjectString: true,
      withSet: true,
      withSparseArray: true,
      withTypedArray: true,
    });
    fc.assert(fc.property(anything, (value) => {
      try {
        JSON.parse(encode(value));
      } catch (thrown) {
        if (!(thrown instanceof DispatchError)) throw thrown;
      }
    }));
  });
});

function selfDescribed() {
  class Described {
    a = 1;
    toJSON() {
      return this;
    }
  }
  return new Described();
}

function leadsBack() {
  const value = { toJSON: (): unknown => ({ inner: value }) };
  return value;
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
