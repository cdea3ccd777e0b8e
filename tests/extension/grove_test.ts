import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { databaseOf } from "../../src/extension/grove.ts";
import { directoryOf } from "./harness.ts";

const DATABASE_URL = "postgres://env/app";

/** The database that a file means; or the code, message and hint of why it means none. */
function meant(yaml: string, variables: Record<string, string> = { DATABASE_URL }): string {
  using directory = directoryOf({ "forge.yaml": yaml });
  try {
    return databaseOf(`${directory.path}/forge.yaml`, (name) => variables[name]);
  } catch (error) {
    if (!(error instanceof DispatchError)) throw error;
    return `${error.code} | ${error.message} | ${error.hint}`.replaceAll(`${directory.path}/`, "");
  }
}

const two = `
  databases:
    - { name: main, driver: postgres, dsn: "postgres://main" }
    - { name: jobs, driver: postgres, dsn: "postgres://\${USER}:\${SECRET}@jobs" }
    - { name: files, driver: sqlite, dsn: "files.db" }
`;

describe("the database that a configuration file means", () => {
  it("is the one that grove_database names, in the section of Grove", () => {
    assertEquals(meant(`dispatch: { grove_database: main }\ngrove:${two}`), "postgres://main");
    const indented = two.replaceAll("\n", "\n  ");
    const yaml = `extensions:\n  dispatch: { grove_database: main }\n  grove:${indented}`;
    assertEquals(meant(yaml), "postgres://main");
  });

  it("may keep its password in variables", () => {
    const yaml = `dispatch: { grove_database: jobs }\ngrove:${two}`;
    assertEquals(meant(yaml, { USER: "ada", SECRET: "$&" }), "postgres://ada:$&@jobs");
    const missing = meant(yaml, { USER: "ada" });
    assertStringIncludes(missing, "config_invalid_value");
    assertStringIncludes(missing, "Cannot use grove.databases[1].dsn in forge.yaml");
    assertStringIncludes(missing, "set SECRET");
  });

  it("is the default one where none is named", () => {
    const one = "grove: { driver: postgres, dsn: 'postgres://only' }";
    assertEquals(meant(`dispatch: {}\n${one}`), "postgres://only");
    assertEquals(meant(`dispatch: { grove_database: "" }\n${one}`), "postgres://only");
    assertEquals(meant(`dispatch: {}\ngrove:${two}  default: main\n`), "postgres://main");
  });

  it("is that of DATABASE_URL where the file leaves the default one to the registry", () => {
    for (
      const yaml of ["dispatch: {}", 'dispatch: { grove_database: "" }', "dispatch: {}\ngrove:"]
    ) {
      assertEquals(meant(yaml), DATABASE_URL);
    }
    const missing = meant("dispatch: {}", {});
    assertStringIncludes(missing, "unknown_database | Cannot find the default database");
    assertStringIncludes(missing, "or set DATABASE_URL");
  });

  const refused: [why: string, yaml: string, told: string][] = [
    [
      "that is not there",
      `dispatch: { grove_database: job }\ngrove:${two}`,
      'Did you mean "jobs"?',
    ],
    ["of a registry", "dispatch: { grove_database: jobs }", "or pass --url."],
    ["of several", `dispatch: {}\ngrove:${two}`, 'has "main", "jobs" and "files"'],
    ["of another kind", `dispatch: { grove_database: files }\ngrove:${two}`, "driver: postgres"],
    ["that is a KV", "dispatch: { grove_kv: cache }", "it chooses a KV, which has no schema"],
    [
      "without an address",
      "dispatch: {}\ngrove: { databases: [{ name: a }] }",
      "databases[0].driver",
    ],
    ["in no list", "dispatch: {}\ngrove: { databases: 3 }", "expected a list, found 3"],
    ["in no section", "dispatch: {}\ngrove: 3", "expected an object, found 3"],
    ["of others", "extensions: {}", "config_not_found"],
    ["beside a mistake", "dispatch: { concurency: 3 }", 'Did you mean "concurrency"?'],
  ];
  for (const [why, yaml, told] of refused) {
    it(`is an error for one ${why}`, () => assertStringIncludes(meant(yaml), told));
  }
});
