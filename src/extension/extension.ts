/**
 * An extension's life: `new` → `start()` → running → `stop()` → stopped, for good. A start that
 * fails lets go of what it opened and leaves the extension `new`; a stop that comes during a start
 * waits for its end.
 */

import { Hono } from "@hono/hono";
import { DispatchError, messageOf } from "../core/errors.ts";
import { VERSION } from "../core/version.ts";
import { Engine } from "../engine/engine.ts";
import { createApp } from "../http/app.ts";
import type { Health } from "../http/health.ts";
import {
  chooseStore,
  type OpenedStore,
  OPENERS,
  type Openers,
  storeWarning,
} from "./choose_store.ts";
import type { Environment } from "./database_url.ts";
import { type AnyHono, provideEngine } from "./engine_from.ts";
import { noStore, pingStore } from "./health.ts";
import { type ExtensionOptions, type ExtensionSettings, readExtensionOptions } from "./options.ts";
import { placeInConfig } from "./place.ts";
import { asyncAmbient } from "./runtime.ts";

export type { ExtensionOptions } from "./options.ts";

/** An engine, its routes, and its life. Made by {@link createExtension}. */
export interface Extension extends AsyncDisposable {
  /** Always `"dispatch"`. */
  readonly name: "dispatch";
  /** Version of this package. */
  readonly version: string;
  /** Takes and runs jobs. It is there at once; definitions may be registered before or after start. */
  readonly engine: Engine;
  /** Every route, already under `basePath`: `app.fetch` serves it alone. */
  readonly app: Hono;
  /** Prefix of every route: starts with "/", and does not end with one unless it is "/". */
  readonly basePath: string;
  /**
   * Opens the store, migrates it, and starts to work. Calls while it starts, or after, share one
   * start; after one that failed, the next call tries again.
   *
   * @throws {DispatchError} `stopped`, `unknown_database`, `unknown_kv`, `store_not_available`, and
   * whatever the store throws
   */
  start(): Promise<void>;
  /**
   * Takes no more jobs, waits for those that run, gives back what is not done, and closes what
   * `start` opened: a store that was passed in as `store` stays open. Safe to call at any time and
   * any number of times; an extension that was stopped does not start again.
   */
  stop(): Promise<void>;
  /** Pings the store, for at most 2 s. It never rejects: what is wrong is in the answer. */
  health(): Promise<Health>;
  /**
   * Serves the routes from a Hono app and has `engineFrom(c)` find the engine in every handler of
   * it, added before or after. Calling it again for the same app does nothing.
   *
   * @throws {DispatchError} `invalid_option` for what is no Hono app, `wrong_state` for one that has
   * served a request already
   */
  // deno-lint-ignore no-explicit-any -- only any accepts the types of every app
  register(host: Hono<any, any, any>): void;
}

/**
 * Makes an extension: options are checked, configuration is read, engine and routes are there. No
 * store is opened and nothing runs before `start()`.
 *
 * The store is `store`; else the database that `groveDatabase` names; else the KV that `groveKv`
 * names; else one in memory, which is gone when the process ends.
 *
 * @throws {DispatchError} `invalid_option`, `invalid_concurrency`, `invalid_queue`,
 * `invalid_duration`, `duplicate_job`, `duplicate_workflow`; about the configuration `config_syntax`,
 * `config_unknown_key`, `config_wrong_type`, `config_invalid_value`, `config_unreadable`,
 * `config_not_found`
 *
 * @example
 * ```ts
 * import { createExtension, defineJob } from "@dispatch/dispatch";
 * import { Hono } from "@hono/hono";
 *
 * const Welcome = defineJob({ name: "welcome", handler: (input: { to: string }) => input.to });
 *
 * const app = new Hono();
 * await using ext = createExtension({ jobs: [Welcome], concurrency: 20, config: false });
 * ext.register(app);
 * await ext.start();
 * await ext.engine.enqueue(Welcome, { to: "ada@example.com" });
 * ```
 */
export function createExtension(options: ExtensionOptions = {}): Extension {
  return new DispatchExtension(options);
}

/** What an extension stands on, which tests replace. */
export interface Surroundings {
  /** Where configuration is looked for. Default `""`, the working directory. */
  directory?: string;
  /** What makes stores of what is registered. */
  openers?: Openers;
  /** Where variables are read. Default: the process. */
  environment?: Environment;
}

/** What {@link createExtension} makes. */
export class DispatchExtension implements Extension {
  readonly name = "dispatch";
  readonly version: string = VERSION;
  readonly engine: Engine;
  readonly app: Hono;
  readonly basePath: string;
  readonly #settings: ExtensionSettings;
  readonly #surroundings: { openers: Openers; environment?: Environment };
  readonly #hosts = new WeakSet<AnyHono>();
  #opened: OpenedStore | null = null;
  #starting: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;

  constructor(
    options: ExtensionOptions,
    { directory = "", openers = OPENERS, environment }: Surroundings = {},
  ) {
    const settings = readExtensionOptions(options, directory);
    const { basePath, logger, auth } = settings;
    this.#settings = settings;
    this.#surroundings = { openers, environment };
    this.basePath = basePath;
    this.engine = makeEngine(settings);
    this.engine.register(...settings.jobs, ...settings.workflows);
    const health = () => this.health();
    this.app = settings.disableRoutes
      ? new Hono()
      : createApp({ engine: this.engine, basePath, auth, health, logger });
  }

  start(): Promise<void> {
    if (this.#stopping !== null) {
      return Promise.reject(
        new DispatchError("stopped", "Cannot start: the extension was stopped"),
      );
    }
    return this.#starting ??= this.#start().catch((error) => {
      this.#starting = null;
      // Where nobody catches it Deno prints the message alone: what to do about it belongs to it.
      const { code, hint } = error instanceof DispatchError ? error : {};
      this.#settings.logger.error("could not start", { error, code, hint });
      throw error;
    });
  }

  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  // deno-lint-ignore require-await -- nothing in here may throw, whatever a store does
  async health(): Promise<Health> {
    if (this.#stopping !== null) return noStore("The extension was stopped");
    if (this.#opened === null) return noStore("The extension has not been started");
    return pingStore(this.#opened.store, this.#settings.clock);
  }

  register(host: AnyHono): void {
    if (this.#hosts.has(host)) return;
    provideEngine(host, this.engine);
    host.route("/", this.app);
    this.#hosts.add(host);
  }

  async #start(): Promise<void> {
    const { disableMigrate, logger } = this.#settings;
    const opened = await chooseStore(this.#settings, this.#surroundings);
    try {
      if (disableMigrate) await opened.store.checkSchema?.();
      else await opened.store.migrate();
      await this.engine.start(opened.store);
    } catch (error) {
      await opened.close().catch((problem) =>
        logger.warn("cannot close the store", { error: messageOf(problem) })
      );
      throw error;
    }
    this.#opened = opened;
    this.#report(opened);
  }

  async #stop(): Promise<void> {
    await this.#starting?.catch(() => {}); // told to whoever called start()
    try {
      await this.engine.stop();
    } finally {
      await this.#opened?.close();
    }
    if (this.#opened !== null) this.#settings.logger.info("stopped");
  }

  /** Says once what someone who reads the log of a start should know. */
  #report({ store }: OpenedStore): void {
    const { logger, disableRoutes, auth, basePath, source } = this.#settings;
    logger.info("started", {
      version: VERSION,
      store: store.name,
      config: source ?? undefined,
    });
    const warning = storeWarning(this.#settings);
    if (warning !== null) logger.warn(warning);
    if (!disableRoutes && auth === undefined) {
      logger.warn(`the routes under ${basePath} are open to everyone: set \`auth\``);
    }
  }
}

/** Options that are fine by themselves may not go together: then YAML may be what to change. */
function makeEngine(settings: ExtensionSettings): Engine {
  try {
    return new Engine(settings, asyncAmbient());
  } catch (error) {
    const keys = settings.fromConfig
      .filter((name) => name === "heartbeatInterval" || name === "leaseDuration");
    if (!(error instanceof DispatchError) || settings.source === null || keys.length === 0) {
      throw error;
    }
    const place = placeInConfig(settings.source, "");
    throw placeInConfig(settings.source, keys.map(place.spell).join(" and ")).invalid(error);
  }
}
