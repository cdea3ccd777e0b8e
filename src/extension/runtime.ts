/** The one file that knows what runs it: Deno, or Node from version 20 on. Both take this code. */

import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { messageOf } from "../core/errors.ts";
import type { Ambient } from "../workflow/host.ts";

/** What became of an attempt to read a file. */
export type FileRead =
  /** Its text. */
  | { readonly kind: "text"; readonly text: string }
  /** There is no such file. */
  | { readonly kind: "absent" }
  /** The runtime was not given the permission to look. */
  | { readonly kind: "denied"; readonly permission: string }
  /** It is there and cannot be read. */
  | { readonly kind: "failed"; readonly error: unknown };

/** The part of the `Deno` namespace that is used, so that the same code compiles for Node. */
interface Permissions {
  querySync(descriptor: { name: "read"; path: string }): { state: string };
}

/**
 * Reads a text file at once. It never throws, and under Deno it never prompts: a library that is
 * looking around must not stop a program to ask whether it may.
 */
export function readTextFile(path: string): FileRead {
  const { permissions } = (globalThis as { Deno?: { permissions?: Permissions } }).Deno ?? {};
  if (
    permissions !== undefined && permissions.querySync({ name: "read", path }).state !== "granted"
  ) {
    return { kind: "denied", permission: `--allow-read=${path}` };
  }
  try {
    return { kind: "text", text: readFileSync(path, "utf8") };
  } catch (error) {
    switch ((error as { code?: string }).code) {
      case "ENOENT":
      case "ENOTDIR":
        return { kind: "absent" };
      case "ERR_ACCESS_DENIED": // Node's permission model
        return { kind: "denied", permission: `--allow-fs-read=${path}` };
      default:
        return { kind: "failed", error };
    }
  }
}

/** Tells code that runs inside a step of a workflow from code beside it, also behind awaits. */
export function asyncAmbient(): Ambient {
  const storage = new AsyncLocalStorage<true>();
  return {
    run: (work) => storage.run(true, work),
    inside: () => storage.getStore() === true,
  };
}

/** The working directory, or words for it where it cannot be told. */
export function workingDirectory(): string {
  try {
    return process.cwd();
  } catch (error) { // it was removed, or may not be told
    return `the working directory (${messageOf(error)})`;
  }
}

/** What follows the name of the program on its command line. */
export function commandLine(): string[] {
  return process.argv.slice(2);
}

/** A variable of the environment; also `undefined` where it may not be read. */
export function environment(name: string): string | undefined {
  try {
    return process.env[name];
  } catch { // Deno without --allow-env
    return undefined;
  }
}

/** What has a variable of the environment be there, for a hint. */
export function howToSet(name: string): string {
  return `set ${name}; Deno reads it with --allow-env=${name}.`;
}

/** Ends the program with this status once it has nothing left to do. */
export function setExitCode(code: number): void {
  process.exitCode = code;
}

/** Prints a line: what was asked for, or what went wrong. */
export function printLine(stream: "stdout" | "stderr", line: string): void {
  process[stream].write(`${line}\n`);
}

/** Reads options such as `--url x`, `--url=x` and `--status`. It throws what it does not understand. */
export function parseOptions(
  args: readonly string[],
  options: Readonly<Record<string, "string" | "boolean">>,
): Record<string, string | boolean | undefined> {
  const config = Object.fromEntries(
    Object.entries(options).map(([name, type]) => [name, { type }]),
  );
  return { ...parseArgs({ args: [...args], options: config, strict: true }).values };
}
