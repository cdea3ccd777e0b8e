/** Opens a KV by its path or URL: the one file of the stores that knows Deno and its stand-in in npm. */

import { DispatchError, messageOf } from "../../core/errors.ts";
import { isKvClient, type KvClient } from "./client.ts";

/** The part of the `Deno` namespace that is used, so that the same code compiles for Node. */
interface Runtime {
  readonly openKv?: (path?: string) => Promise<KvClient>;
}

/**
 * @throws {DispatchError} `store_not_available` where there is no Deno KV, `store_unreachable` where it
 * cannot be opened
 */
export async function openKv(path: string): Promise<KvClient> {
  const open = await opener();
  try {
    return await open(path);
  } catch (cause) {
    throw cannotOpen(path, cause);
  }
}

async function opener(): Promise<(path: string) => Promise<KvClient>> {
  const runtime = (globalThis as { Deno?: Runtime }).Deno;
  if (runtime !== undefined) {
    if (runtime.openKv !== undefined) return runtime.openKv;
    throw new DispatchError("store_not_available", "Cannot open a KV: Deno.openKv is not there", {
      hint: 'Run Deno with --unstable-kv, or put "unstable": ["kv"] into deno.json.',
    });
  }
  const { openKv } = await import("@deno/kv").catch((cause) => {
    throw new DispatchError("store_not_available", "Cannot open a KV: @deno/kv is not installed", {
      hint: "npm install @deno/kv, or pass a KV that you have opened.",
      cause,
    });
  });
  return async (path) => {
    const kv: unknown = await openKv(path);
    if (isKvClient(kv)) return kv;
    throw new Error("the installed @deno/kv is of another version");
  };
}

function cannotOpen(path: string, cause: unknown): DispatchError {
  const [message] = messageOf(cause).split("\n");
  const denied = (cause as { name?: unknown }).name === "NotCapable" ||
    (cause as { name?: unknown }).name === "PermissionDenied";
  const isUrl = /^https?:\/\//i.test(path);
  const hint = denied && !/os error|permission denied \(/i.test(message)
    ? isUrl
      ? "Allow Deno to reach it: --allow-net, and --allow-env for DENO_KV_ACCESS_TOKEN."
      : `Allow Deno both: --allow-read=${path} --allow-write=${path}`
    : isUrl
    ? "Is the server up, and DENO_KV_ACCESS_TOKEN its token?"
    : "The folder must be there and be writable; the file is made by itself.";
  return new DispatchError("store_unreachable", `Cannot open the KV ${path}: ${message}`, {
    hint,
    cause,
  });
}
