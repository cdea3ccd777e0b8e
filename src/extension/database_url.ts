import { DispatchError } from "../core/errors.ts";
import { environment, howToSet } from "./runtime.ts";

/** Reads a variable of the environment. */
export type Environment = (name: string) => string | undefined;

/** What {@link databaseUrl} takes. */
export interface Unnamed {
  /** What was looked for in vain, as the error says it. */
  readonly unnamed: string;
  /** What else would name a database, as the hint says it. */
  readonly instead: string;
  /** Where variables are read. Default: the process. */
  readonly read?: Environment;
}

/**
 * The URL in `DATABASE_URL`, the variable by which hosts and tools name a database: where nothing
 * else names one.
 *
 * @throws {DispatchError} `unknown_database` where it is not set
 */
export function databaseUrl({ unnamed, instead, read = environment }: Unnamed): string {
  const url = read("DATABASE_URL");
  if (url) return url;
  throw new DispatchError(
    "unknown_database",
    `Cannot find ${unnamed}, and DATABASE_URL is not set`,
    { hint: `${instead}, or ${howToSet("DATABASE_URL")}` },
  );
}
