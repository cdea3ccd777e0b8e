import { DispatchError } from "../core/errors.ts";
import { findSection, readSection, type Section } from "./config_file.ts";
import { type DataOptions, isRecord, readFields } from "./fields.ts";
import { placeInConfig } from "./place.ts";

/** The configuration of an extension, as far as it is not in code. */
export interface Config {
  /** The options that it sets. */
  readonly options: DataOptions;
  /** The file that it is in, or `null` where there is none. */
  readonly source: string | null;
}

/** What {@link loadConfig} takes. */
export interface ConfigChoice {
  /** The option `config`: a path, an object, `false`, or nothing to look around. */
  config?: string | Readonly<Record<string, unknown>> | false;
  /** Whether it is an error that nothing was found. */
  required: boolean;
  /** Where to look around; `""` is the working directory. */
  directory: string;
}

/**
 * Reads the configuration, at once: an extension's routes depend on it.
 *
 * @throws {DispatchError} `config_not_found`, `config_unreadable`, `config_syntax`,
 * `config_unknown_key`, `config_wrong_type`, `config_invalid_value`, `invalid_option`
 */
export function loadConfig({ config, required, directory }: ConfigChoice): Config {
  if (config === undefined) {
    const section = findSection(directory, required);
    return section === null ? { options: {}, source: null } : read(section);
  }
  if (config === false) {
    if (!required) return { options: {}, source: null };
    throw new DispatchError("invalid_option", "Cannot require a configuration: config is false", {
      hint: "Set requireConfig or config: false, not both.",
    });
  }
  if (typeof config === "string") return read(readSection(config));
  return read({ source: "the option config", path: "", value: config });
}

function read({ source, path, value }: Section): Config {
  const place = placeInConfig(source, path);
  if (value === null) return { options: {}, source }; // every line below the key is a comment
  if (!isRecord(value)) throw place.wrongType("an object", value);
  return { options: readFields(value, place), source };
}
