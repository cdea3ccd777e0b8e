import { ends } from "./002_ends.ts";
import { events } from "./002_events.ts";
import { steps } from "./002_steps.ts";
import { tables } from "./002_tables.ts";
import { verbs } from "./002_verbs.ts";

/** Version 2: runs of workflows, their steps, events. It leaves the functions of version 1 alone. */
export const migration002 = (schema: string): string =>
  [tables, events, steps, ends, verbs].map((part) => part(schema)).join("");
