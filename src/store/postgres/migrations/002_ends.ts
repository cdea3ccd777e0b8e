import {
  HELD,
  heldJob,
  NOW,
  PINNED,
  PINNED_BY_ID,
  unfinished,
  WAITING,
  waits,
  withId,
} from "./001_parts.ts";

/**
 * A job that is not due becomes ready. The cast keeps the planner off the index of those, where it
 * takes that to be empty: it read a million of them for each event and each end of a child.
 */
export const wake = (s: string, id: string): string => `
  update ${s}.jobs j set run_at = t, updated_at = t,
    state = case when j.crashes >= p_suspect_at then 's' else 'w' end::"char"
  where j.id = ${id} and ${waits("j.")} and j.state::text = 'f' and j.run_at > t`;

/** Jobs that were counted as running wait; `changed` has their queues and retries. */
const nowWaiting = (s: string): string => `
  insert into ${s}.tallies (queue, state, n)
  select queue, state, sum(n) from (
    select queue, ${WAITING} as state, 1 as n from changed
    union all select queue, 'r', -1 from changed
  ) changes group by queue, state`;

/**
 * What the end of a job means for a run, however the job ends: a row that arrives in `finished` tells
 * the parent, and a tree that is cancelled falls. A trigger does it, so that no function of version 1
 * has to know; for jobs that are no runs its condition is all that is evaluated. Its plans are pinned by
 * the functions that end jobs: to pin them anew for each row took longer than all that it does.
 *
 * Whoever ends runs first locks all rows of `jobs` that this may reach, in the order of their ids
 * (`lock_runs`): two that locked them as they came to them would wait for each other.
 */
export const ends = (s: string): string => `
-- Locks those of some jobs that are unfinished, in the order of their ids.
create function ${s}.lock_jobs(p_ids uuid[]) returns void
language plpgsql ${PINNED_BY_ID} as $$
begin
  perform 1 from ${s}.jobs j where ${withId("= any (p_ids)")} order by j.id for update;
end $$;

-- Locks runs, their parents, and the trees below those that are to fall.
create function ${s}.lock_runs(p_ids uuid[], p_falling uuid[]) returns void
language plpgsql ${PINNED} as $$
begin
  if cardinality(p_falling) > 0 then
    p_ids := p_ids || array(with recursive tree as (
      select f.id from ${s}.flows f where f.parent = any (p_falling)
      union all select f.id from tree t
        cross join lateral (select c.id from ${s}.flows c where c.parent = t.id offset 0) f
    ) select id from tree);
  end if;
  perform ${s}.lock_jobs(array(select i.id from unnest(p_ids) i (id) union
    select (select f.parent from ${s}.flows f where f.id = i.id) from unnest(p_ids) i (id)));
end $$;

create function ${s}.run_ended() returns trigger language plpgsql as $$
declare
  t int8 := new.completed_at;
  p_suspect_at int4 := 2;
  flow ${s}.flows;
  child record;
begin
  delete from ${s}.waits w where w.run = new.id;
  select * into flow from ${s}.flows f where f.id = new.id;
  if flow.compensating and new.state = 'c' then
    update ${s}.flows f set compensating = false where f.id = new.id;
  end if;
  if flow.parent_position is not null then
    perform ${s}.lock_job(flow.parent);
    update ${s}.steps p set ended_at = t, until = null,
      state = case new.state when 'c' then 'c' else 'd' end::"char",
      result = case new.state when 'c' then new.result end,
      failure = case new.state when 'c' then null
        when 'x' then json_build_object('code', 'cancelled', 'message',
          coalesce(new.failure::json ->> 'message', 'The run was cancelled'))::text
        else new.failure end
    where p.run = flow.parent and p.position = flow.parent_position and p.child = new.id
      and p.state = 'o';
    if found then
      ${wake(s, "flow.parent")};
    end if;
  end if;
  if new.state = 'x' then
    for child in select c.id from (select f.id from ${s}.flows f
      where f.parent = new.id and not f.compensating offset 0) c order by c.id loop
      update ${s}.jobs j set failure =
        '{"code":"cancelled","message":"Its parent was cancelled"}'
      where j.id = child.id and ${waits("j.")};
      perform ${s}.cancel(t, child.id);
    end loop;
  end if;
  return null;
end $$;
create trigger run_ended after insert on ${s}.finished
  for each row when (new.name like 'workflow/%') execute function ${s}.run_ended();

-- A run that was removed or pruned; one that is retried has gone back to jobs in the same statement.
create function ${s}.run_gone() returns trigger language plpgsql as $$
begin
  if not exists ${unfinished(s, "1", "old.id")} then
    delete from ${s}.steps where run = old.id;
    delete from ${s}.events where run = old.id;
    delete from ${s}.flows where id = old.id;
  end if;
  return null;
end $$;
create trigger run_gone after delete on ${s}.finished
  for each row when (old.name like 'workflow/%') execute function ${s}.run_gone();

-- Forgets steps; children that they wait for are cancelled.
create function ${s}.forget(p_now int8, p_run uuid, p_positions int4[]) returns void
language plpgsql ${PINNED} as $$
declare
  child uuid;
begin
  delete from ${s}.waits w where w.run = p_run and w.position = any (p_positions);
  for child in with gone as (
    delete from ${s}.steps c where c.run = p_run and c.position = any (p_positions)
    returning c.child, c.state
  ) select g.child from gone g where g.state = 'o' and g.child is not null
      and not exists (select 1 from ${s}.flows f where f.id = g.child and f.compensating)
    order by g.child
  loop
    perform ${s}.cancel(p_now, child);
  end loop;
end $$;

-- As settle, for runs; without kinds as complete, all of them in order and each once.
create function ${s}.settle_runs(p_now int8, p_ids uuid[], p_tokens int8[], p_data text[],
  p_kinds text[], p_delays int8[], p_suspect_at int4, p_steps int4[], p_froms int4[])
returns table (lost int4, cancelled int4, wake text, compensating int4)
language plpgsql ${PINNED} as $$
#variable_conflict use_column
declare
  t int8 := ${NOW};
  undone int8[];
  undone_in text[];
  item record;
begin
  perform ${s}.lock_runs(p_ids, array(
    select i.id from unnest(p_ids, p_kinds) i (id, kind)
      left join lateral (select j.cancel_requested from ${s}.jobs j
        where j.id = i.id and j.state = 'r' offset 0) j on true
    where p_kinds is not null and (i.kind in ('cancel', 'retry', 'dead') or j.cancel_requested)));
  with changed as (
    update ${s}.jobs j set cancel_requested = false, state = 'w', run_at = t, updated_at = t
    from unnest(p_ids, p_tokens, p_kinds) with ordinality i (id, token, kind, ord)
    where ${HELD} and j.cancel_requested and i.kind <> 'complete'
      and exists (select 1 from ${s}.flows f where f.id = j.id and f.compensating)
    returning i.ord, j.queue, j.retry_count
  ), told as (${nowWaiting(s)})
  select array_agg(ord), array_agg(distinct queue) into undone, undone_in from changed;
  for item in select i.* from unnest(p_ids, p_tokens, p_kinds, p_steps, p_froms)
      i (id, token, kind, step, since)
    cross join ${heldJob(s)} where i.step is not null and not j.cancel_requested loop
    if item.kind = 'retry' then
      perform ${s}.forget(p_now, item.id, array(select c.position from ${s}.steps c
        where c.run = item.id and (c.position = item.step or c.position >= item.since)));
    else
      insert into ${s}.flows as f (id, rewind_step, rewind_from)
      values (item.id, item.step, item.since)
      on conflict (id) do update set rewind_step = excluded.rewind_step,
        rewind_from = excluded.rewind_from;
    end if;
  end loop;
  if p_kinds is null then
    return query select e.lost, e.cancelled, e.wake, null::int4
      from ${s}.complete(p_now, p_ids, p_ids, p_tokens, p_data) e;
  else
    return query select e.lost, e.cancelled, e.wake, null::int4
      from ${s}.settle(p_now, p_ids, p_tokens, p_data, p_kinds, p_delays, p_suspect_at) e;
  end if;
  return query select null::int4, null::int4, null::text, o::int4 from unnest(undone) o;
  return query select distinct null::int4, null::int4, q.queue, null::int4 from (
    select unnest(undone_in) as queue
    union all select j.queue from ${s}.flows f
      cross join lateral ${unfinished(s, "j.queue", "f.parent")} j
      where f.id = any (p_ids)) q;
end $$;

-- Ends slices of runs that wait, or that are to undo their steps.
create function ${s}.park(p_now int8, p_ids uuid[], p_tokens int8[], p_causes text[],
  p_deadlines int8[], p_timed text[], p_suspect_at int4,
  p_runs uuid[], p_positions int4[], p_seqs int4[])
returns table (lost int4, cancelled int4, wake text, compensating int4)
language plpgsql ${PINNED} as $$
#variable_conflict use_column
declare
  t int8 := ${NOW};
  parked int8[];
  ready_in text[];
  queues text[];
  falling uuid[];
  leased uuid[];
  rest record;
begin
  falling := array(select j.id from ${s}.jobs j where j.id = any (p_ids) and j.state = 'r'
    and j.cancel_requested);
  if cardinality(falling) > 0 then
    perform ${s}.lock_runs(p_ids, falling);
  else
    perform 1 from ${s}.jobs j where j.id = any (p_ids) and j.state = 'r' order by j.id for update;
  end if;
  if p_runs is not null then
    leased := array(select j.id from unnest(p_ids, p_tokens) i (id, token) cross join ${
  heldJob(s)
});
    for k in 1 .. cardinality(p_runs) loop
      update ${s}.steps c set seq = p_seqs[k]
      where c.run = p_runs[k] and c.position = p_positions[k] and c.seq is null and c.state <> 'o'
        and p_runs[k] = any (leased);
    end loop;
  end if;
  insert into ${s}.flows as f (id, compensating, cause)
  select i.id, true, i.cause from unnest(p_ids, p_tokens, p_causes) i (id, token, cause)
    cross join ${heldJob(s)} where i.cause is not null and not j.cancel_requested
  on conflict (id) do update set compensating = true, cause = excluded.cause;
  -- A statement of its own: it sees what others wrote to open steps before they let go of the row.
  with input as (
    select i.*, case
      when i.cause is not null then t
      when f.compensating is not true and exists (select 1 from ${s}.steps c
        where c.run = i.id and c.seq is null and c.state <> 'o') then t
      else least(coalesce(i.deadline, 253402300799999), (select min(c.until) from ${s}.steps c
        where c.run = i.id and c.position = any (i.timed::int4[]))) end as due
    from unnest(p_ids, p_tokens, p_causes, p_deadlines, p_timed)
        with ordinality i (id, token, cause, deadline, timed, ord)
      left join lateral (select f.compensating from ${s}.flows f where f.id = i.id offset 0) f on true
  ), changed as (
    update ${s}.jobs j set run_at = i.due, updated_at = t,
      attempt = j.attempt - (i.cause is null)::int4,
      crashes = case when i.cause is null then 0 else j.crashes end,
      state = case when i.due > t then 'f' else 'w' end::"char"
    from input i where ${HELD} and not j.cancel_requested
    returning i.ord, j.queue, j.retry_count, j.state
  ), told as (${nowWaiting(s)})
  select array_agg(ord), array_agg(distinct queue) filter (where state <> 'f'),
    array_agg(distinct queue) into parked, ready_in, queues from changed;
  -- Those that were to be cancelled meanwhile: they are, or undo their steps first.
  for rest in select i.ord, e.* from unnest(p_ids, p_tokens) with ordinality i (id, token, ord)
      cross join lateral ${s}.settle_runs(p_now, array[i.id], array[i.token], array[null::text],
        '{release}', '{0}', p_suspect_at, '{NULL}', '{NULL}') e
    where i.ord <> all (coalesce(parked, '{}'))
    order by i.id, e.compensating nulls last loop
    if rest.lost is not null then
      lost := rest.ord; cancelled := null; wake := null; compensating := null;
    else
      lost := null; wake := rest.wake;
      cancelled := case when rest.cancelled is not null then rest.ord end;
      compensating := case when rest.compensating is not null then rest.ord end;
    end if;
    return next;
  end loop;
  return query select null::int4, null::int4, q, null::int4 from unnest(ready_in) q
    union select null, null, q.name, null from ${s}.queues q
      where q.name = any (queues) and q.concurrency is not null;
end $$;

-- As rescue; a run that was interrupted to undo its steps does that.
create function ${s}.rescue_jobs(p_now int8, p_limit int4, p_max_crashes int4, p_failure text)
returns setof ${s}.records language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  ending uuid[];
begin
  update ${s}.jobs j set cancel_requested = false
  where j.state = 'r' and j.id = any (array(select r.id from ${s}.jobs r
    where r.state = 'r' and r.lease_until <= t and r.cancel_requested and r.name like 'workflow/%'
      and (select f.compensating from ${s}.flows f where f.id = r.id)));
  ending := array(select j.id from ${s}.jobs j where j.state = 'r' and j.lease_until <= t
    and j.name like 'workflow/%' and (j.cancel_requested or j.crashes + 1 >= p_max_crashes));
  if cardinality(ending) > 0 then
    perform ${s}.lock_runs(ending, ending);
  end if;
  return query select * from ${s}.rescue(p_now, p_limit, p_max_crashes, p_failure);
end $$;
`;
