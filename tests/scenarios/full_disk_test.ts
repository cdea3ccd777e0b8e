/**
 * A full disk: a tablespace on a file system of a few megabytes, which a file fills up. Mounting one
 * takes root; where that may not be done, a trigger raises the error of a full disk instead.
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import { createDatabase, type OwnServer, startOwnServer } from "../postgres.ts";
import { Load, pause, until } from "./load.ts";

/** Takes the room away, and gives it back. */
interface Disk extends AsyncDisposable {
  /** A database on it. */
  readonly url: string;
  fill(): Promise<void>;
  clear(): Promise<void>;
}

async function sh(script: string): Promise<boolean> {
  const { success } = await new Deno.Command("sh", { args: ["-c", script], stderr: "null" })
    .output();
  return success;
}

/** A small file system, with a database on it; `null` where none may be mounted. */
async function smallDisk(server: OwnServer): Promise<Disk | null> {
  const place = `${server.root}/small`;
  const mounted = Deno.uid() === 0 && await sh(
    `mkdir "${place}" && mount -t tmpfs -o size=40m,mode=777 tmpfs "${place}" && mkdir -m 777 "${place}/space"
     chown nobody "${place}/space" 2>/dev/null || chown 65534:65534 "${place}/space"`,
  );
  if (!mounted) return null;
  const sql = postgres(server.url, { max: 1, onnotice() {} });
  try {
    await sql.unsafe(`create tablespace small location '${place}/space'`);
    await sql.unsafe("create database on_small template template0 tablespace small");
  } catch (error) {
    await sh(`umount -l "${place}"`);
    throw error;
  } finally {
    await sql.end();
  }
  const url = new URL(server.url);
  url.pathname = "/on_small";
  return {
    url: url.href,
    fill: async () => assertEquals(await sh(`cat /dev/zero >"${place}/filler"`), false),
    clear: () => Deno.remove(`${place}/filler`),
    async [Symbol.asyncDispose]() {
      await server.stop("immediate").catch(() => {});
      await sh(`umount -l "${place}"`);
    },
  };
}

/** A database whose tables of jobs take no new rows for a while, as it looks from outside. */
async function refusingDisk(server: OwnServer): Promise<Disk> {
  const database = await createDatabase(server);
  const sql = postgres(database.url, { max: 1, onnotice() {} });
  const tables = ["jobs", "finished"];
  return {
    url: database.url,
    async fill() {
      await sql.unsafe(`create or replace function refuse() returns trigger language plpgsql as $$
        begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
        ${
        tables.map((table) =>
          `create trigger no_room before insert or update on dispatch.${table} execute function refuse();`
        ).join("")
      }`);
    },
    async clear() {
      await sql.unsafe(
        tables.map((table) => `drop trigger no_room on dispatch.${table};`).join(""),
      );
    },
    async [Symbol.asyncDispose]() {
      await sql.end();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** Fills the disk under load, and makes room again. */
async function survives(disk: Disk): Promise<void> {
  await using load = new Load(disk.url);
  await load.start(20);
  await load.works();
  const before = load.log.lines.length;
  await disk.fill();
  await until("enqueueing is refused", () => load.errors.length > 100);
  await pause(1500);
  await disk.clear();
  const errors = load.errors.length;
  await load.works(200);
  await load.verify();
  for (const error of load.errors.slice(0, errors)) {
    assertEquals([error.sqlState, error.code], ["53100", "store_unreachable"], error.message);
  }
  const lines = load.log.lines.slice(before).map(({ message }) => message);
  assert(lines.length <= 30, lines.join("\n"));
}

describe("a full disk under the database", () => {
  it("loses and doubles no job, and work goes on when there is room again (a tablespace on a small file system, or where none may be mounted a trigger that refuses)", async () => {
    await using server = await startOwnServer();
    await using disk = await smallDisk(server) ?? await refusingDisk(server);
    await survives(disk);
  });

  it("is survived as well when it shows with every write, settlements included (a trigger that refuses)", async () => {
    await using server = await startOwnServer();
    await using disk = await refusingDisk(server);
    await survives(disk);
  });
});
