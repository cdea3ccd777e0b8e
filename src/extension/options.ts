import { systemClock } from "../core/clock.ts";
import { consoleLogger } from "../core/logger.ts";
import type { AnyJobDefinition } from "../engine/definition.ts";
import type { EngineOptions } from "../engine/options.ts";
import type { Auth } from "../http/auth.ts";
import type { Store } from "../store/store.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import { loadConfig } from "./config.ts";
import { DATA_OPTIONS, type DataOptions, isRecord, readFields } from "./fields.ts";
import { type Place, placeInCode } from "./place.ts";
import { createRegistry, type Registry } from "./registry.ts";

/**
 * What `createExtension` takes. Those that are data can be set in YAML too, under the same name in
 * snake_case; code comes before YAML, YAML before the default. Lists and objects are not merged.
 */
export interface ExtensionOptions extends EngineOptions {
  /** The store to work on; the registry is then not looked at. You open it and you close it. */
  store?: Store;
  /** Where `groveDatabase` and `groveKv` are looked up. It may be added to until start. */
  registry?: Registry;
  /**
   * Name of a database in the registry; `""` is the default one. It comes before `groveKv`.
   * YAML: `grove_database`. Default: not set.
   */
  groveDatabase?: string;
  /** Name of a KV in the registry; `""` is the default one. YAML: `grove_kv`. Default: not set. */
  groveKv?: string;
  /** Prefix of every route. YAML: `base_path`. Default `"/api/dispatch"`. */
  basePath?: string;
  /** Definitions to register; `engine.register()` takes more. */
  jobs?: readonly AnyJobDefinition[];
  /** Workflows to register; `engine.register()` takes more. */
  workflows?: readonly AnyWorkflowDefinition[];
  /** Has `app` serve nothing. YAML: `disable_routes`. Default false. */
  disableRoutes?: boolean;
  /** Leaves the schema of the store alone at start. YAML: `disable_migrate`. Default false. */
  disableMigrate?: boolean;
  /**
   * Who may use the routes: a Hono middleware, or bearer tokens. Default: everyone, with one warning
   * at start.
   */
  auth?: Auth;
  /**
   * Where the data options come from that are not in code: the path of a YAML file with the key
   * `extensions.dispatch` or `dispatch`; an object with the keys that stand there in YAML; `false`
   * for nowhere. Default: the first of `forge`, `app` and `config`, each `.yaml` then `.yml`, in the
   * working directory that has one of the keys.
   */
  config?: string | Readonly<Record<string, unknown>> | false;
  /** Makes it an error that no configuration was found. Default false. */
  requireConfig?: boolean;
}

/** Options that have a default here; the others have it in the engine. */
type Defaulted =
  | "registry"
  | "basePath"
  | "jobs"
  | "workflows"
  | "disableRoutes"
  | "disableMigrate"
  | "logger"
  | "clock";

/** The same, checked, and together with what YAML set. */
export interface ExtensionSettings
  extends
    Omit<ExtensionOptions, "config" | "requireConfig" | Defaulted>,
    Required<Pick<ExtensionOptions, Defaulted>> {
  /** Where the configuration was found. */
  readonly source: string | null;
  /** The data options that it set, and code did not. */
  readonly fromConfig: readonly (keyof DataOptions)[];
}

type CodeOption = Exclude<keyof ExtensionOptions, keyof DataOptions>;

type Fits = (value: unknown) => boolean;

/**
 * What the options take that only code can set: how errors say it, and how it is told; of lists, the
 * same for each item.
 */
const CODE_OPTIONS: Record<CodeOption, [expected: string, fits: Fits, item?: [string, Fits]]> = {
  store: [
    "a store, such as memoryStore()",
    (value) => hasMethods(value, "ping", "migrate", "close") && isRecord(value.jobs),
  ],
  registry: [
    "a registry made by createRegistry()",
    (value) => hasMethods(value, "addDatabase", "addKv"),
  ],
  jobs: [
    "a list of definitions made by defineJob()",
    Array.isArray,
    ["a definition made by defineJob() (workflows go to the option workflows)", isMade("job")],
  ],
  workflows: [
    "a list of workflows made by defineWorkflow()",
    Array.isArray,
    ["a workflow made by defineWorkflow() (jobs go to the option jobs)", isMade("workflow")],
  ],
  extensions: [
    "a list of lifecycle extensions, each with a name",
    Array.isArray,
    [
      "a lifecycle extension with a name",
      (item) => isRecord(item) && typeof item.name === "string",
    ],
  ],
  middleware: ["a list of functions", Array.isArray, ["a function", isFunction]],
  backoff: ["a function, such as exponential()", isFunction],
  auth: ["a Hono middleware or { bearer }", (value) => isFunction(value) || isRecord(value)],
  config: [
    "a path, an object or false",
    (value) => value === false || isRecord(value) || (typeof value === "string" && value !== ""),
  ],
  requireConfig: ["true or false", (value) => typeof value === "boolean"],
  logger: [
    "an object with debug, info, warn and error",
    (value) => hasMethods(value, "debug", "info", "warn", "error"),
  ],
  clock: ["a clock with now and after", (value) => hasMethods(value, "now", "after")],
};

/**
 * Checks the options, reads the configuration, and puts the two together.
 *
 * @param directory where configuration is looked for; `""` is the working directory
 * @throws {DispatchError} `invalid_option`, `invalid_concurrency`, `invalid_queue`,
 * `invalid_duration`, and what {@link loadConfig} throws
 */
export function readExtensionOptions(options: unknown, directory: string): ExtensionSettings {
  const place = placeInCode("");
  if (!isRecord(options)) throw place.at("options").wrongType("an object", options);
  const data: Record<string, unknown> = {};
  const code: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue; // a wrapper that passes its own option through
    if ((DATA_OPTIONS as readonly string[]).includes(name)) data[name] = value;
    else if (!Object.hasOwn(CODE_OPTIONS, name)) throw place.unknownKey(name, KNOWN);
    else {
      checkCodeOption(name as CodeOption, value, place);
      code[name] = value;
    }
  }
  const { config, requireConfig, ...given } = code as Pick<ExtensionOptions, CodeOption>;
  const inCode = readFields(data, place);
  const found = loadConfig({ config, required: requireConfig ?? false, directory });
  return {
    basePath: "/api/dispatch",
    registry: createRegistry(),
    jobs: [],
    workflows: [],
    disableRoutes: false,
    disableMigrate: false,
    logger: consoleLogger(),
    clock: systemClock,
    ...given,
    ...found.options,
    ...inCode,
    source: found.source,
    fromConfig: DATA_OPTIONS.filter((name) => name in found.options && !(name in inCode)),
  };
}

function checkCodeOption(name: CodeOption, value: unknown, place: Place): void {
  const [expected, fits, item] = CODE_OPTIONS[name];
  if (!fits(value)) throw place.at(name).wrongType(expected, value);
  if (item === undefined) return;
  const [expectedOfItem, itemFits] = item;
  (value as unknown[]).forEach((one, i) => {
    if (!itemFits(one)) throw place.at(`${name}[${i}]`).wrongType(expectedOfItem, one);
  });
}

const KNOWN: readonly string[] = [...DATA_OPTIONS, ...Object.keys(CODE_OPTIONS)];

function hasMethods(value: unknown, ...names: string[]): value is Record<string, unknown> {
  return isRecord(value) && names.every((name) => isFunction(value[name]));
}

function isFunction(value: unknown): boolean {
  return typeof value === "function";
}

function isMade(kind: "job" | "workflow"): Fits {
  return (item) => isRecord(item) && item.kind === kind && typeof item.name === "string";
}
