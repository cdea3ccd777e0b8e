/** What goes wrong with a KV, told apart and said clearly. */

import { DispatchError, messageOf } from "../../core/errors.ts";

/**
 * True where another process was writing. Such a commit has changed nothing (measured on both clients:
 * what was acknowledged was there, and nothing else), so it may be made again.
 */
export function isLocked(error: unknown): boolean {
  return /database (?:table )?is locked|SQLITE_BUSY/i.test(messageOf(error));
}

/** The error for an unsuccessful call, or the one that it raised. */
export function failureOf(error: unknown): unknown {
  if (error instanceof DispatchError) return error;
  const [message] = messageOf(error).split("\n"); // that of npm goes on with a stack
  const is = (pattern: RegExp) => pattern.test(message);
  if (is(/bad resource|database is closed|already closed|is closed/i)) {
    return new DispatchError("store_unreachable", "Cannot use the KV: its handle was closed", {
      hint: "Close a handle of yours after the extension has stopped, or pass a path instead.",
      cause: error,
    });
  }
  if (isLocked(error)) {
    return new DispatchError(
      "store_unreachable",
      "Cannot write to the KV: other processes have kept it locked for too long",
      {
        hint: "Fewer processes, or larger batches; see the README on several processes.",
        cause: error,
      },
    );
  }
  if (is(/readonly database|read-only/i)) {
    return new DispatchError("store_unreachable", `Cannot write to the KV: ${message}`, {
      hint: "Its file, or the folder it is in, may not be written to by this user.",
      cause: error,
    });
  }
  if (is(/disk|i\/o error|malformed|not a database|connect|network|fetch|timed out/i)) {
    return new DispatchError("store_unreachable", `Cannot reach the KV: ${message}`, {
      cause: error,
    });
  }
  return error;
}
