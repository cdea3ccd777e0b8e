import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { VERSION } from "../../src/core/version.ts";
import { directoryOf } from "./harness.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

describe("the version", () => {
  it("is that of deno.json", () => {
    assertEquals(VERSION, JSON.parse(readFileSync(`${root}deno.json`, "utf8")).version);
  });
});

describe("under Deno without the permission to read", () => {
  /** What an extension says that a program makes which may read nothing and cannot be asked. */
  const run = (options: string): string => {
    using directory = directoryOf({
      "forge.yaml": "dispatch: {base_path: /found}\n",
      "program.ts": `
        import { createExtension } from "${root}src/extension/extension.ts";
        try {
          console.log("made", createExtension(${options}).basePath);
        } catch (error) {
          console.log(error.code, error.message, error.hint);
        }`,
    });
    const map = `--import-map=${root}scripts/npm_imports.json`;
    const args = ["run", "--no-prompt", "--quiet", "--no-check", map, "program.ts"];
    // Not node:child_process: Deno's runs programs of its own kind with every permission.
    const { stdout } = new Deno.Command(Deno.execPath(), { args, cwd: directory.path })
      .outputSync();
    return new TextDecoder().decode(stdout);
  };

  it("no configuration is found, without a prompt", () => {
    assertEquals(run("{}"), "made /api/dispatch\n");
  });

  it("one that is required is an error that names the permission", () => {
    const said = run("{ requireConfig: true }");
    assertStringIncludes(said, "config_not_found");
    assertStringIncludes(said, "--allow-read");
  });

  it("a path is an error that names the permission", () => {
    const said = run('{ config: "forge.yaml" }');
    assertStringIncludes(said, "config_unreadable");
    assertStringIncludes(said, "Run it with --allow-read=forge.yaml.");
  });
});
