/** The name under which a job holds its unique key. */
export const keyholder = (name: string): string =>
  `(case when ${name} like 'workflow/%' then regexp_replace(${name}, '@[0-9]+$', '') else ${name} end)`;

/**
 * The tables of version 2: what runs of workflows have beside their jobs. A run that nobody has
 * started as a child, and that neither failed nor undid anything, has no row in `flows`.
 *
 *     flows   what a run has beside its job, under the job's id
 *     steps   what is remembered of steps; `state` is `o` open, `c` completed, `d` failed
 *     waits   open steps by the events that they wait for; the key is '' where there is none
 *     events  events that are kept; `run` is null for those that are for all
 */
export const tables = (s: string): string => `
create table ${s}.flows (
  id uuid not null,
  parent uuid,
  since int8,
  parent_position int4,
  rewind_step int4,
  rewind_from int4,
  compensating bool not null default false,
  cause text,
  constraint flows_pkey primary key (id)
);
create index flows_children on ${s}.flows (parent) where parent is not null;
create index flows_compensating on ${s}.flows (id) where compensating;

create table ${s}.steps (
  run uuid not null,
  child uuid,
  event uuid,
  started_at int8 not null,
  ended_at int8,
  until int8,
  position int4 not null,
  seq int4,
  attempt int4 not null,
  state "char" not null,
  kind text not null,
  name text not null,
  key text,
  events text,
  result text,
  failure text,
  constraint steps_pkey primary key (run, position)
);
-- What the code was not given yet: few rows, and none of a run that neither sleeps nor waits.
create index steps_pending on ${s}.steps (run, position) where seq is null;
create index steps_event on ${s}.steps (run, event) where event is not null;

create table ${s}.waits (
  run uuid not null,
  position int4 not null,
  name text collate "C" not null,
  key text collate "C" not null,
  constraint waits_pkey primary key (name, key, run, position)
);
create index waits_step on ${s}.waits (run, position);

create table ${s}.events (
  ord int8 generated always as identity,
  id uuid not null,
  run uuid,
  created_at int8 not null,
  delivered int4 not null default 0,
  name text collate "C" not null,
  key text collate "C" not null,
  idempotency_key text collate "C",
  payload text not null,
  constraint events_pkey primary key (id)
);
create index events_topic on ${s}.events (name, key, ord) where run is null;
create index events_run on ${s}.events (run, ord) where run is not null;
create index events_age on ${s}.events (created_at);
create unique index events_once on ${s}.events
  (coalesce(run, '00000000-0000-0000-0000-000000000000'), name, idempotency_key)
  where idempotency_key is not null;

-- Runs among all that ended. Among unfinished jobs they have no index of their own: each start and each
-- claim would pay for it, a tenth of what a start costs.
create index finished_runs on ${s}.finished (id) where name like 'workflow/%';

-- The versions of a workflow share their unique keys.
drop index ${s}.jobs_unique;
create unique index jobs_unique on ${s}.jobs (${keyholder("name")}, unique_key)
  where unique_key is not null;

create view ${s}.runs as
  select r.*, coalesce(f.compensating, false) as compensating, f.cause, f.parent,
    coalesce(f.since, r.created_at) as since
  from ${s}.records r left join ${s}.flows f on f.id = r.id
  where r.name like 'workflow/%';
`;
