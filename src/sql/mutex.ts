/** Runs one piece of work after another, in the order of the calls. */
export type Mutex = <T>(work: () => Promise<T>) => Promise<T>;

/** For clients with one connection, which a transaction needs for itself. */
export function createMutex(): Mutex {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const run = last.then(work);
    last = run.catch(() => {});
    return run;
  };
}
