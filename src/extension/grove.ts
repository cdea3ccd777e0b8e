/**
 * Which database a configuration file means: the one that `grove_database` names, out of those that
 * the same file gives to Grove. Only the `migrate` command asks here; an extension has a registry.
 *
 *     extensions:
 *       dispatch: { grove_database: jobs }
 *       grove:
 *         databases:
 *           - { name: jobs, driver: postgres, dsn: "${JOBS_URL}" }
 */

import { DispatchError } from "../core/errors.ts";
import { listNames, suggest } from "../core/name.ts";
import { loadConfig } from "./config.ts";
import { readGroveSection, type Section } from "./config_file.ts";
import { databaseUrl, type Environment } from "./database_url.ts";
import { isRecord } from "./fields.ts";
import { type Place, placeInConfig } from "./place.ts";
import { howToSet } from "./runtime.ts";

/** How Grove calls PostgreSQL. */
const DRIVERS = ["postgres", "postgresql", "pg"];

const NONE: Databases = { byName: new Map(), usual: "default" };

interface Database {
  readonly driver: string;
  readonly dsn: string;
  readonly place: Place;
}

interface Databases {
  /** By name; that of one without a name is `default`. */
  readonly byName: ReadonlyMap<string, Database>;
  /** Name of the one that is meant where none is named. */
  readonly usual: string;
}

/**
 * Finds the URL of the database that an extension with this configuration file works on. Where the
 * file names none, or leaves the default one to the registry, that is the one in `DATABASE_URL`.
 *
 * @throws {DispatchError} `unknown_database`, `config_not_found`, and what {@link loadConfig} throws
 */
export function databaseOf(path: string, environment: Environment): string {
  const { options } = loadConfig({ config: path, required: true, directory: "" });
  const { groveDatabase, groveKv } = options;
  if (groveDatabase === undefined && groveKv !== undefined) {
    throw new DispatchError(
      "unknown_database",
      `Cannot find a database in ${path}: it chooses a KV, which has no schema`,
      { hint: "Set grove_database, or pass --url." },
    );
  }
  const section = readGroveSection(path);
  const { byName, usual } = section === null ? NONE : readDatabases(section);
  const name = groveDatabase || usual;
  const found = byName.get(name);
  if (found !== undefined) return urlOf(found, environment);
  const elsewhere = `Name it under extensions.grove in ${path}, or pass --url`;
  if (byName.size === 0 && name === "default") {
    const unnamed = `the default database: ${path} does not name it`;
    return databaseUrl({ unnamed, instead: elsewhere, read: environment });
  }
  const there = byName.size === 0
    ? "it gives Grove no database"
    : `${section?.path} has ${listNames(byName.keys())}`;
  throw new DispatchError(
    "unknown_database",
    `Cannot find database ${JSON.stringify(name)} in ${path}: ${there}`,
    { hint: suggest(name, [...byName.keys()], `${elsewhere}.`) },
  );
}

/** Keys that do not say where databases are belong to Grove, and are left to it. */
function readDatabases({ source, path, value }: Section): Databases {
  const place = placeInConfig(source, path);
  if (value === null) return NONE; // every line below the key is a comment
  if (!isRecord(value)) throw place.wrongType("an object", value);
  const byName = new Map<string, Database>();
  if (value.databases === undefined) {
    if (value.dsn !== undefined) byName.set("default", readDatabase(value, place));
  } else {
    const list = place.at("databases");
    if (!Array.isArray(value.databases)) throw list.wrongType("a list", value.databases);
    value.databases.forEach((entry, i) => {
      if (!isRecord(entry)) throw list.at(i).wrongType("an object", entry);
      byName.set(textOf(entry, "name", list.at(i)), readDatabase(entry, list.at(i)));
    });
  }
  // As with a registry: the one called default, or the only one.
  const only = byName.size === 1 ? [...byName.keys()][0] : "default";
  return { byName, usual: value.default === undefined ? only : textOf(value, "default", place) };
}

function readDatabase(entry: Record<string, unknown>, place: Place): Database {
  return { driver: textOf(entry, "driver", place), dsn: textOf(entry, "dsn", place), place };
}

function textOf(entry: Record<string, unknown>, key: string, place: Place): string {
  const value = entry[key];
  if (typeof value === "string" && value !== "") return value;
  throw place.at(key).wrongType("text", value);
}

/** Passwords are kept out of files: `${NAME}` stands for a variable of the environment. */
function urlOf({ driver, dsn, place }: Database, environment: Environment): string {
  if (!DRIVERS.includes(driver)) {
    throw place.at("driver").invalid(
      new DispatchError("config_invalid_value", `Cannot migrate ${driver}`, {
        hint: "Dispatch has a schema in PostgreSQL only: driver: postgres.",
      }),
    );
  }
  return dsn.replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = environment(name);
    if (value) return value;
    throw place.at("dsn").invalid(
      new DispatchError("config_invalid_value", `Cannot read the variable ${name}: it is not set`, {
        hint: `In the environment, ${howToSet(name)}`,
      }),
    );
  });
}
