/** A connection that listens. */
export interface ListenConnection {
  /** Resolves once it is lost. */
  readonly lost: Promise<void>;
  /** Fails where the connection is gone without anybody having said so. */
  ping(): Promise<unknown>;
  /** Ends it; never fails. */
  close(): Promise<unknown>;
}

/** A peer that vanished without a word is noticed after at most so long. */
export const PING_MS = 60_000;
const ANSWER_MS = 10_000;
const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 5_000;

/**
 * Keeps a listening connection open: connects, and connects again when it was lost, waiting 50 ms
 * up to 5 s in between, with jitter. Returns how to stop.
 */
export function listener(
  connect: () => Promise<ListenConnection>,
  onListening: () => void,
): () => Promise<void> {
  let stop!: () => void;
  let stopped = false;
  const stopping = new Promise<void>((resolve) => {
    stop = () => ((stopped = true), resolve());
  });
  const run = async () => {
    for (let failures = 0; !stopped;) {
      try {
        const connection = await connect();
        failures = 0;
        if (!stopped) onListening();
        await hold(connection, stopping);
      } catch {
        failures++; // the store's own statements tell what is wrong
      }
      const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** failures);
      if (!stopped) await wait(delay * (0.5 + Math.random() / 2), stopping);
    }
  };
  const ended = run();
  return () => (stop(), ended);
}

/** Returns when the connection is lost or to be stopped, by when it is closed. */
async function hold(connection: ListenConnection, stopping: Promise<void>): Promise<void> {
  const until = Promise.race([connection.lost, stopping]).then(() => true);
  while (!await wait(PING_MS, until)) {
    const answered = await wait(ANSWER_MS, connection.ping().then(() => true, () => false));
    if (!answered) break;
  }
  await connection.close();
}

/** Waits for a promise, at most so long; tells what it said, `false` where it did not. */
async function wait(ms: number, promise: Promise<boolean | void>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([promise.then((said) => said === true), late]);
  } finally {
    clearTimeout(timer);
  }
}
