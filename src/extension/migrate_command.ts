import { DispatchError, messageOf } from "../core/errors.ts";
import type { SqlDriver } from "../sql/driver.ts";
import { openPostgres } from "../sql/open.ts";
import { apply, type MigrationStatus, plan, status } from "../store/postgres/migrations.ts";
import { checkSchema } from "../store/postgres/database.ts";
import { databaseUrl } from "./database_url.ts";
import { databaseOf } from "./grove.ts";
import { parseOptions } from "./runtime.ts";

/** What the command is run with. */
export interface Terminal {
  /** What follows its name. */
  readonly args: readonly string[];
  /** Reads a variable of the environment. */
  environment(name: string): string | undefined;
  /** Takes what was asked for. */
  print(line: string): void;
  /** Takes what went wrong. */
  complain(line: string): void;
}

/** What the command ends with. */
export const EXIT = {
  /** The schema is up to date, or what was asked for has been printed. */
  done: 0,
  /** The database could not be reached or must not be migrated. */
  failed: 1,
  /** The command was called wrongly, or its configuration is not right. */
  usage: 2,
  /** Only with `--status`: something is missing. */
  pending: 3,
} as const;

const USAGE = `Brings the schema of a Dispatch database up to date.

  --url URL      postgres://… (default: what --config says, else the variable DATABASE_URL)
  --config PATH  the application's forge.yaml: takes the database that extensions.dispatch.grove_database
                 names out of extensions.grove.databases; where that names none, DATABASE_URL
  --schema NAME  schema of the installation (default: dispatch)
  --to VERSION   go no further than this version
  --status       say where the schema stands and change nothing
  --dry-run      print the statements that would be run and change nothing
  --help         print this

Exit status: 0 done, 1 failed, 2 called or configured wrongly, 3 with --status: something is missing.`;

const OPTIONS = {
  url: "string",
  config: "string",
  schema: "string",
  to: "string",
  status: "boolean",
  "dry-run": "boolean",
  help: "boolean",
} as const;

interface Call {
  readonly url: string;
  readonly schema: string;
  readonly to: number | undefined;
  readonly mode: "apply" | "status" | "dry-run" | "help";
}

/** Runs the command; returns its exit status. */
export async function migrateCommand(terminal: Terminal): Promise<number> {
  let call: Call;
  try {
    call = readCall(terminal);
  } catch (error) {
    complain(terminal, error);
    terminal.complain("Try --help.");
    return EXIT.usage;
  }
  if (call.mode === "help") {
    terminal.print(USAGE);
    return EXIT.done;
  }
  let driver: SqlDriver | null = null;
  try {
    driver = await openPostgres(call.url, {
      maxConnections: 1,
      applicationName: "dispatch-migrate",
    });
    return await run(driver, call, terminal);
  } catch (error) {
    complain(terminal, error);
    return EXIT.failed;
  } finally {
    await driver?.close();
  }
}

function readCall({ args, environment }: Terminal): Call {
  const given = parseOptions(args, OPTIONS);
  const text = (name: keyof typeof OPTIONS) => given[name] as string | undefined;
  const modes = (["help", "status", "dry-run"] as const).filter((mode) => given[mode]);
  if (modes.length > 1) throw new Error(`Cannot do both: --${modes.join(" and --")}`);
  return {
    url: modes[0] === "help" ? "" : findUrl(text("url"), text("config"), environment),
    schema: checkSchema(text("schema") ?? "dispatch"),
    to: text("to") === undefined ? undefined : readVersion(text("to")!),
    mode: modes[0] ?? "apply",
  };
}

function findUrl(
  url: string | undefined,
  config: string | undefined,
  environment: Terminal["environment"],
): string {
  if (url !== undefined && config !== undefined) {
    throw new Error("Cannot use both --url and --config: each names a database");
  }
  if (url !== undefined) return url;
  if (config !== undefined) return databaseOf(config, environment);
  const unnamed = "a database: there is neither --url nor --config";
  return databaseUrl({ unnamed, instead: "Pass one of them", read: environment });
}

function complain(terminal: Terminal, error: unknown): void {
  terminal.complain(messageOf(error));
  if (error instanceof DispatchError) terminal.complain(error.hint);
}

function readVersion(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new Error(`Cannot go to version ${JSON.stringify(text)}: expected a whole number`);
}

async function run(
  driver: SqlDriver,
  { schema, to, mode }: Call,
  terminal: Terminal,
): Promise<number> {
  const before = await status(driver, schema);
  if (to !== undefined && (to < before.current || to > before.latest)) {
    terminal.complain(
      `Cannot go to version ${to}: the schema has ${before.current}, this release knows ${before.latest}`,
    );
    return EXIT.usage;
  }
  if (mode === "status") {
    for (const line of describe(schema, before)) terminal.print(line);
    return before.pending.length === 0 ? EXIT.done : EXIT.pending;
  }
  if (mode === "dry-run") {
    for (const script of await plan(driver, schema, to)) terminal.print(script.trim());
    return EXIT.done;
  }
  const applied = await apply(driver, schema, to);
  terminal.print(
    applied.length === 0
      ? `Schema ${schema} is at version ${before.current}: nothing to do`
      : `Schema ${schema} went from version ${before.current} to ${applied.at(-1)}`,
  );
  return EXIT.done;
}

function describe(
  schema: string,
  { current, latest, applied, pending }: MigrationStatus,
): string[] {
  return [
    `Schema ${schema} is at version ${current} of ${latest}`,
    ...applied.map(({ version, appliedAt }) =>
      `  ${version}  applied ${new Date(appliedAt).toISOString()}`
    ),
    ...pending.map(({ version, title }) => `  ${version}  missing: ${title}`),
  ];
}
