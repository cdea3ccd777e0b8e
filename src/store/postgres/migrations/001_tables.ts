import { waits } from "./001_parts.ts";

/** What the view of records has of unfinished jobs; the condition names an index of ids. */
const unfinished = (s: string, state: string, which: string): string =>
  `select id, name, queue, ${state} as state,
    priority, payload, max_retries, timeout_ms, unique_key, labels, run_at, attempt, retry_count,
    crashes, failure, null::text as result, progress, cancel_requested, worker_id, created_at,
    updated_at, started_at, null::int8 as completed_at, heartbeat_at
  from ${s}.jobs where ${which}`;

/**
 * The tables of version 1.
 *
 *     jobs         unfinished jobs only: what claims read stays small, however long the history
 *     finished     jobs that ended; a row arrives when one is settled, and goes when it is pruned
 *     completions  which jobs completed together, and when: by that they are pruned
 *     letters      dead letters, which outlive their jobs
 *     queues       settings; a queue of which nothing is set has no row
 *     tallies      counts, as differences that are added up and now and then folded together
 *
 * A completed job is deleted from `jobs` and inserted into `finished` in one statement. A bare loop
 * drained 80,000 jobs a second so, 69,000 out of one table with partial indexes; above all vacuum
 * reads no history for it.
 *
 * Moments are int8 milliseconds since 1970, identifiers uuids (16 bytes in three indexes, where the
 * TypeID takes 31), JSON is text as it was given. `state` in jobs: `f` waits for its moment, `w` is
 * ready, `s` is ready and suspected of a crash loop, `r` is running; in finished: `c` completed, `d`
 * dead, `x` cancelled; in tallies also `p` pending and `y` retrying.
 */
export const tables = (s: string): string => `
create table ${s}.jobs (
  id uuid not null,
  token int8 not null default 0,
  run_at int8 not null,
  lease_until int8,
  timeout_ms int8 not null,
  created_at int8 not null,
  updated_at int8 not null,
  started_at int8,
  heartbeat_at int8,
  priority int4 not null,
  attempt int4 not null default 0,
  retry_count int4 not null default 0,
  max_retries int4 not null,
  crashes int4 not null default 0,
  state "char" not null,
  cancel_requested bool not null default false,
  queue text collate "C" not null,
  name text collate "C" not null,
  payload text not null,
  worker_id text,
  unique_key text collate "C",
  labels text,
  failure text,
  progress text
) with (
  -- A claim and a settlement leave two dead rows for each job: vacuum after thousands, not after a
  -- fifth of the table, and without naps.
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
  autovacuum_analyze_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0
);
-- The order of claims. One probe for each queue and name: jobs that nobody here can run are not read.
create index jobs_ready on ${s}.jobs (queue, name, state, priority desc, run_at, id)
  where state in ('w', 's');
-- Jobs that are not due stand apart, or a million of a high priority would be read by every claim.
create index jobs_future on ${s}.jobs (queue, name, run_at) where state = 'f';
-- By their ids jobs stand in two indexes, those that run apart. In one, for all, a claim would make a
-- second entry beside the one of an index of running jobs: an eighth of what claims and ends cost.
create unique index jobs_waiting on ${s}.jobs (id) where ${waits()};
-- No column of it changes when a lease is extended, so that heartbeats are heap-only updates; rescues
-- read all of it, which is as much as runs at the moment.
create index jobs_running on ${s}.jobs (id) where state = 'r';
-- Those that are retried, for lists, are few among all that wait.
create index jobs_retrying on ${s}.jobs (id) where retry_count > 0;
create unique index jobs_unique on ${s}.jobs (name, unique_key) where unique_key is not null;

create table ${s}.finished (
  id uuid not null,
  token int8 not null,
  run_at int8 not null,
  timeout_ms int8 not null,
  created_at int8 not null,
  started_at int8,
  heartbeat_at int8,
  completed_at int8 not null,
  priority int4 not null,
  attempt int4 not null,
  retry_count int4 not null,
  max_retries int4 not null,
  crashes int4 not null,
  state "char" not null,
  queue text collate "C" not null,
  name text collate "C" not null,
  payload text not null,
  worker_id text,
  unique_key text collate "C",
  labels text,
  failure text,
  progress text,
  result text,
  constraint finished_pkey primary key (id)
) with (
  autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.1
);
-- The few that failed or were cancelled are found without reading past all that completed.
create index finished_failed on ${s}.finished (state, id) where state <> 'c';
create index finished_failed_at on ${s}.finished (state, completed_at) where state <> 'c';

-- A row for each statement that completed jobs. An index of the moments in finished had an entry for
-- each job, a tenth of what ends cost. What names a job that was removed or retried since does no harm.
create table ${s}.completions (
  completed_at int8 not null,
  ids uuid[] not null
);
alter table ${s}.completions alter ids set storage external;
create index completions_age on ${s}.completions (completed_at);

create table ${s}.letters (
  id uuid not null,
  timeout_ms int8 not null,
  failed_at int8 not null,
  replayed_at int8,
  created_at int8 not null,
  priority int4 not null,
  max_retries int4 not null,
  retry_count int4 not null,
  queue text collate "C" not null,
  name text collate "C" not null,
  payload text not null,
  unique_key text collate "C",
  labels text,
  failure text not null,
  constraint letters_pkey primary key (id)
);
create index letters_failed_at on ${s}.letters (failed_at, id);

create table ${s}.queues (
  name text collate "C" not null,
  paused bool not null default false,
  concurrency int4,
  -- Where that is limited: what runs, and what has run until the last claim.
  running uuid[] not null default '{}',
  constraint queues_pkey primary key (name)
);

create table ${s}.tallies (
  n int8 not null,
  state "char" not null,
  queue text collate "C" not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- Without it a publication of all tables has the database refuse updates and deletes of these.
alter table ${s}.jobs replica identity full;
alter table ${s}.completions replica identity full;
alter table ${s}.tallies replica identity full;

-- Jobs as the port knows them, whichever table they are in.
create view ${s}.records as
  ${unfinished(s, "'running'", "state = 'r'")}
  union all
  ${unfinished(s, "case when retry_count > 0 then 'retrying' else 'pending' end", waits())}
  union all
  select id, name, queue,
    case state when 'c' then 'completed' when 'd' then 'failed' else 'cancelled' end,
    priority, payload, max_retries, timeout_ms, unique_key, labels, run_at, attempt, retry_count,
    crashes, failure, result, progress, false, worker_id, created_at,
    completed_at, started_at, completed_at, heartbeat_at
  from ${s}.finished;
`;
