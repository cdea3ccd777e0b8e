/**
 * The limit: a process with bare statements over postgres.js, no engine, which obeys as those of the
 * systems do. `minimal` drains a table with nothing but what a claim needs; `same` runs the functions
 * of the store in a bare loop.
 */

import postgres from "postgres";
import { obey, time } from "./obey.ts";

const [url] = Deno.args;
// Loaded and connected, as the systems are.
const sql = postgres(url, { max: 4, fetch_types: false, onnotice: () => {} });
await sql.unsafe("select 1");

const TABLE = `
drop table if exists raw;
create table raw (id uuid primary key, queue text not null, priority int not null default 0,
  run_at timestamptz not null default now(), state text not null default 'pending', payload text,
  finished_at timestamptz);
create index on raw (queue, priority desc, run_at, id) where state = 'pending';`;
const PAYLOAD = '"{\\"n\\":1}"';

const INSERT = `insert into raw (id, queue, payload)
  select i, 'default', p from unnest($1::text::uuid[], $2::text::text[]) u (i, p)`;

function insert(count: number): Promise<unknown> {
  const ids = Array.from({ length: count }, () => crypto.randomUUID()).join();
  const payloads = Array.from({ length: count }, () => PAYLOAD).join();
  return sql.unsafe(INSERT, [`{${ids}}`, `{${payloads}}`], { prepare: true });
}

async function single(n: number): Promise<void> {
  const text = "insert into raw (id, queue, payload) values ($1::uuid, 'default', $2)";
  for (let i = 0; i < n; i++) {
    await sql.unsafe(text, [crypto.randomUUID(), '{"n":1}'], { prepare: true });
  }
}

/** 50 callers who await each insert; what comes during one goes with the next. */
async function coalesced(n: number): Promise<void> {
  let waiting: (() => void)[] = [];
  let busy = false;
  async function flush() {
    busy = true;
    await undefined;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await insert(batch.length);
      for (const resolve of batch) resolve();
    }
    busy = false;
  }
  const call = () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (!busy) void flush();
    });
  await Promise.all(Array.from({ length: 50 }, async () => {
    for (let i = 0; i < n / 50; i++) await call();
  }));
}

async function bulk(n: number): Promise<void> {
  for (let i = 0; i < n; i += 1000) await insert(1000);
}

/** Two loops of claim 500 and complete. */
async function drain(
  claim: () => Promise<readonly { id: string; token?: string }[]>,
  settle: (rows: readonly { id: string; token?: string }[]) => Promise<unknown>,
): Promise<void> {
  const loop = async () => {
    for (let rows = await claim(); rows.length > 0; rows = await claim()) await settle(rows);
  };
  await Promise.all([loop(), loop()]);
}

function minimal(): Promise<void> {
  const query = (text: string, params: string[] = []) =>
    sql.unsafe(text, params, { prepare: true }) as unknown as Promise<{ id: string }[]>;
  return drain(
    () =>
      query(`update raw set state = 'running' where id = any (array(
        select id from raw where queue = 'default' and state = 'pending'
        order by priority desc, run_at, id limit 500 for update skip locked)) returning id, payload`),
    (rows) =>
      query(
        "update raw set state = 'completed', finished_at = now() where id = any ($1::text::uuid[])",
        [`{${rows.map(({ id }) => id).join()}}`],
      ),
  );
}

/** Jobs of the name `noop` must be there. */
function same(): Promise<void> {
  const query = (text: string, params: (string | null)[]) =>
    sql.unsafe(text, params, { prepare: true }) as unknown as Promise<
      { jobs: string; token: string }[]
    >;
  return drain(
    async () => {
      const [{ jobs, token }] = await query(
        "select jobs, token from dispatch.claim(null, $1, '{default}', '{noop}', 500, 30000, false, 2)",
        ["raw"],
      );
      return jobs.split("\x1e").slice(0, -1).map((job) => ({ id: job.split("\x1f")[2], token }));
    },
    (rows) =>
      query(
        "select * from dispatch.complete(null, $1::text::uuid[], $2::text::uuid[], $3::text::int8[], null)",
        [`{${rows.map(({ id }) => id).join()}}`, `{${rows[0].id}}`, `{${rows[0].token}}`],
      ),
  );
}

await obey<{ n: number }>({
  setup: () => sql.unsafe(TABLE).then(() => null),
  one: ({ n }) => time(() => single(n)),
  fifty: ({ n }) => time(() => coalesced(n)),
  many: ({ n }) => time(() => bulk(n)),
  minimal: () => time(minimal),
  same: () => time(same),
  stop: () => Promise.resolve(Deno.exit(0)),
});
