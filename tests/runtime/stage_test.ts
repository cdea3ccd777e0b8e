import { assert, assertEquals, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { manifest, type Target } from "../../scripts/package/manifest.ts";
import { linkedFiles, shippedReadme } from "../../scripts/package/readme.ts";
import { CONFIG, rewriteImports, stage } from "../../scripts/package/stage.ts";

describe("what is published", () => {
  it("has the imports of its code written out, and those in its comments as they were", () => {
    const module = [
      '/** import { no } from "a"; */ import { b } from "b";',
      "/**",
      ' * import { no } from "c";',
      " */",
      'import type { d } from "d";',
      "export {",
      "  e,",
      '} from "e";',
      'import "f";',
      'const text = `from "g"`;',
      'await import("h");',
    ].join("\n");
    const found: string[] = [];
    const rewritten = rewriteImports(module, (name) => (found.push(name), `npm:${name}`));
    assertEquals(found, ["b", "d", "e", "f", "h"]);
    assertEquals(rewritten.match(/"[a-z]"/g), ['"a"', '"c"', '"g"']);
  });

  it("holds every entry point and nothing of the tests", async () => {
    await using staged = await stage();
    for (const path of Object.values(CONFIG.exports)) {
      assert(staged.files.includes(path.slice(2)), path);
    }
    assertEquals(staged.files.filter((path) => /_test\.ts$|^tests\/|^examples\//.test(path)), []);
    const extension = await Deno.readTextFile(`${staged.dir}/src/extension/extension.ts`);
    assert(extension.includes('import { Hono } from "npm:hono@'));
    assert(extension.includes(' * import { Hono } from "@hono/hono";'), "an example for Deno");
  });

  it("has a README whose links lead somewhere, also where the repository is not known", () => {
    const text =
      "[jobs](src/guides/jobs.md#retries), [a Node app](examples/14), [Hono](https://hono.dev), [below](#below)";
    const isShipped = (path: string) => path === "src/guides/jobs.md";
    const rest = "[Hono](https://hono.dev), [below](#below)";
    const jobs = "[jobs](src/guides/jobs.md#retries)";
    assertEquals(
      shippedReadme(text, isShipped, { repository: "some/body", version: "1.2.3" }),
      `${jobs}, [a Node app](https://github.com/some/body/tree/v1.2.3/examples/14), ${rest}`,
    );
    const local = shippedReadme(text, isShipped, { version: "1.2.3" });
    assertEquals(local, `${jobs}, a Node app, ${rest}`);
    assertEquals(linkedFiles(local), ["src/guides/jobs.md"]);
  });

  it("names in package.json what is imported, and leaves clients of databases to the user", () => {
    const target: Target = { types: "./x.d.ts", default: "./x.js" };
    const exports = Object.fromEntries(Object.keys(CONFIG.exports).map((name) => [name, target]));
    const made = manifest(exports, new Set(["hono", "valibot", "postgres"])) as {
      dependencies: object;
      peerDependencies: object;
      peerDependenciesMeta: object;
      exports: object;
    };
    assertEquals(Object.keys(made.dependencies), ["valibot"]);
    const optional = Object.keys(made.peerDependenciesMeta);
    assertEquals(Object.keys(made.peerDependencies).filter((name) => !optional.includes(name)), [
      "hono",
    ]);
    assertEquals(Object.keys(made.exports), [...Object.keys(exports), "./package.json"]);
    assertThrows(() => manifest(exports, new Set(["nobody-knows-it"])), Error, "nobody-knows-it");
  });
});
