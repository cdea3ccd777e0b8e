import { finish, HELD, kept, letters, NOW, PINNED, PINNED_BATCH, WAITING } from "./001_parts.ts";

/** Ends the rows that are held, with the results that `result` finds. */
const end = (s: string, result: string): string => `
    with deleted as (
      delete from ${s}.jobs j
      where j.id = any (p_ids) and j.state = 'r'
        and j.token = p_tokens[width_bucket(j.id, p_firsts)]
      returning ${kept}
    ), ended as (
      select d.*, 'c'::"char" as final, null::text as new_failure, ${result}
    ), ${finish(s)}, counted as (
      select queue, count(*) as n from deleted group by queue
    ), completed as (
      insert into ${s}.completions (completed_at, ids)
        select t, p_ids where exists (select 1 from counted)
    ), told as (
      insert into ${s}.tallies (queue, state, n)
      select c.queue, v.state, v.sign * c.n
      from counted c cross join (values ('c'::"char", 1), ('r', -1)) v (state, sign)
    ), summed as (
      select coalesce(sum(n), 0) < cardinality(p_ids) as missing,
        array_agg(queue) as queues from counted
    )
    select s.missing, s.queues,
        case when s.missing then (select array_agg(d.id) from deleted d) end
      into missing, ended_in, done from summed s;`;

/**
 * `complete` ends attempts that completed, as almost all do. Its ids are in order, each of them once;
 * their tokens come as runs: the id that each of those begins with, and the token from there on. One
 * scan of the index so finds all rows that are held, where a probe for each took a seventh longer.
 *
 * `settle` ends attempts in any way. It locks its rows first, in the order of their ids as every
 * statement over several leases does, and so reads whether a cancellation was asked for where nobody
 * can change it any more.
 *
 * The rows of both are only what the caller must know: ordinals of leases that were lost and of jobs
 * that were cancelled instead, and queues to wake. `rescue` settles leases that have run out.
 */
export const settle = (s: string): string => `
create function ${s}.complete(p_now int8, p_ids uuid[], p_firsts uuid[], p_tokens int8[], p_data text[])
returns table (lost int4, cancelled int4, wake text)
language plpgsql ${PINNED_BATCH} as $$
#variable_conflict use_column
declare
  t int8 := ${NOW};
  missing bool;
  done uuid[];
  ended_in text[];
begin
  if p_data is null then
    ${end(s, "'null'::text as new_result from deleted d")}
  else
    ${
  end(
    s,
    `coalesce(i.data, 'null') as new_result
      from deleted d join unnest(p_ids, p_data) i (id, data) on i.id = d.id`,
  )
}
  end if;
  return query
    select null::int4, null::int4, q.name from ${s}.queues q
    where q.name = any (ended_in) and q.concurrency is not null;
  if missing then
    return query select o::int4, null::int4, null::text from generate_series(1, cardinality(p_ids)) o
      where p_ids[o] <> all (coalesce(done, '{}'));
  end if;
end $$;

create function ${s}.settle(p_now int8, p_ids uuid[], p_tokens int8[], p_data text[],
  p_kinds text[], p_delays int8[], p_suspect_at int4)
returns table (lost int4, cancelled int4, wake text)
language plpgsql ${PINNED_BATCH} as $$
#variable_conflict use_column
declare
  t int8 := ${NOW};
  done int8[];
  ended_in text[];
  cancelled_instead int8[];
  waiting_in text[];
begin
  perform 1 from unnest(p_ids, p_tokens) i (id, token)
    join ${s}.jobs j on ${HELD}
    order by i.id for update of j;
  with input as (
    select * from unnest(p_ids, p_tokens, p_data, p_kinds, p_delays)
      with ordinality i (id, token, data, kind, delay, ord)
  ), ended as (
    delete from ${s}.jobs j using input i
    where ${HELD}
      and (i.kind in ('complete', 'dead', 'cancel') or j.cancel_requested)
    returning ${kept}, i.ord, i.kind,
      case when i.kind = 'complete' then 'c' when j.cancel_requested or i.kind = 'cancel' then 'x'
        else 'd' end::"char" as final,
      case i.kind when 'complete' then null when 'release' then j.failure else i.data end as new_failure,
      case i.kind when 'complete' then coalesce(i.data, 'null') end as new_result
  ), ${finish(s)}, ${letters(s)}, completed as (
    insert into ${s}.completions (completed_at, ids)
      select t, array_agg(id) from ended where final = 'c' having count(*) > 0
  ), waiting as (
    update ${s}.jobs j set run_at = t + i.delay, updated_at = t,
      state = case when i.delay > 0 then 'f' when j.crashes >= p_suspect_at then 's'
        else 'w' end::"char",
      retry_count = j.retry_count + (i.kind = 'retry')::int4,
      attempt = j.attempt - (i.kind = 'release')::int4,
      failure = case i.kind when 'retry' then i.data else j.failure end
    from input i
    where ${HELD}
      and i.kind in ('retry', 'release') and not j.cancel_requested
    returning j.queue, j.retry_count, i.ord
  ), told as (
    insert into ${s}.tallies (queue, state, n)
    select queue, state, sum(n) from (
      select queue, final as state, 1 as n from ended
      union all select queue, 'r', -1 from ended
      union all select queue, ${WAITING}, 1 from waiting
      union all select queue, 'r', -1 from waiting
    ) changes group by queue, state
  )
  select (select array_agg(ord) from (select ord from ended union all select ord from waiting) o),
    (select array_agg(distinct queue) from ended), (select array_agg(distinct queue) from waiting),
    (select array_agg(ord) from ended where final = 'x' and kind <> 'cancel')
    into done, ended_in, waiting_in, cancelled_instead;
  return query
    select null::int4, null::int4, q from unnest(waiting_in) q
    union select null, null, s.name from ${s}.queues s
      where s.name = any (ended_in || waiting_in) and s.concurrency is not null;
  if cancelled_instead is not null then
    return query select null::int4, o::int4, null::text from unnest(cancelled_instead) o;
  end if;
  if coalesce(cardinality(done), 0) < cardinality(p_ids) then
    return query select o::int4, null::int4, null::text from generate_series(1, cardinality(p_ids)) o
      where o <> all (coalesce(done, '{}'));
  end if;
end $$;

create function ${s}.extend(p_now int8, p_ids uuid[], p_tokens int8[], p_progress text[], p_lease_ms int8)
returns table (held int4, cancelling bool)
language plpgsql ${PINNED_BATCH} as $$
declare
  t int8 := ${NOW};
begin
  return query
    update ${s}.jobs j set lease_until = t + p_lease_ms, heartbeat_at = t,
      progress = coalesce(i.progress, j.progress),
      updated_at = case when i.progress is null then j.updated_at else t end
    from unnest(p_ids, p_tokens, p_progress) with ordinality i (id, token, progress, ord)
    where ${HELD}
    returning i.ord::int4, j.cancel_requested;
end $$;

create function ${s}.rescue(p_now int8, p_limit int4, p_max_crashes int4, p_failure text)
returns setof ${s}.records
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  ids uuid[];
begin
  select array_agg(e.id) into ids from (
    select j.id from ${s}.jobs j where j.state = 'r' and j.lease_until <= t
    limit p_limit for update skip locked
  ) e;
  if ids is null then
    return;
  end if;
  update ${s}.jobs j set crashes = j.crashes + 1 where j.id = any (ids) and j.state = 'r';
  with ended as (
    delete from ${s}.jobs j
    where j.id = any (ids) and j.state = 'r'
      and (j.cancel_requested or j.crashes >= p_max_crashes)
    returning ${kept}, case when j.cancel_requested then 'x' else 'd' end::"char" as final,
      case when j.cancel_requested then j.failure else p_failure end as new_failure,
      null::text as new_result
  ), ${finish(s)}, ${letters(s)}, waiting as (
    update ${s}.jobs j set run_at = t, updated_at = t,
      state = case when j.crashes >= p_max_crashes - 1 then 's' else 'w' end::"char"
    where j.id = any (ids) and j.state = 'r'
      and not (j.cancel_requested or j.crashes >= p_max_crashes)
    returning j.queue, j.retry_count
  )
  insert into ${s}.tallies (queue, state, n)
  select queue, state, sum(n) from (
    select queue, final as state, 1 as n from ended
    union all select queue, 'r', -1 from ended
    union all select queue, ${WAITING}, 1 from waiting
    union all select queue, 'r', -1 from waiting
  ) changes group by queue, state;
  return query select * from ${s}.records r where r.id = any (ids);
end $$;
`;
