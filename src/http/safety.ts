import type { MiddlewareHandler } from "@hono/hono";
import { bodyLimit } from "@hono/hono/body-limit";
import { csrf } from "@hono/hono/csrf";
import { secureHeaders } from "@hono/hono/secure-headers";
import { DispatchError } from "../core/errors.ts";

/** Headers of every answer: nothing is cached, and as a page it may load, run or embed nothing. */
export function safeHeaders(): MiddlewareHandler {
  const secure = secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    },
    xFrameOptions: "DENY",
    // Both would bind the whole host, of which this is a guest.
    strictTransportSecurity: false,
    originAgentCluster: false,
  });
  return async (c, next) => {
    await secure(c, next);
    c.header("Cache-Control", "no-store");
  };
}

/**
 * Refuses what a page of another origin can have a browser send without asking: forms, and
 * requests without a content type. Browsers name the origin of such requests; what names none is
 * no browser, and has no cookies of someone else to abuse.
 */
export function sameOrigin(): MiddlewareHandler {
  const check = csrf();
  return (c, next) =>
    c.req.header("Sec-Fetch-Site") === undefined && c.req.header("Origin") === undefined
      ? next()
      : check(c, next);
}

/** Refuses bodies over a limit, without reading them further. */
export function smallBody(maxBytes: number): MiddlewareHandler {
  return bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new DispatchError(
        "body_too_large",
        `Cannot read the body: it has more than ${maxBytes} bytes`,
      );
    },
  });
}
