import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import process from "node:process";
import { createExtension } from "../../src/extension/extension.ts";
import { CONFIG_FILES } from "../../src/extension/config_file.ts";
import { errorOf } from "../harness.ts";
import { directoryOf, make, makeFrom } from "./harness.ts";

const at = (basePath: string) => `dispatch: {base_path: ${basePath}}\n`;

describe("looking for a configuration", () => {
  it("reads the first file that exists, in the documented order", () => {
    assertEquals(CONFIG_FILES, [
      "forge.yaml",
      "forge.yml",
      "app.yaml",
      "app.yml",
      "config.yaml",
      "config.yml",
    ]);
    for (let first = 0; first < CONFIG_FILES.length; first++) {
      const files = CONFIG_FILES.slice(first).map((name) => [name, at(`/from/${name}`)]);
      const { basePath } = makeFrom(Object.fromEntries(files));
      assertEquals(basePath, `/from/${CONFIG_FILES[first]}`);
    }
  });

  it("looks in the working directory", () => {
    using directory = directoryOf({ "app.yml": at("/here") });
    const before = process.cwd();
    process.chdir(directory.path);
    try {
      assertEquals(createExtension().basePath, "/here");
    } finally {
      process.chdir(before);
    }
  });

  it("takes extensions.dispatch before dispatch of the same file", () => {
    const both = `dispatch: {base_path: /outer}\nextensions: {dispatch: {base_path: /inner}}\n`;
    assertEquals(makeFrom({ "forge.yaml": both }).basePath, "/inner");
  });

  it("passes over a file that holds neither key", () => {
    const files = {
      "forge.yaml": "extensions: {other: {}}\nname: app\n",
      "forge.yml": "- dispatch\n",
      "app.yaml": "",
      "app.yml": "jobs: {dispatch: {base_path: /wrong}}\n",
      "config.yaml": "extensions: [dispatch]\n",
      "config.yml": at("/right"),
    };
    assertEquals(makeFrom(files).basePath, "/right");
  });

  it("passes over another tool's file that is no YAML and never says dispatch", () => {
    const files = { "app.yaml": "{{ .Values.all | toYaml }}\n", "config.yaml": at("/right") };
    assertEquals(makeFrom(files).basePath, "/right");
  });

  it("uses the defaults where there is none", () => {
    assertEquals(makeFrom({}).basePath, "/api/dispatch");
  });

  it("takes a section in which every line is a comment as empty", () => {
    const files = { "forge.yaml": "dispatch:\n  # base_path: /x\n", "app.yaml": at("/later") };
    assertEquals(makeFrom(files).basePath, "/api/dispatch");
  });

  it("names everything it looked for when one is required and none is there", async () => {
    const error = await errorOf(() => makeFrom({}, { requireConfig: true }));
    assertEquals(error.code, "config_not_found");
    for (const name of CONFIG_FILES) assertStringIncludes(error.message, name);
    assertStringIncludes(error.message, "extensions.dispatch or dispatch");
  });

  it("says which files are there without either key", async () => {
    const error = await errorOf(() => makeFrom({ "app.yml": "a: 1\n" }, { requireConfig: true }));
    assertEquals(error.hint, "app.yml: there, but without either key.");
  });

  it("is satisfied with a file where one is required", () => {
    const files = { "config.yml": at("/x") };
    assertEquals(makeFrom(files, { requireConfig: true }).basePath, "/x");
  });
});

describe("the option config", () => {
  it("reads the file at a path and looks at no other", () => {
    using directory = directoryOf({ "mine.yml": at("/mine"), "forge.yaml": at("/found") });
    const options = { config: `${directory.path}/mine.yml` };
    assertEquals(make(options, { directory: directory.path }).basePath, "/mine");
  });

  it("takes an object with the keys of YAML", () => {
    assertEquals(make({ config: { base_path: "/object" } }).basePath, "/object");
  });

  it("looks for nothing when it is false", () => {
    assertEquals(makeFrom({ "forge.yaml": at("/x") }, { config: false }).basePath, "/api/dispatch");
  });

  it("refuses a path where no file is", async () => {
    const error = await errorOf(() => make({ config: "no/such/file.yaml" }));
    assertEquals(error.code, "config_not_found");
    assertStringIncludes(error.message, "no/such/file.yaml");
  });

  it("refuses a file that holds neither key", async () => {
    using directory = directoryOf({ "mine.yml": "base_path: /x\n" });
    const error = await errorOf(() => make({ config: `${directory.path}/mine.yml` }));
    assertEquals(error.code, "config_not_found");
    assertStringIncludes(error.message, "neither the key extensions.dispatch nor dispatch");
  });

  it("refuses what is no path, object or false", async () => {
    for (const config of [true, 7, null, [], ""]) {
      assertEquals((await errorOf(() => make({ config }))).code, "invalid_option");
    }
  });

  it("refuses to require what is switched off", async () => {
    const error = await errorOf(() => make({ config: false, requireConfig: true }));
    assertEquals(error.code, "invalid_option");
  });
});
