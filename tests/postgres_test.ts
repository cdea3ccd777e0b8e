import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import { createDatabase, rootOf, RUN, startServer } from "./postgres.ts";
import { until } from "./sql/suite/helpers.ts";

const here = (path: string) => new URL(path, import.meta.url).href;

async function isAlive(pid: number): Promise<boolean> {
  const { success } = await new Deno.Command("sh", {
    args: ["-c", `kill -0 ${pid}`],
    stderr: "null",
  }).output();
  return success;
}

describe("startServer()", () => {
  it("runs PostgreSQL 18 with its own defaults, in UTF-8 and the C locale", async () => {
    await using database = await createDatabase();
    const sql = postgres(database.url, { max: 1 });
    const [settings] = await sql`select
      current_setting('server_version_num')::int4 / 10000 as version,
      current_setting('fsync') as fsync,
      current_setting('synchronous_commit') as synchronous_commit,
      current_setting('server_encoding') as encoding,
      current_setting('shared_buffers') as shared_buffers,
      (select datcollate from pg_database where datname = current_database()) as collate`;
    await sql.end();
    if (Deno.env.get("DATABASE_URL")) return;
    assertEquals({ ...settings }, {
      version: 18,
      fsync: "on",
      synchronous_commit: "on",
      encoding: "UTF8",
      shared_buffers: "128MB",
      collate: "C",
    });
  });

  it("is one for a process, however often it is asked for", async () => {
    const servers = await Promise.all([startServer(), startServer(), startServer()]);
    assertEquals(new Set(servers.map(({ url }) => url)).size, 1);
  });

  it("leaves nothing behind when its process is killed", async () => {
    const script = await Deno.makeTempFile({ suffix: ".ts" });
    await Deno.writeTextFile(
      script,
      `import { startServer } from "${here("./postgres.ts")}";
      console.log((await startServer()).pid, Deno.env.get("${RUN}"));
      setInterval(() => {}, 1000);`,
    );
    const flags = [
      `--config=${new URL("../deno.json", import.meta.url).pathname}`,
      `--import-map=${here("../scripts/npm_imports.json")}`,
    ];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", "--no-check", "--no-lock", ...flags, script],
      env: { DATABASE_URL: "", [RUN]: "" },
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    const [pid, run] = new TextDecoder().decode(value).trim().split(" ");
    const server = Number(pid);
    assert(await isAlive(server), "the server runs");
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    await Deno.remove(script);
    await until(async () => !await isAlive(server), "the server is gone");
    await until(() => Deno.stat(rootOf(run)).then(() => false, () => true), "its files are gone");
  });
});
