/** Every entry point can be imported where there is no Deno; the command is run instead. */
import assert from "node:assert/strict";
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
