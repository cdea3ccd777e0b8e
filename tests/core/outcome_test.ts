import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { constant } from "../../src/core/backoff.ts";
import { DispatchError, messageOf, show } from "../../src/core/errors.ts";
import {
  cancel,
  decideFailure,
  discard,
  isSuspect,
  JobSignal,
  snooze,
  toFailure,
} from "../../src/core/outcome.ts";

const fresh = { retryCount: 0, maxRetries: 3 };
const last = { retryCount: 3, maxRetries: 3 };

describe("decideFailure()", () => {
  it("retries as long as retries are left", () => {
    for (let retryCount = 0; retryCount < 3; retryCount++) {
      const job = { retryCount, maxRetries: 3 };
      const outcome = decideFailure(job, new Error("no"), (failure) => failure * 10);
      assert(outcome.kind === "retry");
      assertEquals(outcome.delayMs, (retryCount + 1) * 10);
    }
    assertEquals(decideFailure(last, new Error("no"), constant(1)).kind, "dead");
    assertEquals(decideFailure({ retryCount: 0, maxRetries: 0 }, 0, constant(1)).kind, "dead");
  });

  it("waits a second where the strategy throws or returns nonsense", () => {
    const strategies = [
      () => {
        throw new Error("no");
      },
      () => NaN,
      () => undefined as unknown as number,
    ];
    for (const strategy of strategies) {
      const outcome = decideFailure(fresh, new Error("no"), strategy);
      assert(outcome.kind === "retry");
      assertEquals(outcome.delayMs, 1000);
    }
  });

  it("honours cancel, discard and snooze, also with no retries left", () => {
    for (const job of [fresh, last]) {
      assertEquals(decideFailure(job, cancel("enough"), constant(1)), {
        kind: "cancel",
        reason: "enough",
      });
      assertEquals(decideFailure(job, snooze("1m"), constant(1)), {
        kind: "release",
        delayMs: 60_000,
      });
      assertEquals(decideFailure(job, discard("useless"), constant(1)), {
        kind: "dead",
        failure: { code: "discarded", message: "useless" },
      });
    }
  });

  it("survives anything that can be thrown", () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    const unreadable = Object.defineProperty(new Error(), "message", {
      get() {
        throw new Error("not me");
      },
    });
    const values: unknown[] = [
      undefined,
      null,
      0,
      "text",
      10n,
      Symbol("s"),
      {},
      Object.create(null),
      { toString: () => ({}) },
      Object.assign(new Error(), { message: 42 }),
      Object.assign(new Error("no"), { stack: { deep: true } }),
      Object.assign(new Error("no"), { name: null, message: "" }),
      unreadable,
      proxy,
    ];
    for (const value of values) {
      const outcome = decideFailure(fresh, value, constant(1));
      assert(outcome.kind === "retry");
      assertEquals(typeof outcome.failure.message, "string");
      JSON.stringify(outcome);
    }
  });
});

describe("toFailure()", () => {
  it("keeps message and stack within bounds", () => {
    const error = new Error("x".repeat(10_000));
    const failure = toFailure(error, "handler_failed");
    assertEquals(failure.message.length, 4000);
    assertEquals(failure.stack?.length, 4000);
    assertEquals(toFailure("text", "timeout"), { code: "timeout", message: "text" });
  });
});

describe("snooze()", () => {
  it("refuses what is no duration where it is called", () => {
    assertEquals(assertThrows(() => snooze("soon"), DispatchError).code, "invalid_duration");
    assert(snooze(0) instanceof JobSignal);
  });
});

describe("isSuspect()", () => {
  it("begins one crash before the last", () => {
    assertEquals([0, 1, 2, 3].map((crashes) => isSuspect({ crashes })), [false, false, true, true]);
  });
});

describe("messageOf() and show()", () => {
  it("describe a failure by its message, or else its name", () => {
    assertEquals(messageOf(new Error("no")), "no");
    assertEquals(messageOf(new TypeError()), "TypeError");
    assertEquals(messageOf(undefined), "undefined");
    assertEquals(messageOf(Object.create(null)), "[object Object]");
  });

  it("show any value in at most 81 characters", () => {
    assertEquals(show("a"), '"a"');
    assertEquals(show({ a: 1 }), '{"a":1}');
    assertEquals(show(10n), "10");
    assertEquals(show([10n]), "[object Array]");
    assertEquals(show(Symbol("s")), "Symbol(s)");
    assertEquals(show("x".repeat(500)).length, 81);
  });
});

describe("DispatchError", () => {
  it("has the hint of its code, unless a better one is given", () => {
    const error = new DispatchError("not_found", "Cannot find it", { cause: "reason" });
    assertEquals([error.name, error.code, error.cause], ["DispatchError", "not_found", "reason"]);
    assert(error.hint.length > 0);
    assertEquals(new DispatchError("not_found", "no", { hint: "look" }).hint, "look");
    assert(!("cause" in new DispatchError("not_found", "no")));
  });
});
