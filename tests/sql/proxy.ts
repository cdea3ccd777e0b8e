/** A way to a server that can be broken in the ways in which networks and servers break. */

/** What happens to connections. */
export type Weather =
  | "fair"
  /** Nobody listens: those that are open break, new ones are refused. */
  | "refusing"
  /** New ones are closed at once without a word, as by a proxy whose server is gone. */
  | "closing"
  /** Nothing comes through any more, and nobody says so. */
  | "silent";

/** A proxy in front of a server. */
export interface Proxy extends AsyncDisposable {
  /** The server's URL by way of the proxy. */
  readonly url: string;
  /** How many connections have been attempted that it could see. */
  readonly attempts: number;
  /** Changes the weather. */
  set(weather: Weather): Promise<void>;
}

/** Starts a proxy. */
export function startProxy(to: string): Proxy {
  const target = new URL(to);
  const server = { hostname: target.hostname, port: Number(target.port) };
  let weather: Weather = "fair";
  let attempts = 0;
  let listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  const open = new Set<Deno.Conn>();
  const running = new Set<Promise<void>>();

  async function pump(from: Deno.Conn, into: Deno.Conn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let n; (n = await from.read(buffer)) !== null;) {
        for (let at = 0; weather === "fair" && at < n;) {
          at += await into.write(buffer.subarray(at, n));
        }
      }
    } catch {
      // closed from either side
    }
    if (weather !== "silent") close(into);
    close(from);
  }

  function close(connection: Deno.Conn): void {
    if (!open.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // it is closed
    }
  }

  async function serve(client: Deno.Conn): Promise<void> {
    attempts++;
    open.add(client);
    if (weather === "closing") return close(client);
    const upstream = await Deno.connect(server).catch(() => null);
    if (upstream === null) return close(client);
    open.add(upstream);
    await Promise.all([pump(client, upstream), pump(upstream, client)]);
  }

  function accept(): void {
    const task = (async () => {
      for await (const client of listener) {
        const served = serve(client).catch(() => {});
        running.add(served);
        void served.finally(() => running.delete(served));
      }
    })().catch(() => {});
    running.add(task);
    void task.finally(() => running.delete(task));
  }
  accept();

  target.hostname = "127.0.0.1";
  target.port = String(port);
  return {
    url: target.href,
    get attempts() {
      return attempts;
    },
    async set(next) {
      if (weather === "refusing") {
        listener = Deno.listen({ hostname: "127.0.0.1", port });
        accept();
      }
      weather = next;
      if (next === "refusing") listener.close();
      if (next === "refusing" || next === "closing") open.forEach(close);
      await Promise.resolve();
    },
    async [Symbol.asyncDispose]() {
      if (weather !== "refusing") listener.close();
      weather = "refusing";
      open.forEach(close);
      await Promise.all(running);
    },
  };
}
