/** package.json of the npm package. */

import { REPOSITORY } from "./readme.ts";
import { CONFIG, NPM_VERSIONS } from "./stage.ts";

/** Shared with the application, so that there is one Hono: the user's. */
const PEERS = ["hono"];

/** Clients of stores: whoever uses one installs it. */
const OPTIONAL_PEERS = ["@deno/kv", "pg", "postgres"];

/** The entry point that is a command. */
const COMMAND = { name: "dispatch-migrate", entry: "./migrate" };

/** Where an entry point is. */
export interface Target {
  /** Its declarations, with "./" in front. */
  readonly types: string;
  /** Its code. */
  readonly default: string;
}

/**
 * Makes package.json.
 *
 * @param exports the entry points by name
 * @param imported names of all packages that code or types import
 */
export function manifest(exports: Record<string, Target>, imported: ReadonlySet<string>): object {
  const { name, version, license } = CONFIG;
  const peers = [...PEERS, ...OPTIONAL_PEERS.filter((peer) => peer in NPM_VERSIONS)].sort();
  return {
    name,
    version,
    description: "Durable background jobs and workflows as a library for Deno and Node",
    keywords: ["jobs", "queue", "workflow", "worker", "retry", "saga", "postgres", "hono", "deno"],
    license,
    ...(REPOSITORY && { // npm compares it with the provenance
      repository: { type: "git", url: `git+https://github.com/${REPOSITORY}.git` },
    }),
    type: "module",
    sideEffects: false,
    engines: { node: ">=20" },
    main: exports["."].default,
    types: exports["."].types,
    exports: { ...exports, "./package.json": "./package.json" },
    bin: { [COMMAND.name]: exports[COMMAND.entry].default },
    dependencies: versions([...imported].filter((name) => !peers.includes(name)).sort()),
    peerDependencies: versions(peers),
    peerDependenciesMeta: Object.fromEntries(
      peers.filter((peer) => OPTIONAL_PEERS.includes(peer))
        .map((peer) => [peer, { optional: true }]),
    ),
  };
}

function versions(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => {
    if (NPM_VERSIONS[name] === undefined) throw new Error(`Cannot find a version of ${name}`);
    return [name, NPM_VERSIONS[name]];
  }));
}
