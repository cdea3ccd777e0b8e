/**
 * The limit: bare statements over postgres.js, no engine. `minimal` is a table with nothing but what a
 * claim needs; `same` are the functions of the store in a bare loop.
 */

import postgres from "postgres";
import { perSecond } from "../figures.ts";

type Sql = ReturnType<typeof postgres>;

const TABLE = `
create table raw (id uuid primary key, queue text not null, priority int not null default 0,
  run_at timestamptz not null default now(), state text not null default 'pending', payload text,
  finished_at timestamptz);
create index on raw (queue, priority desc, run_at, id) where state = 'pending';`;
const PAYLOAD = '"{\\"n\\":1}"';

export async function withRaw<T>(url: string, work: (sql: Sql) => Promise<T>): Promise<T> {
  const sql = postgres(url, { max: 4, fetch_types: false, onnotice: () => {} });
  try {
    await sql.unsafe("drop table if exists raw");
    await sql.unsafe(TABLE);
    return await work(sql);
  } finally {
    await sql.end();
  }
}

const INSERT = `insert into raw (id, queue, payload)
  select i, 'default', p from unnest($1::text::uuid[], $2::text::text[]) u (i, p)`;

function insert(sql: Sql, count: number): Promise<unknown> {
  const ids = Array.from({ length: count }, () => crypto.randomUUID()).join();
  const payloads = Array.from({ length: count }, () => PAYLOAD).join();
  return sql.unsafe(INSERT, [`{${ids}}`, `{${payloads}}`], { prepare: true });
}

async function rate(count: number, work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return perSecond(count, performance.now() - start);
}

export function single(sql: Sql, n: number): Promise<number> {
  const text = "insert into raw (id, queue, payload) values ($1::uuid, 'default', $2)";
  return rate(n, async () => {
    for (let i = 0; i < n; i++) {
      await sql.unsafe(text, [crypto.randomUUID(), '{"n":1}'], { prepare: true });
    }
  });
}

/** 50 callers who await each insert; what comes during one goes with the next. */
export function coalesced(sql: Sql, n: number): Promise<number> {
  let waiting: (() => void)[] = [];
  let busy = false;
  async function flush() {
    busy = true;
    await undefined;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await insert(sql, batch.length);
      for (const resolve of batch) resolve();
    }
    busy = false;
  }
  const call = () =>
    new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (!busy) void flush();
    });
  return rate(n, () =>
    Promise.all(Array.from({ length: 50 }, async () => {
      for (let i = 0; i < n / 50; i++) await call();
    })));
}

export function bulk(sql: Sql, n: number): Promise<number> {
  return rate(n, async () => {
    for (let i = 0; i < n; i += 1000) await insert(sql, 1000);
  });
}

/** Two loops of claim 500 and complete. */
function drain(
  n: number,
  claim: () => Promise<readonly { id: string; token?: string }[]>,
  settle: (rows: readonly { id: string; token?: string }[]) => Promise<unknown>,
): Promise<number> {
  const loop = async () => {
    for (let rows = await claim(); rows.length > 0; rows = await claim()) await settle(rows);
  };
  return rate(n, () => Promise.all([loop(), loop()]));
}

export async function minimal(sql: Sql, n: number): Promise<number> {
  await bulk(sql, n);
  const query = (text: string, params: string[] = []) =>
    sql.unsafe(text, params, { prepare: true }) as unknown as Promise<{ id: string }[]>;
  return await drain(
    n,
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
export function same(sql: Sql, n: number): Promise<number> {
  const query = (text: string, params: (string | null)[]) =>
    sql.unsafe(text, params, { prepare: true }) as unknown as Promise<
      { jobs: string; token: string }[]
    >;
  return drain(
    n,
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
