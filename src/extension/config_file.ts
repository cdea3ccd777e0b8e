/**
 * Finds the section of a YAML file that configures Dispatch, and that of Grove beside it.
 *
 * Looking around, the first file that exists and holds one of the keys counts; one that holds
 * neither belongs to someone else and is passed over. So is, unparsed, an `app` or `config` file in
 * which the word `dispatch` does not occur: another tool's may be a template that is no YAML at all.
 */

import { parse } from "@std/yaml";
import { DispatchError, messageOf } from "../core/errors.ts";
import { isRecord } from "./fields.ts";
import { readTextFile, workingDirectory } from "./runtime.ts";

/** Names that are looked for in the working directory, the first first. */
export const CONFIG_FILES: readonly string[] = ["forge", "app", "config"].flatMap((name) => [
  `${name}.yaml`,
  `${name}.yml`,
]);

/** A section that configures Dispatch. */
export interface Section {
  /** The file that it is in. */
  readonly source: string;
  /** Where it is in the file. */
  readonly path: string;
  /** What it holds; `null` where only its key is there. */
  readonly value: unknown;
}

/**
 * Looks for a section in a directory; `null` where there is none.
 *
 * @param directory `""` is the working directory
 * @param required raises `config_not_found` instead of returning `null`
 * @throws {DispatchError} `config_not_found`, `config_unreadable`, `config_syntax`
 */
export function findSection(directory: string, required: boolean): Section | null {
  const without: string[] = [];
  let permission: string | null = null;
  for (const name of CONFIG_FILES) {
    const path = directory === "" ? name : `${directory}/${name}`;
    const read = readTextFile(path);
    if (read.kind === "failed") throw unreadable(path, read.error);
    if (read.kind === "denied") permission ??= read.permission.replace(/=.*/, "");
    if (read.kind !== "text") continue;
    const mayBeOurs = name.startsWith("forge.") || read.text.includes("dispatch");
    const section = mayBeOurs ? sectionOf(read.text, path) : null;
    if (section !== null) return section;
    without.push(name);
  }
  if (!required) return null;
  const where = directory === "" ? workingDirectory() : directory;
  throw new DispatchError(
    "config_not_found",
    `Cannot find a configuration in ${where}: looked for the key extensions.dispatch or dispatch ` +
      `in ${CONFIG_FILES.join(", ")}`,
    {
      hint: permission !== null
        ? `The runtime may not read them: grant it ${permission}.`
        : without.length > 0
        ? `${without.join(", ")}: there, but without either key.`
        : undefined,
    },
  );
}

/**
 * Reads the section of a file that was named. It must be there.
 *
 * @throws {DispatchError} `config_not_found`, `config_unreadable`, `config_syntax`
 */
export function readSection(path: string): Section {
  const section = sectionOf(readNamed(path), path);
  if (section !== null) return section;
  throw new DispatchError(
    "config_not_found",
    `Cannot find a configuration in ${path}: it has neither the key extensions.dispatch nor dispatch`,
    { hint: "Put the options under one of these keys." },
  );
}

/**
 * Reads what a file that was named says to Grove, `null` where that is nothing.
 *
 * @throws {DispatchError} `config_not_found`, `config_unreadable`, `config_syntax`
 */
export function readGroveSection(path: string): Section | null {
  return sectionOf(readNamed(path), path, "grove");
}

function readNamed(path: string): string {
  const read = readTextFile(path);
  switch (read.kind) {
    case "absent":
      throw new DispatchError(
        "config_not_found",
        `Cannot find the configuration file ${path} in ${workingDirectory()}`,
        { hint: "Correct the path, or leave config out to have the usual names looked for." },
      );
    case "denied":
      throw new DispatchError(
        "config_unreadable",
        `Cannot read the configuration file ${path}: the runtime has not been given permission`,
        { hint: `Run it with ${read.permission}.` },
      );
    case "failed":
      throw unreadable(path, read.error);
    case "text":
      return read.text;
  }
}

function sectionOf(text: string, source: string, key = "dispatch"): Section | null {
  const document = parseYaml(text, source);
  if (!isRecord(document)) return null;
  const { extensions } = document;
  if (isRecord(extensions) && Object.hasOwn(extensions, key)) {
    return { source, path: `extensions.${key}`, value: extensions[key] };
  }
  if (!Object.hasOwn(document, key)) return null;
  return { source, path: key, value: document[key] };
}

function parseYaml(text: string, source: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    // The parser's message: what is wrong, "at line 2, column 1", and an extract over more lines.
    const [message] = messageOf(error).split("\n");
    const place = / ?at (line \d+, column \d+):?/.exec(message);
    const problem = place === null ? message : message.replace(place[0], "");
    const where = place === null ? source : `${source}, ${place[1]}`;
    throw new DispatchError("config_syntax", `Cannot parse ${where}: ${problem}`, {
      hint: place === null ? "Fix the YAML." : undefined,
      cause: error,
    });
  }
}

function unreadable(path: string, error: unknown): DispatchError {
  return new DispatchError(
    "config_unreadable",
    `Cannot read the configuration file ${path}: ${messageOf(error)}`,
    { cause: error },
  );
}
