import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  DispatchExtension,
  type ExtensionOptions,
  type Surroundings,
} from "../../src/extension/extension.ts";
import { RecordingLogger } from "../harness.ts";

/** A directory with these files, which goes when the scope is left. */
export function directoryOf(files: Record<string, string>): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), "dispatch-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true }) };
}

/**
 * An extension, of options whose types nobody checks. It is quiet, and looks for a configuration
 * only where a directory is given.
 */
export function make(
  options: Record<string, unknown> = {},
  surroundings: Surroundings = {},
): DispatchExtension {
  const quiet = { config: surroundings.directory === undefined ? false : undefined };
  return new DispatchExtension(
    { logger: new RecordingLogger(), ...quiet, ...options } as ExtensionOptions,
    surroundings,
  );
}

/** An extension that reads what these files of a directory configure. */
export function makeFrom(files: Record<string, string>, options: Record<string, unknown> = {}) {
  using directory = directoryOf(files);
  return make(options, { directory: directory.path });
}
