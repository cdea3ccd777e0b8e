import type { Clock } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { Health } from "../http/health.ts";
import type { Store } from "../store/store.ts";
import { VERSION } from "../core/version.ts";

/** A store that takes longer to answer than that counts as down. */
const PING_LIMIT_MS = 2000;

/** Asks a store whether it is there. It never rejects and never takes longer than 2 s. */
export async function pingStore(store: Store, clock: Clock): Promise<Health> {
  const about = { store: store.name, durable: store.durable, version: VERSION };
  const start = clock.now();
  let disarm = () => {};
  const tooLong = new Promise<never>((_resolve, reject) => {
    disarm = clock.after(
      PING_LIMIT_MS,
      () => reject(new Error(`Cannot reach the store: no answer within ${PING_LIMIT_MS} ms`)),
    );
  });
  try {
    await Promise.race([store.ping(), tooLong]);
    return { status: "ok", latencyMs: Math.max(0, clock.now() - start), ...about };
  } catch (error) {
    return { status: "error", latencyMs: null, error: messageOf(error), ...about };
  } finally {
    disarm();
  }
}

/** What there is to say where no store is open. */
export function noStore(why: string): Health {
  return {
    status: "error",
    store: "none",
    durable: false,
    latencyMs: null,
    error: why,
    version: VERSION,
  };
}
