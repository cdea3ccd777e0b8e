import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { type EngineSettings, readOptions } from "../../src/engine/options.ts";
import { DATA_OPTIONS } from "../../src/extension/fields.ts";
import { type ExtensionSettings, readExtensionOptions } from "../../src/extension/options.ts";
import { directoryOf } from "./harness.ts";

const DAY = 864e5;

/** One data option: given in code, given in YAML, and what is in effect: code, YAML, default. */
interface Row {
  readonly option: keyof ExtensionSettings;
  readonly code: unknown;
  readonly yaml: string;
  readonly effect: [code: unknown, yaml: unknown, otherwise: unknown];
  readonly read: (extension: ExtensionSettings, engine: EngineSettings) => unknown;
}

const kept = (completed: number | null) => ({
  completed,
  failed: completed,
  cancelled: completed,
  deadLetters: completed === null ? null : 30 * DAY,
  events: completed === null ? null : DAY,
});

const ROWS: Row[] = [
  {
    option: "groveDatabase",
    code: "",
    yaml: "grove_database: jobs",
    effect: ["", "jobs", undefined],
    read: (extension) => extension.groveDatabase,
  },
  {
    option: "groveKv",
    code: "cache",
    yaml: 'grove_kv: ""',
    effect: ["cache", "", undefined],
    read: (extension) => extension.groveKv,
  },
  {
    option: "concurrency",
    code: 0, // what is falsy counts as given
    yaml: "concurrency: 7",
    effect: [0, 7, 10],
    read: (_, engine) => engine.concurrency,
  },
  {
    option: "queues",
    code: ["a"],
    yaml: "queues: [b, c, b]",
    effect: [["a"], ["b", "c"], ["default"]],
    read: (_, engine) => engine.queues,
  },
  {
    option: "queueLimits",
    code: { a: { concurrency: 1 } },
    yaml: "queue_limits: {b: {concurrency: 2}, c: {concurrency: null}, d: {}}",
    effect: [
      { a: { concurrency: 1 } },
      { b: { concurrency: 2 }, c: { concurrency: null }, d: { concurrency: undefined } },
      {},
    ],
    read: (_, engine) => Object.fromEntries(engine.queueLimits),
  },
  {
    option: "basePath",
    code: "/code/",
    yaml: "base_path: /yaml///",
    effect: ["/code", "/yaml", "/api/dispatch"],
    read: (extension) => extension.basePath,
  },
  {
    option: "disableRoutes",
    code: false,
    yaml: "disable_routes: true",
    effect: [false, true, false],
    read: (extension) => extension.disableRoutes,
  },
  {
    option: "disableMigrate",
    code: false,
    yaml: "disable_migrate: true",
    effect: [false, true, false],
    read: (extension) => extension.disableMigrate,
  },
  {
    option: "strictNames",
    code: false,
    yaml: "strict_names: true",
    effect: [false, true, false],
    read: (_, engine) => engine.strictNames,
  },
  {
    option: "pollInterval",
    code: 20,
    yaml: "poll_interval: 40ms",
    effect: [20, 40, 1000],
    read: (_, engine) => engine.pollMs,
  },
  {
    option: "maxPollInterval",
    code: "2m",
    yaml: "max_poll_interval: 1h30m",
    effect: [120_000, 5_400_000, 5000],
    read: (_, engine) => engine.maxPollMs,
  },
  {
    option: "heartbeatInterval",
    code: "1s",
    yaml: "heartbeat_interval: 2000",
    effect: [1000, 2000, 10_000],
    read: (_, engine) => engine.heartbeatMs,
  },
  {
    option: "leaseDuration",
    code: "1m",
    yaml: "lease_duration: 2m",
    effect: [60_000, 120_000, 30_000],
    read: (_, engine) => engine.leaseMs,
  },
  {
    option: "shutdownTimeout",
    code: 0,
    yaml: "shutdown_timeout: 10s",
    effect: [0, 10_000, 30_000],
    read: (_, engine) => engine.shutdownMs,
  },
  {
    option: "retention",
    code: "3d",
    yaml: "retention: false",
    effect: [kept(3 * DAY), kept(null), { ...kept(DAY), failed: 14 * DAY }],
    read: (_, engine) => engine.retention,
  },
  {
    option: "retention",
    code: false,
    yaml:
      "retention: {completed: 1h, failed: false, cancelled: 1000, dead_letters: 2d, events: 1h}",
    effect: [
      kept(null),
      { completed: 36e5, failed: null, cancelled: 1000, deadLetters: 2 * DAY, events: 36e5 },
      { ...kept(DAY), failed: 14 * DAY },
    ],
    read: (_, engine) => engine.retention,
  },
];

describe("each data option", () => {
  const effect = (row: Row, yaml: string, options: Record<string, unknown>) => {
    using directory = directoryOf({ "forge.yaml": `dispatch:\n  ${yaml}\n` });
    const extension = readExtensionOptions(options, directory.path);
    return row.read(extension, readOptions(extension));
  };

  it("is in the table", () => {
    assertEquals([...new Set(ROWS.map(({ option }) => option))].sort(), [...DATA_OPTIONS].sort());
  });

  for (const row of ROWS) {
    const [code, yaml, otherwise] = row.effect;
    it(`${row.option} comes from code, then from YAML (${row.yaml}), then it is the default`, () => {
      assertEquals(effect(row, row.yaml, { [row.option]: row.code }), code);
      assertEquals(effect(row, row.yaml, {}), yaml);
      assertEquals(effect(row, row.yaml, { [row.option]: undefined }), yaml);
      assertEquals(effect(row, "", { [row.option]: row.code }), code);
      assertEquals(effect(row, "", {}), otherwise);
    });
  }
});
