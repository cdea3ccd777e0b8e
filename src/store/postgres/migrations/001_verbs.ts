import { finish, kept, NOW, PINNED, PINNED_BY_ID, WAITING, waits, withId } from "./001_parts.ts";

/**
 * What administrators do. Each function returns the job as it is then, or nothing where the job does
 * not exist or its state does not allow it; the row is locked before its state is read.
 */
export const verbs = (s: string): string => `
-- Locks an unfinished job. Returns its state.
create function ${s}.lock_job(p_id uuid) returns "char"
language plpgsql ${PINNED_BY_ID} as $$
declare
  found_in "char";
begin
  select j.state into found_in from ${s}.jobs j where ${withId("= p_id")} for update;
  return found_in;
end $$;

create function ${s}.cancel(p_now int8, p_id uuid) returns setof ${s}.records
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  found_in "char" := ${s}.lock_job(p_id);
begin
  if found_in is null then
    return;
  elsif found_in = 'r' then
    update ${s}.jobs j set cancel_requested = true, updated_at = t
    where j.id = p_id and j.state = 'r';
  else
    with ended as (
      delete from ${s}.jobs j where j.id = p_id and ${waits("j.")}
      returning ${kept}, 'x'::"char" as final, j.failure as new_failure, null::text as new_result
    ), ${finish(s)}
    insert into ${s}.tallies (queue, state, n)
      select queue, ${WAITING}, -1 from ended union all select queue, 'x', 1 from ended;
  end if;
  return query select * from ${s}.records r where r.id = p_id;
end $$;

create function ${s}.retry(p_now int8, p_id uuid) returns setof ${s}.records
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  found_in "char" := ${s}.lock_job(p_id);
begin
  if found_in is not null then
    with again as (
      update ${s}.jobs j set retry_count = 0, crashes = 0, failure = null, run_at = t,
        updated_at = t, state = 'w'
      where j.id = p_id and ${waits("j.")} and j.retry_count > 0
      returning j.queue
    )
    insert into ${s}.tallies (queue, state, n)
      select queue, 'y', -1 from again union all select queue, 'p', 1 from again;
  else
    with again as (
      delete from ${s}.finished f where f.id = p_id and f.state::text in ('d', 'x') returning f.*
    ), added as (
      insert into ${s}.jobs (id, token, run_at, timeout_ms, created_at, updated_at, started_at,
        heartbeat_at, priority, attempt, max_retries, state, queue, name, payload, worker_id,
        unique_key, labels, progress)
      select id, token, t, timeout_ms, created_at, t, started_at, heartbeat_at, priority, attempt,
        max_retries, 'w', queue, name, payload, worker_id, unique_key, labels, progress from again
    )
    insert into ${s}.tallies (queue, state, n)
      select queue, state, -1 from again union all select queue, 'p', 1 from again;
  end if;
  if not found then
    return;
  end if;
  update ${s}.letters l set replayed_at = t where l.id = p_id and l.replayed_at is null;
  return query select * from ${s}.records r where r.id = p_id;
end $$;

create function ${s}.remove(p_id uuid) returns bool
language plpgsql ${PINNED} as $$
begin
  with gone as (
    delete from ${s}.jobs j where j.id = p_id and ${
  waits("j.")
} returning j.queue, ${WAITING} as state
  ), gone_too as (
    delete from ${s}.finished f where f.id = p_id returning f.queue, f.state
  )
  insert into ${s}.tallies (queue, state, n)
    select queue, state, -1 from gone union all select queue, state, -1 from gone_too;
  return found;
end $$;

create function ${s}.replay(p_now int8, p_letter uuid, p_id uuid) returns setof ${s}.records
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
begin
  with letter as (
    update ${s}.letters l set replayed_at = t where l.id = p_letter and l.replayed_at is null
    returning l.*
  ), added as (
    insert into ${s}.jobs (id, run_at, timeout_ms, created_at, updated_at, priority, max_retries,
      state, queue, name, payload, unique_key, labels)
    select p_id, t, timeout_ms, t, t, priority, max_retries, 'w', queue, name, payload, unique_key,
      labels from letter
  )
  insert into ${s}.tallies (queue, state, n) select queue, 'p', 1 from letter;
  return query select * from ${s}.records r where found and r.id = p_id;
end $$;

create function ${s}.configure(p_queue text, p_paused bool, p_limits bool, p_concurrency int4)
returns void language plpgsql ${PINNED} as $$
begin
  insert into ${s}.queues as s (name, paused, concurrency)
  values (p_queue, coalesce(p_paused, false), p_concurrency)
  on conflict (name) do update set paused = coalesce(p_paused, s.paused),
    concurrency = case when p_limits then p_concurrency else s.concurrency end;
  perform ${s}.count_running();
end $$;

-- Takes the jobs of old completions, at most so many.
create function ${s}.take_completions(p_before int8, p_limit int4) returns uuid[]
language plpgsql ${PINNED} as $$
declare
  old record;
  ids uuid[] := '{}';
  used tid[] := '{}';
  room int4 := p_limit;
begin
  for old in select c.ctid as at, c.ids from ${s}.completions c where c.completed_at < p_before
    order by c.completed_at for update skip locked loop
    ids := ids || old.ids[1:room];
    if cardinality(old.ids) > room then
      update ${s}.completions c set ids = old.ids[room + 1:] where c.ctid = old.at;
    else
      used := used || old.at;
    end if;
    room := p_limit - cardinality(ids);
    exit when room <= 0;
  end loop;
  delete from ${s}.completions c where c.ctid = any (used);
  return ids;
end $$;

-- Small deletes by index. What others are deleting is passed over.
create function ${s}.prune(p_now int8, p_states text[], p_ages int8[], p_limit int4) returns int4
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  pruned int4 := 0;
  took int4;
  ids uuid[];
begin
  for i in 1 .. cardinality(p_states) loop
    while pruned < p_limit loop
      ids := case p_states[i]
        when 'c' then ${s}.take_completions(t - p_ages[i], p_limit - pruned)
        else array(select o.id from ${s}.finished o
          where o.state = p_states[i]::"char" and o.state <> 'c' and o.completed_at < t - p_ages[i]
          order by o.completed_at limit p_limit - pruned for update skip locked) end;
      exit when ids = '{}';
      with gone as (
        delete from ${s}.finished f
        where f.id = any (ids) and f.state = p_states[i]::"char" and f.completed_at < t - p_ages[i]
        returning f.queue, f.state
      ), told as (
        insert into ${s}.tallies (queue, state, n)
        select queue, state, -count(*) from gone group by queue, state
      )
      select count(*) into took from gone;
      pruned := pruned + took;
    end loop;
  end loop;
  return pruned;
end $$;

-- Adds up the differences of counts. Two that do so at once pass over each other's rows. What runs in
-- queues with a limit is counted anew.
create function ${s}.fold() returns void language plpgsql as $$
begin
  with old as (
    delete from ${s}.tallies where ctid = any (array(
      select ctid from ${s}.tallies limit 50000 for update skip locked))
    returning queue, state, n
  )
  insert into ${s}.tallies (queue, state, n)
    select queue, state, sum(n) from old group by queue, state having sum(n) <> 0;
  perform ${s}.count_running();
end $$;
`;
