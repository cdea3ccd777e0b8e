/** `npx dispatch-migrate`, as one runs it before a deploy. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const migrate = (...args) =>
  run("npx", ["--no-install", "dispatch-migrate", "--schema", `cli_${process.pid}`, ...args]);

test("npx dispatch-migrate brings a database up to date", async () => {
  assert.equal((await migrate("--status").catch((error) => error)).code, 3, "it is not there yet");
  assert.match((await migrate()).stdout, /went from version 0 to \d+/);
  assert.match((await migrate()).stdout, /nothing to do/);
  assert.match((await migrate("--status")).stdout, /applied \d{4}-/);
});

test("npx dispatch-migrate says how it is called", async () => {
  assert.match((await migrate("--help")).stdout, /--url URL/);
  const { code, stderr } = await migrate("--verbose").catch((error) => error);
  assert.equal(code, 2);
  assert.match(stderr, /Try --help/);
});
