import { assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { checkJobName, checkQueue } from "../../src/core/name.ts";
import { listNames, nearest } from "../../src/core/suggest.ts";

describe("names", () => {
  for (const name of ["a", "send_email", "Größe 2", "日本", "a/b:c", "😀", "x".repeat(200)]) {
    it(`may be ${JSON.stringify(name.slice(0, 20))}`, () => {
      assertEquals(checkJobName(name), name);
      assertEquals(checkQueue(name), name);
    });
  }

  for (
    const name of [
      "",
      " ",
      " a",
      "a ",
      "a\nb",
      "a\u0000",
      "\u0007",
      "a\u0085b",
      "\u2003a",
      "x".repeat(201),
      5,
      null,
      undefined,
      {},
      Object.create(null),
      Symbol("s"),
      10n,
    ]
  ) {
    it(`may not be ${typeof name === "string" ? JSON.stringify(name.slice(0, 9)) : typeof name}`, () => {
      assertEquals(assertThrows(() => checkJobName(name), DispatchError).code, "invalid_job_name");
      assertEquals(assertThrows(() => checkQueue(name), DispatchError).code, "invalid_queue");
    });
  }
});

describe("nearest()", () => {
  const known = ["send_email", "send_sms", "resize", "a"];
  for (
    const [typed, found] of [
      ["send_emial", "send_email"],
      ["SEND_SMS", "send_sms"],
      ["sendemail", "send_email"],
      ["resise", "resize"],
      ["b", "a"],
      ["", "a"],
      ["something_else", null],
      ["xyz", null],
    ] as const
  ) {
    it(`takes ${JSON.stringify(typed)} for ${found}`, () => {
      assertEquals(nearest(typed, known), found);
    });
  }

  it("finds nothing among nothing", () => assertEquals(nearest("a", []), null));
});

describe("listNames()", () => {
  it("reads like a sentence", () => {
    assertEquals(listNames([]), "none");
    assertEquals(listNames(["a"]), '"a"');
    assertEquals(listNames(["a", "b"]), '"a" and "b"');
    assertEquals(listNames(["a", "b", "c"]), '"a", "b" and "c"');
  });
});
