import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { mkdirSync } from "node:fs";
import type { ErrorCode } from "../../src/core/errors.ts";
import { errorOf } from "../harness.ts";
import { directoryOf, make, makeFrom } from "./harness.ts";

/** What goes wrong with a section, indented by two. */
function failure(section: string) {
  return errorOf(() => makeFrom({ "forge.yaml": `extensions:\n  dispatch:\n    ${section}\n` }));
}

describe("a YAML file that does not parse", () => {
  it("is an error that names file, line and column", async () => {
    const text = "dispatch:\n  queues: [a, b\n  concurrency: 3\n";
    const error = await errorOf(() => makeFrom({ "app.yaml": text }));
    assertEquals(error.code, "config_syntax");
    assertMatch(error.message, /^Cannot parse .*app\.yaml, line \d+, column \d+: [^\n]+$/);
  });

  it("names the line of a tab", async () => {
    const error = await errorOf(() => makeFrom({ "app.yaml": "dispatch:\n\tconcurrency: 3\n" }));
    assertEquals(error.code, "config_syntax");
    assertStringIncludes(error.message, "line 2");
  });

  it("keeps the parser's error as the cause", async () => {
    const error = await errorOf(() => makeFrom({ "app.yaml": "dispatch: [" }));
    assertEquals(error.cause instanceof Error, true);
  });
});

describe("an unknown key", () => {
  it("is an error that names file, path and the nearest known key", async () => {
    const error = await failure("concurency: 3");
    assertEquals(error.code, "config_unknown_key");
    assertStringIncludes(error.message, "extensions.dispatch.concurency");
    assertStringIncludes(error.message, "forge.yaml");
    assertEquals(error.hint, 'Did you mean "concurrency"?');
  });

  it("lists the known keys where none is near", async () => {
    const error = await failure("workflows: []");
    assertEquals(error.code, "config_unknown_key");
    assertStringIncludes(error.hint, '"grove_database"');
    assertStringIncludes(error.hint, '"strict_names"');
  });

  it("is told from one in camelCase", async () => {
    assertEquals((await failure("pollInterval: 1s")).hint, 'Did you mean "poll_interval"?');
  });

  it("is found below retention and queue_limits", async () => {
    const retention = await failure("retention: {complete: 1d}");
    assertEquals(retention.code, "config_unknown_key");
    assertStringIncludes(retention.message, "extensions.dispatch.retention.complete ");
    assertEquals(retention.hint, 'Did you mean "completed"?');

    const limits = await failure("queue_limits: {mail: {concurency: 1}}");
    assertEquals(limits.code, "config_unknown_key");
    assertStringIncludes(limits.message, "queue_limits.mail.concurency");
  });

  it("is an error in the option config too", async () => {
    const error = await errorOf(() => make({ config: { basepath: "/x" } }));
    assertEquals(error.code, "config_unknown_key");
    assertEquals(error.message, "Cannot use basepath in the option config: no such key");
  });

  it("cannot reach a prototype", async () => {
    assertEquals((await failure("__proto__: {concurrency: 3}")).code, "config_unknown_key");
    assertEquals((await failure("constructor: 1")).code, "config_unknown_key");
  });
});

/** What is in the section, the path that is named, what was expected, and what was found. */
const WRONG_TYPES: [section: string, path: string, expected: string, found: string][] = [
  ['concurrency: "10"', "concurrency", "a whole number", 'the text "10"'],
  ["concurrency:", "concurrency", "a whole number", "null"],
  ["concurrency: true", "concurrency", "a whole number", "true"],
  ["queues: default", "queues", "a list of names", 'the text "default"'],
  ["queues: {a: 1}", "queues", "a list of names", "an object"],
  ["queues: [a, 7]", "queues[1]", "text", "7"],
  ["base_path: 7", "base_path", "text", "7"],
  ["base_path: [a]", "base_path", "text", "a list"],
  ["grove_database: true", "grove_database", "text", "true"],
  ["grove_kv:", "grove_kv", "text", "null"],
  ["disable_routes: 1", "disable_routes", "true or false", "1"],
  ['disable_migrate: "true"', "disable_migrate", "true or false", 'the text "true"'],
  ['strict_names: "no"', "strict_names", "true or false", 'the text "no"'],
  ["poll_interval: [1s]", "poll_interval", "a duration", "a list"],
  ["max_poll_interval: {}", "max_poll_interval", "a duration", "an object"],
  ["heartbeat_interval: true", "heartbeat_interval", "a duration", "true"],
  ["lease_duration: false", "lease_duration", "a duration", "false"],
  ["shutdown_timeout:", "shutdown_timeout", "a duration", "null"],
  ["retention: true", "retention", "a duration, false or an object", "true"],
  ["retention: {failed: true}", "retention.failed", "a duration or false", "true"],
  ["queue_limits: [a]", "queue_limits", "limits by queue", "a list"],
  ["queue_limits: {a: 3}", "queue_limits.a", "an object", "3"],
  [
    'queue_limits: {a: {concurrency: "3"}}',
    "queue_limits.a.concurrency",
    "a whole number or null",
    'the text "3"',
  ],
];

describe("a value of the wrong type", () => {
  for (const [section, path, expected, found] of WRONG_TYPES) {
    it(`is an error that names file, key, expected and found: ${section}`, async () => {
      const error = await failure(section);
      assertEquals(error.code, "config_wrong_type");
      assertStringIncludes(error.message, `Cannot use extensions.dispatch.${path} in `);
      assertMatch(error.message, /forge\.yaml: expected /);
      assertStringIncludes(error.message, `expected ${expected}, found ${found}`);
    });
  }

  it("is an error for the section itself", async () => {
    const error = await errorOf(() => makeFrom({ "forge.yml": "dispatch: [a]\n" }));
    assertEquals(error.code, "config_wrong_type");
    assertMatch(
      error.message,
      /^Cannot use dispatch in .*forge.yml: expected an object, found a list$/,
    );
  });
});

/** What is in the section, the path that is named, and the code it has where it is given in code. */
const IMPOSSIBLE: [section: string, path: string, cause: ErrorCode][] = [
  ["concurrency: -1", "concurrency", "invalid_concurrency"],
  ["concurrency: 1.5", "concurrency", "invalid_concurrency"],
  ["concurrency: .nan", "concurrency", "invalid_concurrency"],
  ["queues: []", "queues", "invalid_queue"],
  ['queues: [a, ""]', "queues[1]", "invalid_queue"],
  ["base_path: api", "base_path", "invalid_option"],
  ['base_path: ""', "base_path", "invalid_option"],
  ["base_path: /api/*", "base_path", "invalid_option"],
  ["base_path: /api/:id", "base_path", "invalid_option"],
  ["base_path: /api?x", "base_path", "invalid_option"],
  ["base_path: /api//v1", "base_path", "invalid_option"],
  ["base_path: /../x", "base_path", "invalid_option"],
  ["poll_interval: soon", "poll_interval", "invalid_duration"],
  ["poll_interval: 0", "poll_interval", "invalid_duration"],
  ["max_poll_interval: -5", "max_poll_interval", "invalid_duration"],
  ["heartbeat_interval: 0s", "heartbeat_interval", "invalid_duration"],
  ["lease_duration: .inf", "lease_duration", "invalid_duration"],
  ["shutdown_timeout: 5 minutes", "shutdown_timeout", "invalid_duration"],
  ["retention: never", "retention", "invalid_duration"],
  ["retention: {dead_letters: 1y}", "retention.dead_letters", "invalid_duration"],
  ['queue_limits: {"": {concurrency: 1}}', 'queue_limits.""', "invalid_queue"],
  ["queue_limits: {a: {concurrency: 0}}", "queue_limits.a", "invalid_concurrency"],
  ["lease_duration: 1s", "lease_duration", "invalid_option"],
  [
    "{heartbeat_interval: 9s, lease_duration: 10s}",
    "heartbeat_interval and lease_duration",
    "invalid_option",
  ],
];

describe("an impossible value", () => {
  for (const [section, path, cause] of IMPOSSIBLE) {
    it(`is an error that names file and key: ${section}`, async () => {
      const error = await failure(section);
      assertEquals(error.code, "config_invalid_value");
      assertMatch(error.message, /^Cannot use .* in .*forge\.yaml: cannot /);
      assertStringIncludes(error.message, `${path} in `);
      assertEquals((error.cause as { code: string }).code, cause);
    });
  }

  it("says what to do instead", async () => {
    assertStringIncludes((await failure("poll_interval: soon")).hint, '"30s"');
  });
});

describe("a file that cannot be read", () => {
  it("is an error that names it, where it was asked for and where it was found", async () => {
    using directory = directoryOf({});
    mkdirSync(`${directory.path}/forge.yaml`); // a directory is there under the name
    for (
      const make_ of [
        () => make({}, { directory: directory.path }),
        () => make({ config: `${directory.path}/forge.yaml` }),
      ]
    ) {
      const error = await errorOf(make_);
      assertEquals(error.code, "config_unreadable");
      assertStringIncludes(error.message, `${directory.path}/forge.yaml`);
    }
  });
});
