import { type Clock, type EpochMs, systemClock } from "../../core/clock.ts";
import { DispatchError } from "../../core/errors.ts";
import type { KvAtomic, KvClient, KvEntry, KvKey, KvListOptions, KvSelector } from "./client.ts";
import type { Draft } from "./draft.ts";
import { failureOf, isLocked } from "./failure.ts";
import type { Format, Stored } from "./format.ts";
import { Keys } from "./keys.ts";

/** More are refused by `getMany`. */
const MAX_READS = 10;
/** Checks that native Deno takes in one commit, and those that everything else does. */
const CHECKS = { many: 100, few: 10 } as const;
/** How long a commit is tried while others hold the lock, in real time. */
const LOCKED_MS = 10_000;
/** Tries of what others keep getting in the way of. */
const MAX_TRIES = 200;
/** Fewer, where each takes long: after so many, for so long in real time, it is given up. */
const SLOW_TRIES = 20;
const SLOW_MS = 15_000;

/** One installation in a KV, and how it is read and written. */
export class Database {
  readonly keys: Keys;
  readonly clock: Clock;
  /** Called with what was written. */
  onWritten: (draft: Draft, versionstamp: string) => void = () => {};
  readonly #open: () => Promise<KvClient>;
  #kv: Promise<KvClient> | null = null;
  #maxChecks: Promise<number> | null = null;

  constructor(prefix: string, clock: Clock | undefined, open: () => Promise<KvClient>) {
    this.keys = new Keys(prefix);
    this.clock = clock ?? systemClock;
    this.#open = open;
  }

  now(): EpochMs {
    return this.clock.held ?? Math.floor(this.clock.now());
  }

  /** Opened with the first use, and again if that failed. */
  kv(): Promise<KvClient> {
    this.#kv ??= this.#open().catch((error) => {
      this.#kv = null;
      throw error;
    });
    return this.#kv;
  }

  async get(key: KvKey): Promise<KvEntry> {
    try {
      return await (await this.kv()).get(key);
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** Reads any number of keys; those of a group, of which each has `size`, are of one moment. */
  async getMany(keys: readonly KvKey[], size = 1): Promise<KvEntry[]> {
    try {
      const kv = await this.kv();
      const reads: Promise<KvEntry[]>[] = [];
      const step = MAX_READS - MAX_READS % size;
      for (let at = 0; at < keys.length; at += step) {
        reads.push(kv.getMany(keys.slice(at, at + step)));
      }
      return reads.length === 1 ? await reads[0] : (await Promise.all(reads)).flat();
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** Reads keys in their order, `batchSize` at a time. */
  async *list(selector: KvSelector, options: KvListOptions = {}): AsyncGenerator<KvEntry> {
    try {
      yield* (await this.kv()).list(selector, options);
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** At most 500 keys as they are at one moment. */
  async page(selector: KvSelector, limit: number, reverse = false): Promise<KvEntry[]> {
    const entries: KvEntry[] = [];
    const batchSize = Math.min(limit, 500);
    for await (const entry of this.list(selector, { limit, batchSize, reverse })) {
      entries.push(entry);
    }
    return entries;
  }

  /** The record with the fields that lie beside it. */
  complete<Kept extends object>(
    format: Format<Kept>,
    id: string,
    stored: Stored<Kept>,
  ): Promise<Stored<Kept>> | Stored<Kept> {
    if (stored.pieces === null) return stored;
    return format.complete(stored, async (field, count) => {
      const keys = Array.from({ length: count }, (_, n) => this.keys.piece(id, field, n));
      return (await this.getMany(keys)).map(({ value }) => value ?? new Uint8Array());
    });
  }

  /** Writes it all. Returns its versionstamp, or `null` where a check failed. */
  async commit(draft: Draft, now: EpochMs = this.now()): Promise<string | null> {
    const versionstamp = await this.#locked(async (kv) => {
      const op = kv.atomic();
      draft.applyTo(op, this.keys, now);
      return await op.commit();
    });
    if (versionstamp !== null) this.onWritten(draft, versionstamp);
    return versionstamp;
  }

  /** Commits an operation to which a draft was added. */
  async commitOperation(commit: KvAtomic["commit"], draft: Draft): Promise<string | null> {
    const versionstamp = await this.#locked(() => commit());
    if (versionstamp !== null) this.onWritten(draft, versionstamp);
    return versionstamp;
  }

  /**
   * Repeats what may be in vain because others write at the same time: `attempt` reads, commits, and
   * returns `null` where a check has failed.
   *
   * @throws {DispatchError} `store_unreachable` where it never succeeds
   */
  async insist<Result>(attempt: () => Promise<Result | null>): Promise<Result> {
    const start = performance.now();
    for (let tries = 1;; tries++) {
      const result = await attempt();
      if (result !== null) return result;
      const slow = tries >= SLOW_TRIES && performance.now() - start > SLOW_MS;
      if (slow || tries === MAX_TRIES) {
        throw new DispatchError(
          "store_unreachable",
          `Cannot write to the KV: others were faster ${tries} times`,
        );
      }
      if (tries > 2) await pause(2 ** Math.min(tries - 1, 5));
    }
  }

  /** Checks that one commit may have: found out by asking for one more than the fewer. */
  maxChecks(): Promise<number> {
    this.#maxChecks ??= this.#probe().catch((error) => {
      this.#maxChecks = null;
      throw error;
    });
    return this.#maxChecks;
  }

  async close(): Promise<void> {
    const kv = this.#kv;
    this.#kv = null;
    (await kv?.catch(() => null))?.close();
  }

  async #probe(): Promise<number> {
    try {
      await this.#locked((kv) => {
        const op = kv.atomic();
        for (let n = 0; n <= CHECKS.few; n++) {
          op.check({ key: this.keys.section("x", "probe", n), versionstamp: null });
        }
        return op.commit();
      });
      return CHECKS.many;
    } catch (error) {
      if (error instanceof DispatchError) throw error;
      return CHECKS.few;
    }
  }

  /** Commits, again and again while another process holds the lock. */
  async #locked(
    commit: (kv: KvClient) => Promise<{ ok: true; versionstamp: string } | { ok: false }>,
  ): Promise<string | null> {
    try {
      const kv = await this.kv();
      const start = performance.now();
      for (let tries = 0;; tries++) {
        try {
          const result = await commit(kv);
          return result.ok ? result.versionstamp : null;
        } catch (error) {
          if (!isLocked(error) || performance.now() - start > LOCKED_MS) throw error;
          await pause(2 ** Math.min(tries + 2, 6));
        }
      }
    } catch (error) {
      throw failureOf(error);
    }
  }
}

/** Real time, and jittered: those that got into each other's way must not come back together. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * ms));
}
