import { claim } from "./001_claim.ts";
import { settle } from "./001_settle.ts";
import { tables } from "./001_tables.ts";
import { verbs } from "./001_verbs.ts";

/** Version 1: tables, and the functions that change them. From its first release on it is never edited. */
export const migration001 = (schema: string): string =>
  [tables, claim, settle, verbs].map((part) => part(schema)).join("");
