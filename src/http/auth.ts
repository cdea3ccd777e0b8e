import type { MiddlewareHandler } from "@hono/hono";
import { bearerAuth } from "@hono/hono/bearer-auth";
import { DispatchError } from "../core/errors.ts";

/** Who is let in: whom a middleware calls `next` for, or who sends one of these bearer tokens. */
export type Auth = MiddlewareHandler | {
  /** One token, or several, so that one can be replaced by the next. */
  bearer: string | string[];
};

/** What a bearer token consists of (RFC 6750, section 2.1); no other could ever be presented. */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;

/**
 * Makes the middleware that guards the routes.
 *
 * @throws {DispatchError} `invalid_option` for a missing, empty or impossible token: an unset
 * variable of the environment must not open the API
 */
export function authenticate(auth: Auth): MiddlewareHandler {
  if (typeof auth === "function") return auth;
  const tokens = [auth?.bearer].flat();
  const fits = tokens.length > 0 &&
    tokens.every((token) => typeof token === "string" && TOKEN.test(token));
  if (fits) return bearerAuth({ token: tokens, realm: "dispatch" });
  throw new DispatchError("invalid_option", "Cannot use auth: a bearer token is missing or unfit", {
    hint: "Expected a Hono middleware, or { bearer } with one or more tokens of A-Z a-z 0-9 ._~+/-",
  });
}
