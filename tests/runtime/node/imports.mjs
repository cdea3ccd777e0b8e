/** Every entry point can be imported where there is no Deno; the command is run instead. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

const url = new URL("./node_modules/@dispatch/dispatch/package.json", import.meta.url);
const { name, exports } = JSON.parse(await readFile(url, "utf8"));

for (const entry of Object.keys(exports)) {
  if (entry === "./package.json" || entry === "./migrate") continue;
  test(`${name}${entry.slice(1)} is imported without Deno`, async () => {
    assert.equal("Deno" in globalThis, false);
    const module = await import(name + entry.slice(1));
    assert.notEqual(Object.keys(module).length, 0);
  });
}

test("an error that nobody catches is printed with its code and its hint", () => {
  const program = `import { DispatchError } from "${name}";
    throw new DispatchError("not_started", "Cannot use it");`;
  const args = ["--input-type=module", "--eval", program];
  const { stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.match(stderr, /Cannot use it/);
  assert.match(stderr, /code: 'not_started'/);
  assert.match(stderr, /hint: 'Await ext\.start\(\) first\.'/);
});
