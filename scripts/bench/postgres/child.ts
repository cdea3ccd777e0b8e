/** Processes that the benchmark gives orders to, one JSON text a line. */

const PEERS = new URL("../peers/", import.meta.url);

/** A system under test: how a process of it is started, and how to see that nothing is left. */
export interface System {
  readonly name: string;
  readonly command: (url: string) => Promise<[string, string[]]>;
  /** Returns a row while a job is not finished. */
  readonly unfinished: string;
}

/** One whose processes are a file of this folder. */
const own = (name: string, file: string, unfinished: string): System => ({
  name,
  command: (url) =>
    Promise.resolve([Deno.execPath(), [
      ...["run", "-A", "--quiet", "--no-check", "--import-map=scripts/npm_imports.json"],
      ...[`scripts/bench/postgres/${file}`, url],
    ]]),
  unfinished,
});

const JOBS = "select 1 from dispatch.jobs limit 1";

export const dispatch = own("Dispatch", "dispatch.ts", JOBS);
/** Dispatch as it runs workflows. */
export const dispatchFlows = own("Dispatch", "flows.ts", JOBS);
/** The statements alone. */
export const raw = own("raw", "raw.ts", "select 1 from raw where state <> 'completed' limit 1");

/** A peer as it runs workflows. */
export const flowPeer = (
  name: string,
  system: string,
  unfinished: string,
  argument = "",
): System => ({
  name,
  command: async (url) => [await node(), [`${PEERS.pathname}flows.mjs`, system, url, argument]],
  unfinished,
});

const peer = (name: string, system: string, setting: string, unfinished: string): System => ({
  name,
  command: async (url) => [await node(), [`${PEERS.pathname}peer.mjs`, system, setting, url]],
  unfinished,
});

export const graphileTuned = peer(
  "graphile-worker, tuned",
  "graphile-worker",
  "tuned",
  "select 1 from graphile_worker._private_jobs limit 1",
);
export const graphileDefault = {
  ...peer("graphile-worker, defaults", "graphile-worker", "default", graphileTuned.unfinished),
};
export const pgBoss = peer(
  "pg-boss, tuned",
  "pg-boss",
  "tuned",
  "select 1 from pgboss.job where name = 'noop' and state < 'completed' limit 1",
);

/** The Node that the peers need, out of npm; installed with them, again when the list of them changed. */
async function node(): Promise<string> {
  const find = async () => {
    for await (const { name } of Deno.readDir(new URL("node_modules", PEERS))) {
      if (name.startsWith("node-")) return `${PEERS.pathname}node_modules/${name}/bin/node`;
    }
    throw new Error("There is no Node for this platform among the peers' packages");
  };
  const changed = async (path: string) =>
    (await Deno.stat(new URL(path, PEERS)).catch(() => null))?.mtime?.getTime() ?? 0;
  if (await changed("node_modules/.package-lock.json") < await changed("package.json")) {
    const npm = new Deno.Command("npm", { args: ["install", "--no-audit"], cwd: PEERS });
    const { success, stderr } = await npm.output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }
  return await find();
}

/** A process that obeys. */
export class Child {
  readonly #process: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #rest = "";

  private constructor(process: Deno.ChildProcess) {
    this.#process = process;
    this.#writer = process.stdin.getWriter();
    this.#reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  static async start(system: System, url: string): Promise<Child> {
    const [program, args] = await system.command(url);
    const command = new Deno.Command(program, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    });
    return new Child(command.spawn());
  }

  /** Gives an order and waits until it is carried out. */
  async do<Result = null>(order: string, options: Record<string, unknown> = {}): Promise<Result> {
    const line = JSON.stringify({ do: order, ...options }) + "\n";
    await this.#writer.write(new TextEncoder().encode(line));
    while (!this.#rest.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`The process ended during ${order}`);
      this.#rest += value;
    }
    const end = this.#rest.indexOf("\n");
    const answer = this.#rest.slice(0, end);
    this.#rest = this.#rest.slice(end + 1);
    return JSON.parse(answer).result;
  }

  async stop(): Promise<void> {
    await this.#writer.write(new TextEncoder().encode('{"do":"stop"}\n'));
    await this.#writer.close().catch(() => {});
    await this.#reader.cancel().catch(() => {});
    await this.#process.status;
  }
}
