import { waits } from "./migrations/001_parts.ts";
import { keyholder } from "./migrations/002_tables.ts";

/** The texts of the statements, built once for each store: clients prepare them by their text. */
export function statements(s: string) {
  const columns = `(id, run_at, timeout_ms, created_at, updated_at, priority, max_retries,
    state, queue, name, payload, unique_key, labels)`;
  const now = "coalesce($1::text::int8, (extract(epoch from clock_timestamp()) * 1000)::int8)";
  // A column that is the same for all jobs is sent once: unnest fills up with nulls.
  const enqueue = (rest: string, then: string) => `
with first as materialized (
  select ${now} as t, ($3::text::text[])[1] as name, ($4::text::text[])[1] as queue,
    ($5::text::int4[])[1] as priority, ($7::text::int4[])[1] as max_retries,
    ($8::text::int8[])[1] as timeout_ms, ($9::text::int8[])[1] as delay
), jobs as (
  select i.id, coalesce(i.run_at, t + coalesce(i.delay, f.delay)) as run_at, t, i.payload,
    coalesce(i.name, f.name) as name, coalesce(i.queue, f.queue) as queue,
    coalesce(i.priority, f.priority) as priority, i.unique_key, i.labels,
    coalesce(i.max_retries, f.max_retries) as max_retries,
    coalesce(i.timeout_ms, f.timeout_ms) as timeout_ms
  from first f, unnest($2::text::uuid[], $3::text::text[], $4::text::text[], $5::text::int4[],
    $6::text::text[], $7::text::int4[], $8::text::int8[], $9::text::int8[], $10::text::int8[],
    $11::text::text[], $12::text::text[])
    i (id, name, queue, priority, payload, max_retries, timeout_ms, delay, run_at, unique_key, labels)
), added as (
  insert into ${s}.jobs ${columns}
  select id, run_at, timeout_ms, t, t, priority, max_retries,
    case when run_at <= t then 'w' else 'f' end, queue, name, payload, unique_key, labels
  from jobs
  ${rest}
), told as (
  insert into ${s}.tallies (queue, state, n) ${then}`;
  const enqueueOne = (then: string) => `
with told as (
  insert into ${s}.tallies (queue, state, n) values ($4::text, 'p', 1)
)
insert into ${s}.jobs (id, run_at, timeout_ms, created_at, updated_at, priority, max_retries,
  state, queue, name, payload)
select $1::text::uuid, t, 0, t, t, 0, 3, 'w', $4::text, $3::text, $2::text
from (select (extract(epoch from clock_timestamp()) * 1000)::int8 as t offset 0) moment
returning created_at as t${then}`;
  const told = "(select pg_notify($5::text, $4::text)::text) as told";
  return {
    /** A single job with the default options: each parameter more took 4 µs. */
    enqueueOne: enqueueOne(""),
    enqueueAndTell: enqueueOne(`, ${told}`),
    /** Whose commit does not wait for the disk: for `Database.ahead`. */
    enqueueAhead: enqueueOne(
      `, ${told}, (select set_config('synchronous_commit', 'off', true)) as ahead`,
    ),
    /** Writes next to nothing, for its commit to wait for the disk. */
    flush: `insert into ${s}.tallies (queue, state, n) values ($1::text, 'p', 0)`,
    /** Jobs that differ in nothing but payload: 50 of them in two thirds of the time. */
    enqueueAlike: `
with moment as materialized (select ${now} as t), added as (
  insert into ${s}.jobs ${columns}
  select i.id, t + $9::text::int8, $8::text::int8, t, t, $6::int4, $7::int4,
    case when $9::text::int8 <= 0 then 'w' else 'f' end, $5::text, $4::text, i.payload, null, null
  from moment, unnest($2::text::uuid[], $3::text::text[]) i (id, payload)
), told as (
  insert into ${s}.tallies (queue, state, n) values ($5::text, 'p', $11::int4)
) select t, (select pg_notify($10::text, $5::text)::text where $10::text is not null) as told
from moment`,
    enqueue: enqueue(
      "",
      `select q, 'p', n from unnest($13::text::text[], $14::text::int8[]) c (q, n)
) select t from first`,
    ),
    enqueueUnique: enqueue(
      `where id <> all ((select ${s}.those_running($2::text::uuid[]))::uuid[])
  on conflict do nothing returning id, queue`,
      `select queue, 'p', count(*) from added group by queue
) select t, added, ${s}.refuse_running(added)::text as refused
from (select t, (select string_agg(id::text, ',') from added) as added from first offset 0) a`,
    ),
    holders: `select r.*, h.ord::int4 as ord
from unnest($1::text::text[], $2::text::text[], $3::text::uuid[]) with ordinality h (name, key, id, ord)
cross join lateral (
  (select x.id from ${s}.records x where x.id = h.id limit 1)
  union all (select j.id from ${s}.jobs j where ${keyholder("j.name")} = ${keyholder("h.name")}
    and j.unique_key = h.key limit 1) limit 1
) j cross join lateral (select * from ${s}.records r where r.id = j.id limit 1) r`,
    claim: `select * from ${s}.claim($1::text::int8, $2::text, $3::text::text[], $4::text::text[],
  $5::int4, $6::text::int8, $7::bool, $8::int4)`,
    nextDue:
      `select ${s}.next_due($1::text::int8, $2::text::text[], $3::text::text[], $4::int4) as due`,
    complete: `select * from ${s}.complete($1::text::int8, $2::text::uuid[], $3::text::uuid[],
  $4::text::int8[], $5::text::text[])`,
    settle: `select * from ${s}.settle($1::text::int8, $2::text::uuid[], $3::text::int8[],
  $4::text::text[], $5::text::text[], $6::text::int8[], $7::int4)`,
    extend: `select * from ${s}.extend($1::text::int8, $2::text::uuid[], $3::text::int8[],
  $4::text::text[], $5::text::int8)`,
    rescue: `select * from ${s}.rescue_jobs($1::text::int8, $2::int4, $3::int4, $4::text)`,
    cancel: `select * from ${s}.cancel_job($1::text::int8, $2::text::uuid)`,
    retry: `select * from ${s}.retry_job($1::text::int8, $2::text::uuid)`,
    remove: `select case when not exists (select 1 from ${s}.jobs j
  where j.id = $1::text::uuid and ${
      waits("j.")
    } and j.name like 'workflow/%') then ${s}.remove($1::text::uuid)
  else false end as removed`,
    replay: `select * from ${s}.replay($1::text::int8, $2::text::uuid, $3::text::uuid)`,
    prune:
      `select ${s}.prune($1::text::int8, $2::text::text[], $3::text::int8[], $4::int4) as pruned,
  ${s}.fold()`,
    fold: `select ${s}.fold()`,
    get: `select r.* from unnest($1::text::uuid[]) i (id)
cross join lateral (select * from ${s}.records r where r.id = i.id limit 1) r`,
    counts:
      `select state, sum(n)::int8 as n, count(*)::int4 as parts from ${s}.tallies group by state`,
    queues: `select q.name, s.paused, s.concurrency, q.state, q.n from (
  select queue as name, state, sum(n)::int8 as n from ${s}.tallies group by queue, state
  having sum(n) <> 0
  union all select name, null, 0 from ${s}.queues where paused or concurrency is not null
) q left join ${s}.queues s on s.name = q.name order by q.name`,
    configure: `select ${s}.configure($1::text, $2::bool, $3::bool, $4::int4)::text as done`,
    letter: `select * from ${s}.letters where id = $1::text::uuid`,
    letters: `select * from ${s}.letters where ${LETTERS}
  and ($6::text is null or (failed_at, id) < ($6::text::int8, $7::text::uuid))
order by failed_at desc, id desc limit $8::int4 offset $9::int4`,
    countLetters: `select count(*)::int4 as n from ${s}.letters where ${LETTERS}`,
    purgeLetters: `delete from ${s}.letters where ctid = any (array(
  select ctid from ${s}.letters where ${LETTERS}
  order by failed_at limit $6::int4 for update skip locked)) returning 1 as one`,
    /** A page of jobs, out of where jobs in that state are, or out of everywhere. */
    list: (state: keyof typeof IN_STATE | undefined) => {
      const ids = ([from, where]: readonly [string, string], page: string) =>
        `(select id from ${s}.${from} where ${where} and ${JOBS} order by id desc ${page})`;
      const page = "limit $4::int4 offset $5::int4";
      const found = state !== undefined
        ? ids(IN_STATE[state], page)
        : `(select id from (${
          ANYWHERE.map((place) => ids(place, "limit $4::int4 + $5::int4")).join(" union all ")
        }) a order by id desc ${page})`;
      return `select r.* from ${found} f
cross join lateral (select * from ${s}.records r where r.id = f.id limit 1) r order by r.id desc`;
    },
  };
}

/** The texts of one store. */
export type Statements = ReturnType<typeof statements>;

const JOBS = `($1::text is null or queue = $1::text) and ($2::text is null or name = $2::text)
  and ($3::text is null or id < $3::text::uuid)`;

const LETTERS = `($2::text is null or queue = $2::text) and ($3::text is null or name = $3::text)
  and ($4::bool is null or (replayed_at is not null) = $4::bool)
  and ($5::text is null or failed_at < $5::text::int8
    + coalesce($1::text::int8, (extract(epoch from clock_timestamp()) * 1000)::int8))`;

/** Where jobs are: each in one of these. */
const ANYWHERE = [["jobs", waits()], ["jobs", "state = 'r'"], ["finished", "true"]] as const;

/** Which table has the jobs of a state, and which of its rows they are. */
const IN_STATE = {
  pending: ["jobs", `${waits()} and retry_count = 0`],
  retrying: ["jobs", `${waits()} and retry_count > 0`],
  running: ["jobs", "state = 'r'"],
  completed: ["finished", "state = 'c'"],
  failed: ["finished", "state = 'd' and state <> 'c'"],
  cancelled: ["finished", "state = 'x' and state <> 'c'"],
} as const;
