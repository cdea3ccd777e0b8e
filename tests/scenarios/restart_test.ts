import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createDatabase, startOwnServer } from "../postgres.ts";
import { startProxy } from "../sql/proxy.ts";
import { Load, pause, until } from "./load.ts";

describe("a restart of PostgreSQL under load", () => {
  for (
    const [how, outageMs] of [["fast", 500], ["immediate", 5000]] as const
  ) {
    it(`of ${outageMs} ms (${how}) loses and doubles nothing, and is told once`, async () => {
      await using server = await startOwnServer();
      await using database = await createDatabase(server);
      await using proxy = startProxy(database.url);
      await using load = new Load(proxy.url);
      await load.start(20);
      await load.works();
      const before = { attempts: proxy.attempts, lines: load.log.lines.length };
      await server.stop(how);
      await pause(outageMs);
      await until("health is red", () => load.health.at(-1) === "error");
      const ranBefore = load.ranAt;
      await server.start();
      await until("jobs are run again", () => load.ranAt > ranBefore);
      await until("health is green", () => load.health.at(-1) === "ok");
      assertEquals(load.health, ["ok", "error", "ok"]);
      await load.works();
      await load.verify();
      assert(load.errors.length > 0, "nobody noticed");
      for (const { code, transient } of load.errors) {
        assertEquals([code, transient], ["store_unreachable", true]);
      }
      // The pool of 10 and the listener open anew; the rest are attempts while nobody was there.
      const attempts = proxy.attempts - before.attempts;
      assert(attempts <= 11 + 20, `${attempts} connections were attempted`);
      const lines = load.log.lines.slice(before.lines);
      assert(lines.length <= 20, lines.map(({ message }) => message).join("\n"));
      assertEquals(load.log.count("database connection lost"), 1);
    });
  }
});
