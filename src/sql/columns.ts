import { SqlError } from "./sql_error.ts";
import type { SqlValue } from "./driver.ts";

/** Identifiers of the types that are not text to the port. They are fixed in Postgres itself. */
export const OID = {
  bool: 16,
  int8: 20,
  int2: 21,
  int4: 23,
  float4: 700,
  float8: 701,
} as const;

/** Reads a column as the server writes it in text format. */
export type Parse = (text: string) => SqlValue;

const asText: Parse = (text) => text;
const PARSERS: Record<number, Parse> = {
  [OID.bool]: (text) => text === "t",
  [OID.int8]: parseInt8,
  [OID.int2]: Number,
  [OID.int4]: Number,
  [OID.float4]: Number,
  [OID.float8]: Number,
};

/** The parser of a type: numbers and booleans are read, all else stays text. */
export function parserOf(oid: number): Parse {
  return PARSERS[oid] ?? asText;
}

/**
 * Reads an int8, however a client has presented it.
 *
 * @throws {SqlError} for one that a number cannot hold
 */
export function parseInt8(value: string | number | bigint): number {
  const number = Number(value);
  if (Number.isSafeInteger(number)) return number;
  throw new SqlError(`Cannot read the int8 ${value} as a number: cast it to text`, {
    sqlState: null,
    transient: false,
    uncertain: false,
  });
}
