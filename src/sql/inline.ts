import type { SqlParam } from "./driver.ts";
import { SqlError } from "./sql_error.ts";

/**
 * Writes the parameters into a statement, as literals without a type, which the server settles as
 * it does for parameters. For @db/postgres alone: it sends a statement with parameters in five
 * writes, between which Nagle's algorithm and delayed acknowledgement wait for each other. Measured
 * on one machine: 44 ms for each such statement, 0.3 ms with the parameters written in.
 *
 * A `$1` is a parameter wherever it stands: texts have none in strings and comments.
 */
export function inlineParams(text: string, params: readonly SqlParam[]): string {
  if (params.length === 0) return text;
  return text.replace(/\$(\d+)/g, (_, place) => literal(params[Number(place) - 1]));
}

/** An escape string means the same whatever `standard_conforming_strings` says. */
function literal(param: SqlParam | undefined): string {
  if (param === null || param === undefined) return " NULL";
  const text = String(param);
  if (text.includes("\0")) {
    throw new SqlError("Cannot send text with a NUL character: PostgreSQL cannot keep it", {
      sqlState: "22021",
      transient: false,
      uncertain: false,
    });
  }
  return ` E'${text.replace(/[\\']/g, "$&$&")}'`;
}
