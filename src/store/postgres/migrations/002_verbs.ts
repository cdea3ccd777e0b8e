import { NOW, PINNED, WAITING, waits } from "./001_parts.ts";

/** What administrators do to runs, and to jobs that may be some. */
export const verbs = (s: string): string => `
-- As cancel; a run that undoes its steps is left to it.
create function ${s}.cancel_job(p_now int8, p_id uuid) returns setof ${s}.records
language plpgsql ${PINNED} as $$
begin
  perform ${s}.lock_runs(array[p_id], array[p_id]);
  if exists (select 1 from ${s}.flows f where f.id = p_id and f.compensating) then
    return;
  end if;
  return query select * from ${s}.cancel(p_now, p_id);
end $$;

-- As retry; a run goes on with what failed, or starts afresh where its steps were undone.
create function ${s}.retry_job(p_now int8, p_id uuid) returns setof ${s}.records
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  before record;
  flow ${s}.flows;
  stuck bool;
begin
  select r.name, r.failure into before from ${s}.records r where r.id = p_id;
  perform ${s}.lock_runs(array[p_id], array[p_id]);
  return query select * from ${s}.retry(p_now, p_id);
  if not found or before.name not like 'workflow/%' then
    return;
  end if;
  select * into flow from ${s}.flows f where f.id = p_id;
  stuck := flow.compensating and before.failure::json ->> 'code' = 'compensation_failed';
  perform ${s}.forget(p_now, p_id, array(select c.position from ${s}.steps c where c.run = p_id
    and case
      when stuck then c.kind = 'compensate' and c.state = 'd'
      when flow.compensating then true
      else c.position = flow.rewind_step or c.position >= flow.rewind_from
        or (c.state = 'd' and c.seq is null) end));
  perform ${s}.restart(t, p_id, stuck);
end $$;

-- The time limit of a run counts from now, and steps that were open wait again.
create function ${s}.restart(p_t int8, p_id uuid, p_stuck bool) returns void
language plpgsql ${PINNED} as $$
begin
  insert into ${s}.flows as f (id, since) values (p_id, p_t)
  on conflict (id) do update set since = p_t, compensating = f.compensating and p_stuck,
    cause = case when p_stuck then f.cause end,
    rewind_step = case when p_stuck then f.rewind_step end,
    rewind_from = case when p_stuck then f.rewind_from end;
  insert into ${s}.waits (run, position, name, key)
  select c.run, c.position, n.name, coalesce(c.key, '') from ${s}.steps c
    cross join lateral json_array_elements_text(coalesce(c.events, '[]')::json) n (name)
  where c.run = p_id and c.state = 'o' and c.seq is null
  on conflict do nothing;
end $$;

create function ${s}.compensate(p_now int8, p_id uuid) returns setof ${s}.runs
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
begin
  if not exists (select 1 from ${s}.runs r where r.id = p_id) or ${s}.lock_job(p_id) is null then
    return;
  end if;
  if not exists (select 1 from ${s}.flows f where f.id = p_id and f.compensating) then
    insert into ${s}.flows as f (id, compensating) values (p_id, true)
    on conflict (id) do update set compensating = true, cause = null;
    update ${s}.jobs j set updated_at = t, cancel_requested = true where j.id = p_id and j.state = 'r';
    update ${s}.jobs j set updated_at = t, cancel_requested = false, run_at = t, state = 'w'
    where j.id = p_id and ${waits("j.")};
  end if;
  return query select * from ${s}.runs r where r.id = p_id;
end $$;

create function ${s}.rewind(p_now int8, p_id uuid, p_from int4) returns setof ${s}.runs
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  found_in "char";
begin
  perform ${s}.lock_runs(array[p_id], array[p_id]);
  if exists (select 1 from ${s}.runs r where r.id = p_id) then
    found_in := ${s}.lock_job(p_id);
  end if;
  if found_in = 'r' then
    return;
  elsif found_in is not null then
    with old as (select queue, ${WAITING} as state from ${s}.jobs j
      where j.id = p_id and ${waits("j.")}),
    again as (
      update ${s}.jobs j set retry_count = 0, crashes = 0, failure = null, run_at = t,
        updated_at = t, state = 'w' where j.id = p_id and ${waits("j.")}
    )
    insert into ${s}.tallies (queue, state, n)
      select queue, state, -1 from old union all select queue, 'p', 1 from old;
  else
    -- A run that completed comes back as one that was cancelled does.
    with done as (
      update ${s}.finished f set state = 'x', result = null
      where f.id = p_id and f.state = 'c' and f.name like 'workflow/%' returning f.queue
    )
    insert into ${s}.tallies (queue, state, n)
      select queue, 'c', -1 from done union all select queue, 'x', 1 from done;
    perform 1 from ${s}.finished f where f.id = p_id and f.name like 'workflow/%';
    if not found then
      return;
    end if;
    perform ${s}.retry(p_now, p_id);
  end if;
  perform ${s}.forget(p_now, p_id, array(select c.position from ${s}.steps c
    where c.run = p_id and (c.position < 0 or c.position >= p_from)));
  perform ${s}.restart(t, p_id, false);
  return query select * from ${s}.runs r where r.id = p_id;
end $$;
`;
