import { messageOf } from "./errors.ts";

/** Facts that go with a log message, by name. */
export type LogFields = Record<string, unknown>;

/** What Dispatch logs to. `console`, pino, winston and LogTape loggers fit or need one line. */
export interface Logger {
  /** Details for someone who is looking for a fault. */
  debug(message: string, fields?: LogFields): void;
  /** What happens in a healthy system: starts, stops, migrations. */
  info(message: string, fields?: LogFields): void;
  /** What someone should look at one day: a retry, a lost lease, a store that answers slowly. */
  warn(message: string, fields?: LogFields): void;
  /** What someone should look at today: a dead letter, a store that does not answer. */
  error(message: string, fields?: LogFields): void;
}

/**
 * Writes warnings and errors, and with `level: "info"` or `"debug"` more, as single lines to the
 * console: `[dispatch] job failed for good job=job_… name=send_email`. The default logger.
 *
 * @example
 * ```ts
 * import { consoleLogger, createExtension } from "@dispatch/dispatch";
 *
 * const ext = createExtension({ logger: consoleLogger({ level: "debug" }) });
 * ```
 */
export function consoleLogger(
  options: { level?: "debug" | "info" | "warn" | "error" } = {},
): Logger {
  const levels = ["debug", "info", "warn", "error"] as const;
  const lowest = levels.indexOf(options.level ?? "info");
  const write = (level: typeof levels[number]) =>
    levels.indexOf(level) < lowest ? ignore : (message: string, fields?: LogFields): void => {
      console[level](oneLine(`[dispatch] ${message}${fields ? formatFields(fields) : ""}`));
    };
  return { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

/** The same, except that one that throws harms nobody: no job may fail of being logged. */
export function harmless(logger: Logger): Logger {
  const guard = (level: keyof Logger) => (message: string, fields?: LogFields): void => {
    try {
      logger[level](message, fields);
    } catch { /* there is nowhere left to tell it */ }
  };
  return { debug: guard("debug"), info: guard("info"), warn: guard("warn"), error: guard("error") };
}

/** Writes nothing. */
export const silentLogger: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };

function ignore(): void {}

/** One line an event, whatever an error message holds: a log must not be forgeable. */
function oneLine(text: string): string {
  return text.replace(
    /[\p{Cc}\u2028\u2029]/gu,
    (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function formatFields(fields: LogFields): string {
  let line = "";
  for (const [key, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    const text = value instanceof Error
      ? messageOf(value)
      : typeof value === "string"
      ? value
      : inspect(value);
    line += ` ${key}=${/[\s"]/.test(text) ? JSON.stringify(text) : text}`;
  }
  return line;
}

function inspect(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return messageOf(value);
  }
}
