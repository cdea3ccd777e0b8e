import { heldJob, NOW, PINNED } from "./001_parts.ts";

/**
 * Results that were given to the code since the last write, of runs whose lease is held. One after the
 * other: a join went through all of them for each step, 180,000 times for 300 of two writes.
 */
const accept = (s: string): string => `
  for k in 1 .. coalesce(cardinality(p_runs), 0) loop
    update ${s}.steps c set seq = p_seqs_of[k]
    where c.run = p_runs[k] and c.position = p_places[k] and c.seq is null and c.state <> 'o'
      and exists (select 1 from ${s}.jobs j
        where j.id = p_runs[k] and j.token = p_tokens_of[k] and j.state = 'r');
  end loop;`;

/**
 * What runs write under their leases. Both lock the rows of the jobs first, in the order of their
 * ids: whoever takes a lease away changes that row, and waits.
 *
 * Whoever begins to wait for an event that is for all, and whoever sends one, meet at a lock for its
 * name and key, shared by those who wait: else the two could miss each other. It comes before the
 * locks of rows, for both. For an event of one run the row of the run's job is that place.
 */
export const steps = (s: string): string => `
-- Answers a character for each write: s for saved, k for kept as it was, l for lost.
create function ${s}.save_steps(p_now int8, p_ids uuid[], p_tokens int8[], p_positions int4[],
  p_names text[], p_kinds text[], p_states text[], p_attempts int4[], p_results text[],
  p_failures text[], p_delays int8[], p_seqs int4[], p_elapsed int8[], p_children uuid[],
  p_runs uuid[], p_tokens_of int8[], p_places int4[], p_seqs_of int4[])
returns text language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  answer text;
begin
  perform 1 from ${s}.jobs j where j.id = any (p_ids) and j.state = 'r' order by j.id for share;
  with input as (
    select i.*, j.id is not null and not (i.child is not null and j.cancel_requested) as held
    from unnest(p_ids, p_tokens, p_positions, p_names, p_kinds, p_states, p_attempts, p_results,
        p_failures, p_delays, p_seqs, p_elapsed, p_children) with ordinality
        i (id, token, position, name, kind, state, attempt, result, failure, delay, seq, elapsed, child, ord)
      left join ${heldJob(s)} on true
  ), written as (
    insert into ${s}.steps as c (run, child, started_at, ended_at, until, position, seq, attempt,
      state, kind, name, result, failure)
    select id, child, t - elapsed, case when state <> 'o' then t end, t + delay, position, seq,
      attempt, state::"char", kind, name, result, failure
    from input where held
    on conflict (run, position) do update set ended_at = excluded.ended_at, until = excluded.until,
      seq = excluded.seq, attempt = excluded.attempt, state = excluded.state,
      result = excluded.result, failure = excluded.failure
    where c.state = 'o' and excluded.child is null
    returning run, position
  )
  select string_agg(case when not i.held then 'l'
      when (i.id, i.position) in (select w.run, w.position from written w) then 's' else 'k' end, ''
    order by i.ord) into answer
  from input i;
  ${accept(s)}
  return answer;
end $$;

-- The same with children, whose jobs are added where their steps were saved.
create function ${s}.save_children(p_now int8, p_ids uuid[], p_tokens int8[], p_positions int4[],
  p_names text[], p_kinds text[], p_states text[], p_attempts int4[], p_results text[],
  p_failures text[], p_delays int8[], p_seqs int4[], p_elapsed int8[], p_children uuid[],
  p_runs uuid[], p_tokens_of int8[], p_places int4[], p_seqs_of int4[],
  p_job_names text[], p_queues text[], p_priorities int4[], p_payloads text[], p_retries int4[],
  p_timeouts int8[], p_labels text[])
returns text language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  answer text;
begin
  answer := ${s}.save_steps(p_now, p_ids, p_tokens, p_positions, p_names, p_kinds, p_states, p_attempts,
    p_results, p_failures, p_delays, p_seqs, p_elapsed, p_children, p_runs, p_tokens_of, p_places,
    p_seqs_of);
  with input as (
    select * from unnest(p_ids, p_positions, p_states, p_children, p_job_names, p_queues, p_priorities,
        p_payloads, p_retries, p_timeouts, p_labels) with ordinality
      i (parent, position, state, id, name, queue, priority, payload, retries, timeout, labels, ord)
    where i.id is not null and substr(answer, i.ord::int4, 1) = 's'
  ), added as (
    insert into ${s}.jobs (id, run_at, timeout_ms, created_at, updated_at, priority, max_retries,
      state, queue, name, payload, labels)
    select id, t, timeout, t, t, priority, retries, 'w', queue, name, payload, labels from input
  ), linked as (
    insert into ${s}.flows (id, parent, parent_position, since)
    select id, parent, case state when 'o' then position end, t from input
  )
  insert into ${s}.tallies (queue, state, n) select queue, 'p', count(*) from input group by queue;
  return answer;
end $$;

-- Begins or looks after waits, in the order that they are given in. No row for a lease that is lost.
create function ${s}.wait_steps(p_now int8, p_ids uuid[], p_tokens int8[], p_positions int4[],
  p_names text[], p_kinds text[], p_events text[], p_keys text[], p_delays int8[], p_untils int8[],
  p_runs uuid[], p_tokens_of int8[], p_places int4[], p_seqs_of int4[])
returns table (ord int4, step ${s}.steps, left_ms int8) language plpgsql ${PINNED} as $$
#variable_conflict use_column
declare
  t int8 := ${NOW};
  job record;
  c ${s}.steps;
  e record;
  wanted text[];
  lock_id int8;
begin
  for lock_id in select distinct ${s}.topic(n.name, k.key)
    from unnest(p_events, p_keys) k (events, key)
      cross join lateral json_array_elements_text(k.events::json) n (name)
    order by 1 loop
    perform pg_advisory_xact_lock_shared(lock_id);
  end loop;
  perform 1 from ${s}.jobs j where j.id = any (p_ids) and j.state = 'r' order by j.id for share;
  ${accept(s)}
  for i in 1 .. cardinality(p_ids) loop
    select j.created_at into job from ${s}.jobs j
      where j.id = p_ids[i] and j.token = p_tokens[i] and j.state = 'r';
    continue when not found;
    select * into c from ${s}.steps x where x.run = p_ids[i] and x.position = p_positions[i];
    if not found then
      insert into ${s}.steps (run, started_at, until, position, attempt, state, kind, name, key, events)
      values (p_ids[i], t, coalesce(t + p_delays[i], p_untils[i]), p_positions[i], 1, 'o', p_kinds[i],
        p_names[i], p_keys[i], p_events[i])
      returning * into c;
      insert into ${s}.waits (run, position, name, key)
      select c.run, c.position, n.name, coalesce(c.key, '')
      from json_array_elements_text(c.events::json) n (name) on conflict do nothing;
      wanted := array(select json_array_elements_text(c.events::json));
      if cardinality(wanted) > 0 then
        select f.id, f.name, f.payload into e from (
          select v.id, v.name, v.payload, v.ord from ${s}.events v
          where v.run = c.run and v.name = any (wanted)
          union all
          select v.id, v.name, v.payload, v.ord from ${s}.events v
          where v.run is null and v.name = any (wanted) and v.key = coalesce(c.key, '')
            and (c.key is not null or v.created_at >= job.created_at)
        ) f
        where not exists (select 1 from ${s}.steps x where x.run = c.run and x.event = f.id)
        order by f.ord limit 1;
        if found then
          perform ${s}.give(t, c.run, c.position, e.id, e.name, e.payload);
        end if;
      end if;
    end if;
    update ${s}.steps x set state = 'c', result = 'null', ended_at = t
    where x.run = p_ids[i] and x.position = p_positions[i] and x.state = 'o' and x.until <= t;
    if found then
      delete from ${s}.waits w where w.run = p_ids[i] and w.position = p_positions[i];
    end if;
    select * into c from ${s}.steps x where x.run = p_ids[i] and x.position = p_positions[i];
    ord := i;
    step := c;
    left_ms := case when c.state = 'o' then greatest(0, c.until - t) end;
    return next;
  end loop;
end $$;
`;
