import { DispatchError } from "../core/errors.ts";
import { listNames, nearest } from "../core/suggest.ts";
import { isRecord } from "./fields.ts";
import { placeInCode } from "./place.ts";

/**
 * What a registry keeps under a name: a client, a URL or path, or a function that returns one, or a
 * promise of one. A client that you made stays yours; what is opened from text, or by calling the
 * function, is closed when the extension stops.
 */
export type Handle = string | object;

/** What {@link createRegistry} takes. */
export interface RegistryEntries {
  /** Databases by name. */
  databases?: Readonly<Record<string, Handle>>;
  /** KVs by name. */
  kvs?: Readonly<Record<string, Handle>>;
}

/** An entry that was looked up. */
export interface RegistryEntry {
  /** Its name, also where it was asked for as `""`. */
  readonly name: string;
  /** What was added under the name. */
  readonly handle: Handle;
}

/** The entries of one kind. */
export class NamedHandles {
  readonly #kind: keyof typeof KINDS;
  readonly #entries = new Map<string, Handle>();

  /** Made by {@link createRegistry}. */
  constructor(kind: "database" | "kv") {
    this.#kind = kind;
  }

  /** Names of the entries, in the order in which they were added. */
  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /**
   * Adds an entry.
   *
   * @throws {DispatchError} `invalid_option` for an empty or taken name, or an empty handle
   */
  add(name: string, handle: Handle): void {
    const what = `${KINDS[this.#kind].title} ${JSON.stringify(name)}`;
    if (typeof name !== "string" || name === "") {
      throw refused(what, "a name is text that is not empty", 'The usual name is "default".');
    }
    if (this.#entries.has(name)) {
      throw refused(what, "the name is taken", "Add it once, or give each a name of its own.");
    }
    const fits = typeof handle === "string" ? handle !== "" : isHandle(handle);
    if (!fits) {
      throw refused(
        what,
        "it has no client",
        "Pass a client, a URL or path, or a function returning one. Is a variable unset?",
      );
    }
    this.#entries.set(name, handle);
  }

  /**
   * Looks an entry up. `""` is the one named `default`, or the only one.
   *
   * @throws {DispatchError} `unknown_database` or `unknown_kv`, with the names that are there
   */
  get(name: string): RegistryEntry {
    const key = name === "" ? this.#defaultName() : name;
    const handle = this.#entries.get(key);
    if (handle === undefined) throw this.#unknown(name);
    return { name: key, handle };
  }

  #defaultName(): string {
    const { names } = this;
    return names.length === 1 ? names[0] : "default";
  }

  #unknown(name: string): DispatchError {
    const { code, title, add, option } = KINDS[this.#kind];
    const { names } = this;
    const what = name === "" ? `the default ${title}` : `${title} ${JSON.stringify(name)}`;
    const there = names.length === 0
      ? `the registry holds no ${title}`
      : `the registry holds ${listNames(names)}`;
    const similar = name === "" ? names[0] : nearest(name, names);
    const hint = names.length === 0
      ? `Add one with registry.${add}(name, handle) and pass the registry to createExtension.`
      : name === ""
      ? `Choose one by its name, such as ${option}: ${
        JSON.stringify(similar)
      }, or name one "default".`
      : similar !== null
      ? `Did you mean ${JSON.stringify(similar)}?`
      : undefined;
    return new DispatchError(code, `Cannot find ${what}: ${there}`, { hint });
  }
}

/** Databases and KVs by name, for `groveDatabase` and `groveKv` to choose from. */
export class Registry {
  /** The databases. */
  readonly databases: NamedHandles = new NamedHandles("database");
  /** The KVs. */
  readonly kvs: NamedHandles = new NamedHandles("kv");

  /**
   * Adds a database; the registry of an extension may be added to until it starts.
   *
   * @throws {DispatchError} `invalid_option` for an empty or taken name, or an empty handle
   */
  addDatabase(name: string, handle: Handle): this {
    this.databases.add(name, handle);
    return this;
  }

  /**
   * Adds a KV; the registry of an extension may be added to until it starts.
   *
   * @throws {DispatchError} `invalid_option` for an empty or taken name, or an empty handle
   */
  addKv(name: string, handle: Handle): this {
    this.kvs.add(name, handle);
    return this;
  }
}

/**
 * Makes a registry: databases and KVs by name, so that code and YAML can choose one by it.
 *
 * @throws {DispatchError} `invalid_option` for an empty name or handle, or an unknown key
 *
 * @example
 * ```ts
 * import { createExtension, createRegistry } from "@dispatch/dispatch";
 *
 * const registry = createRegistry({ databases: { default: "postgres://localhost/app" } })
 *   .addDatabase("jobs", "postgres://localhost/jobs");
 * const ext = createExtension({ registry, groveDatabase: "jobs", config: false });
 * ```
 */
export function createRegistry(entries: RegistryEntries = {}): Registry {
  const registry = new Registry();
  const place = placeInCode("entries");
  if (!isRecord(entries)) throw place.wrongType("an object", entries);
  for (const [key, handles] of Object.entries(entries)) {
    if (key !== "databases" && key !== "kvs") throw place.unknownKey(key, ["databases", "kvs"]);
    if (handles === undefined) continue;
    if (!isRecord(handles)) throw place.at(key).wrongType("handles by name", handles);
    for (const [name, handle] of Object.entries(handles)) registry[key].add(name, handle as Handle);
  }
  return registry;
}

const KINDS = {
  database: {
    code: "unknown_database",
    title: "database",
    add: "addDatabase",
    option: "groveDatabase",
  },
  kv: { code: "unknown_kv", title: "KV", add: "addKv", option: "groveKv" },
} as const;

function isHandle(handle: unknown): boolean {
  return typeof handle === "function" || (typeof handle === "object" && handle !== null);
}

function refused(what: string, why: string, hint: string): DispatchError {
  return new DispatchError("invalid_option", `Cannot register ${what}: ${why}`, { hint });
}
