import { assertEquals } from "@std/assert";
import type { SqlDriver } from "../../../src/sql/driver.ts";
import type { Case } from "../suite.ts";
import { kill, until } from "./helpers.ts";

interface Heard {
  readonly payloads: string[];
  times: number;
  stop(): Promise<void>;
}

async function listen(driver: SqlDriver, channel: string): Promise<Heard> {
  const heard: Heard = { payloads: [], times: 0, stop: () => Promise.resolve() };
  heard.stop = driver.listen!(
    channel,
    (payload) => heard.payloads.push(payload),
    () => heard.times++,
  );
  await until(() => heard.times === 1, "it listens");
  return heard;
}

const notify = (driver: SqlDriver, channel: string, payload: string) =>
  driver.query("select pg_notify($1::text, $2::text)::text as sent", [channel, payload]);

export const listenCases: readonly Case[] = [
  {
    name: "hears what is notified on its channel, and nothing else",
    async run({ driver }, { table }) {
      const channel = `${table}.Default:Ünïcode`;
      const heard = await listen(driver, channel);
      await notify(driver, `${table} other`, "not this");
      await notify(driver, channel, "one");
      await notify(driver, channel, "two 🙂");
      await driver.transaction(async (tx) => {
        await tx.query("select pg_notify($1::text, 'three')::text as sent", [channel]);
      });
      await until(() => heard.payloads.length === 3, "three notifications");
      assertEquals(heard.payloads, ["one", "two 🙂", "three"]);
      await heard.stop();
      await notify(driver, channel, "after the end");
      await new Promise((resolve) => setTimeout(resolve, 50));
      assertEquals(heard.payloads.length, 3);
    },
  },
  {
    name: "listens to many channels at once",
    async run({ driver }, { table }) {
      const all = await Promise.all([1, 2, 3].map((i) => listen(driver, `${table}_${i}`)));
      await all[1].stop();
      for (const i of [1, 2, 3]) await notify(driver, `${table}_${i}`, `${i}`);
      const heard = (i: number) => all[i].payloads.length === 1;
      await until(() => heard(0) && heard(2), "both notifications");
      assertEquals(all.map(({ payloads }) => payloads), [["1"], [], ["3"]]);
      await Promise.all(all.map(({ stop }) => stop()));
    },
  },
  {
    name: "listens again after its connection was killed, and says so",
    async run({ driver }, { table, url }) {
      const heard = await listen(driver, table);
      for (const times of [2, 3]) {
        await kill(url);
        await until(() => heard.times === times, "it listens again");
        await until(() => notify(driver, table, `${times}`).then(() => true, () => false), "sent");
        await until(() => heard.payloads.includes(`${times}`), "the notification");
      }
      await heard.stop();
    },
  },
];
