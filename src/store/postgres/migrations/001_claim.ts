import { NOW, PINNED } from "./001_parts.ts";

/** The job `j` has something that a new one with the default options has not. */
const unusual = `j.max_retries <> 3 or j.timeout_ms <> 0 or j.attempt <> 1 or j.retry_count <> 0
              or j.crashes <> 0 or j.created_at <> j.run_at
              or (j.unique_key, j.labels, j.failure, j.progress) is distinct from (null, null, null, null)`;

/**
 * Leases the rows that `select` finds and locks. By ctid: the rows are locked in this statement, so
 * it still points at them, and it saves 500 index probes (97,000 a second against 80,000).
 *
 * Their answer is one text: as rows of 19 columns a job cost 10 µs more, in the client most of all.
 * Jobs end with U+001E and their fields with U+001F, which neither JSON nor a name can have. What is
 * usual is empty: no priority, the token of this claim, the first name and queue that were asked for,
 * and what else a new job has, which otherwise is a JSON object.
 */
const take = (s: string, select: string): string => `
      with taken as (
        update ${s}.jobs j set state = 'r', token = greatest(j.token + 1, claim.token),
          attempt = j.attempt + 1, worker_id = p_worker, started_at = t, heartbeat_at = t,
          updated_at = t, lease_until = t + p_lease_ms
        where j.ctid = any (array(${select}))
        returning j.retry_count, case
          when (j.priority, j.token, j.name, j.queue) = (0, claim.token, p_names[1], p_queues[1])
            and not (${unusual})
          then E'\\x1f' || j.run_at || E'\\x1f' || j.id || E'\\x1f\\x1f\\x1f\\x1f\\x1f' || j.payload || E'\\x1e'
          else concat(nullif(j.priority, 0), E'\\x1f', j.run_at, E'\\x1f', j.id,
            E'\\x1f', nullif(j.token, claim.token), E'\\x1f', nullif(j.name, p_names[1]),
            E'\\x1f', nullif(j.queue, p_queues[1]), E'\\x1f', case when ${unusual}
              then json_build_object('maxRetries', j.max_retries, 'timeoutMs', j.timeout_ms,
                'attempt', j.attempt, 'retryCount', j.retry_count, 'crashes', j.crashes,
                'createdAt', j.created_at, 'uniqueKey', j.unique_key, 'labels', j.labels,
                'failure', j.failure, 'progress', j.progress) end,
            E'\\x1f', j.payload, E'\\x1e')
          end as text
      )
      select count(*), count(*) filter (where retry_count > 0), string_agg(text, '')
        into took, again, part from taken;
      if took > 0 then
        insert into ${s}.tallies (queue, state, n)
          select q, v.state, v.n
          from (values ('r'::"char", took), ('p', again - took), ('y', -again)) v (state, n)
          where v.n <> 0;
      end if;`;

/**
 * `claim` takes ready jobs, queue by queue. It first looks of which names there are some, and where
 * some are due makes them ready; a thousand for each name at a time, the earliest first, so that no
 * claim waits for a million of them. A worker that idled finds its session cold, where each statement
 * takes 100 µs: what is not needed is not begun.
 *
 * Of several names it first reads how many of each are among the first, then locks just those: rows
 * that were locked and not taken would be missing to others.
 *
 * The token is the moment of the claim in microseconds, or one more than the last. Counted up alone,
 * a claim that was lost with a server (a standby that lagged took over) and the next one would have
 * the same, and the worker of either could end the attempt of the other.
 *
 * A claim does not wait for the disk, but is there for every connection at once. A server that falls
 * forgets those of its last moments: their jobs are ready as before, their workers' leases lost. What
 * a worker writes under a lease waits for the disk, and so for the claim before it. A suspect's claim
 * waits as well: it may be the job that takes the machine down.
 *
 * Claims of queues with a limit go one after another, by the rows of those queues, locked in the
 * order of their names. The count that follows is a statement of its own and so sees what the claim
 * before has committed.
 */
export const claim = (s: string): string => `
create function ${s}.claim(p_now int8, p_worker text, p_queues text[], p_names text[], p_limit int4,
  p_lease_ms int8, p_suspects bool, p_suspect_at int4,
  out now int8, out due int8, out token int8, out jobs text)
language plpgsql ${PINNED} as $$
#variable_conflict use_column
declare
  t int8 := ${NOW};
  lane "char" := case when p_suspects then 's' else 'w' end;
  room int4 := p_limit;
  free int4;
  took int4;
  again int4; -- of them, those that are tried again
  part text;
  q text;
  is_paused bool;
  are_due bool;
  ready text[]; -- names of which jobs are
  max_running int4;
  counted uuid[]; -- where that is not null: what runs
begin
  if not p_suspects then
    perform set_config('synchronous_commit', 'off', true);
  end if;
  now := t;
  token := (extract(epoch from clock_timestamp()) * 1000000)::int8;
  jobs := '';
  if cardinality(p_queues) > 1 then
    perform 1 from ${s}.queues s where s.name = any (p_queues) and s.concurrency is not null
      order by s.name for update;
  end if;
  foreach q in array p_queues loop
    exit when room <= 0;
    select s.paused, s.concurrency, s.running into is_paused, max_running, counted
      from ${s}.queues s where s.name = q;
    if max_running is not null and cardinality(p_queues) = 1 then
      select s.paused, s.concurrency, s.running into is_paused, max_running, counted
        from ${s}.queues s where s.name = q for update;
    end if;
    continue when is_paused;
    free := room;
    if max_running is not null then
      counted := ${s}.those_running(counted);
      free := least(room, max_running - cardinality(counted));
      continue when free <= 0;
    end if;
    select exists (select 1 from unnest(p_names) n (name) cross join lateral (
        select 1 from ${s}.jobs f
        where f.queue = q and f.name = n.name and f.state = 'f' and f.run_at <= t limit 1) d),
      array(select n.name from unnest(p_names) n (name) cross join lateral (
        select 1 from ${s}.jobs c
        where c.queue = q and c.name = n.name and c.state = lane and c.state in ('w', 's') limit 1) d)
      into are_due, ready;
    if are_due then
      update ${s}.jobs j set state = case when j.crashes >= p_suspect_at then 's' else 'w' end::"char"
      where j.ctid = any (array(
        select d.ctid from unnest(p_names) n (name) cross join lateral (
          select f.ctid from ${s}.jobs f
          where f.queue = q and f.name = n.name and f.state = 'f' and f.run_at <= t
          order by f.run_at limit 1000 for update skip locked
        ) d));
      ready := p_names;
    end if;
    continue when ready = '{}';
    if cardinality(ready) = 1 then
${
  take(
    s,
    `
          select c.ctid from ${s}.jobs c
          where c.queue = q and c.name = ready[1] and c.state = lane and c.state in ('w', 's')
          order by c.priority desc, c.run_at, c.id limit free for update skip locked`,
  )
}
    else
${
  take(
    s,
    `
          select l.ctid from (
            select m.name, count(*) as n from (
              select n.name from unnest(ready) n (name) cross join lateral (
                select c.priority, c.run_at, c.id from ${s}.jobs c
                where c.queue = q and c.name = n.name and c.state = lane and c.state in ('w', 's')
                order by c.priority desc, c.run_at, c.id limit free
              ) c order by c.priority desc, c.run_at, c.id limit free
            ) m group by m.name
          ) among cross join lateral (
            select c.ctid from ${s}.jobs c
            where c.queue = q and c.name = among.name and c.state = lane and c.state in ('w', 's')
            order by c.priority desc, c.run_at, c.id limit among.n for update skip locked
          ) l`,
  )
}
    end if;
    if max_running is not null and took > 0 then
      update ${s}.queues s set running = counted || array(
        select split_part(x, E'\\x1f', 3)::uuid from unnest(string_to_array(part, E'\\x1e')) x
        where x <> '')
      where s.name = q;
    end if;
    room := room - took;
    jobs := concat(jobs, part);
  end loop;
  if room = p_limit and not p_suspects then
    due := ${s}.next_due(p_now, p_queues, p_names, p_suspect_at);
  end if;
end $$;

-- Those of some jobs that run.
create function ${s}.those_running(p_ids uuid[]) returns uuid[]
language plpgsql ${PINNED} as $$
begin
  return array(select j.id from ${s}.jobs j where j.state = 'r' and j.id = any (p_ids));
end $$;

-- Refuses ids that were just added beside jobs that run: a claim may have committed after this statement
-- had looked for those, and before it came to the index of those that wait. A later one meets the entry.
create function ${s}.refuse_running(p_added text) returns void
language plpgsql ${PINNED} as $$
begin
  if ${s}.those_running(string_to_array(p_added, ',')::uuid[]) <> '{}' then
    raise unique_violation using message = 'A job of that id has begun to run meanwhile';
  end if;
end $$;

-- Counts anew what runs in queues with a limit. Claims see to that for what they take; but one that
-- is under way while the limit is set does not know of it.
create function ${s}.count_running() returns void
language plpgsql ${PINNED} as $$
begin
  perform 1 from ${s}.queues s where s.concurrency is not null order by s.name for update;
  if found then
    update ${s}.queues s set running = array(
      select j.id from ${s}.jobs j where j.state = 'r' and j.queue = s.name)
    where s.concurrency is not null;
  end if;
end $$;

-- Milliseconds until a job is due, 0 where one is ready, null where none waits.
create function ${s}.next_due(p_now int8, p_queues text[], p_names text[], p_suspect_at int4)
returns int8 language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
begin
  return (
    select min(greatest(0, d.due - t))
    from unnest(p_queues) q (name) left join ${s}.queues s on s.name = q.name
      cross join unnest(p_names) n (name)
      cross join lateral (
        (select 0::int8 as due from ${s}.jobs j where j.queue = q.name and j.name = n.name
          and j.state = 'w' and j.state in ('w', 's') limit 1)
        union all
        (select j.run_at from ${s}.jobs j where j.queue = q.name and j.name = n.name
          and j.state = 'f' and j.crashes < p_suspect_at order by j.run_at limit 1)
      ) d
    where s.paused is not true and (s.concurrency is null or s.concurrency > (
      select count(*) from ${s}.jobs r where r.state = 'r' and r.id = any (s.running)))
  );
end $$;
`;
