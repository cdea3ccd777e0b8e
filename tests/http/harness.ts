import type { Hono } from "@hono/hono";
import { assertEquals, assertRejects } from "@std/assert";
import { constant } from "../../src/core/backoff.ts";
import { type Logger, silentLogger } from "../../src/core/logger.ts";
import type { Job } from "../../src/core/job.ts";
import { defineJob } from "../../src/engine/definition.ts";
import { Engine } from "../../src/engine/engine.ts";
import type { EngineOptions } from "../../src/engine/options.ts";
import { type AppOptions, createApp } from "../../src/http/app.ts";
import type { Health } from "../../src/http/health.ts";
import { memoryStore } from "../../src/store/memory/store.ts";

/** Where the API is in these tests. */
export const BASE = "/api/dispatch";

/** Well-formed identifiers that no record has. */
export const NO_JOB = "job_01jd0gxm6te4fs5b9v3q8n2kzr";
export const NO_LETTER = "dlq_01jd0gxm6te4fs5b9v3q8n2kzr";

export const HEALTHY: Health = {
  status: "ok",
  store: "memory",
  durable: false,
  latencyMs: 0.4,
  version: "1.2.3",
};

export const Echo = defineJob({ name: "echo", handler: (input: unknown) => ({ echo: input }) });
export const Fail = defineJob({
  name: "fail",
  maxRetries: 0,
  handler: (_input: unknown) => {
    throw new Error("the mail server said no");
  },
});
export const FailOnce = defineJob({
  name: "fail_once",
  backoff: constant("1h"),
  handler: (_input: unknown) => {
    throw new Error("not yet");
  },
});

/** An API before a started engine, and short ways to ask it. */
export interface Api extends AsyncDisposable {
  readonly engine: Engine;
  readonly app: Hono;
  get(path: string, headers?: HeadersInit): Promise<Response>;
  /** With a body that is an object it sends JSON; a text is sent as it is. */
  post(path: string, body?: unknown, headers?: HeadersInit): Promise<Response>;
  /** A job that ended in the dead letters. */
  dead(input?: unknown, options?: Parameters<Engine["enqueue"]>[2]): Promise<Job>;
}

export async function serve(
  options: Partial<AppOptions> & { engineOptions?: EngineOptions } = {},
): Promise<Api> {
  const { engineOptions, ...appOptions } = options;
  const engine = new Engine({ logger: silentLogger, ...engineOptions });
  engine.register(Echo, Fail, FailOnce);
  await engine.start(memoryStore());
  const app = createApp({
    engine,
    basePath: BASE,
    health: () => Promise.resolve(HEALTHY),
    logger: silentLogger,
    ...appOptions,
  });
  const get = async (path: string, headers?: HeadersInit) =>
    await app.request(BASE + path, { headers });
  const post = async (path: string, body?: unknown, headers?: HeadersInit) =>
    await app.request(BASE + path, {
      method: "POST",
      headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
      body: body === undefined || typeof body === "string" ? body : JSON.stringify(body),
    });
  const dead = async (input: unknown = null, rest = {}) => {
    const job = await engine.enqueue(Fail, input, rest);
    await assertRejects(() => engine.result(job.id));
    return job;
  };
  return { engine, app, get, post, dead, [Symbol.asyncDispose]: () => engine.stop() };
}

/** Asserts an error answer, and returns its body. */
export async function assertProblem(
  response: Response,
  status: number,
  code: string,
): Promise<{ error: string; code: string; hint: string }> {
  const body = await response.json();
  assertEquals({ status: response.status, code: body.code }, { status, code }, body.error);
  assertEquals(Object.keys(body), ["error", "code", "hint"]);
  assertEquals(response.headers.get("Content-Type"), "application/json");
  return body;
}

/** A logger that keeps what it is told. */
export function listeningLogger(): Logger & { readonly errors: unknown[][] } {
  const errors: unknown[][] = [];
  return { ...silentLogger, errors, error: (...entry) => void errors.push(entry) };
}
