import { DispatchError } from "../core/errors.ts";

/**
 * Brings the prefix of the routes into one form: it starts with "/" and does not end with one, but
 * for "/" itself. What a router would read as a pattern is refused, so that it stays a prefix.
 *
 * @param what how an error calls it
 * @throws {DispatchError} `invalid_option`
 */
export function parseBasePath(path: string, what: string): string {
  if (!path.startsWith("/")) throw refused(path, what, 'it must start with "/"');
  const special = /[*:?#{}\\\s\p{Cc}]/u.exec(path);
  if (special !== null) throw refused(path, what, `it holds ${JSON.stringify(special[0])}`);
  const trimmed = path.replace(/\/+$/, "");
  for (const segment of trimmed.split("/").slice(1)) {
    if (["", ".", ".."].includes(segment)) {
      throw refused(path, what, "one of its segments is empty or dots");
    }
  }
  return trimmed || "/";
}

function refused(path: string, what: string, why: string): DispatchError {
  return new DispatchError(
    "invalid_option",
    `Cannot use ${JSON.stringify(path)} as ${what}: ${why}`,
    {
      hint: 'A base path looks like "/api/dispatch"; "/" serves the routes at the root.',
    },
  );
}
