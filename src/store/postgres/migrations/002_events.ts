import { NOW, PINNED, unfinished } from "./001_parts.ts";
import { wake } from "./002_ends.ts";

/** How events reach the steps that wait for them. */
export const events = (s: string): string => `
-- The lock at which those meet who wait for an event and who send one: one of 256 for each schema.
create function ${s}.topic(p_name text, p_key text) returns int8
language sql immutable parallel safe as $$
  select (hashtextextended('${s}', 0) & ~255::int8)
    | (hashtextextended(p_name || E'\\x1f' || coalesce(p_key, ''), 0) & 255)
$$;

-- Ends an open step with an event.
create function ${s}.give(p_t int8, p_run uuid, p_position int4, p_event uuid, p_name text, p_payload text)
returns bool language plpgsql ${PINNED} as $$
begin
  update ${s}.steps c set state = 'c', event = p_event, ended_at = p_t,
    result = concat('{"name":', to_json(p_name), ',"payload":', p_payload, '}')
  where c.run = p_run and c.position = p_position and c.state = 'o';
  if not found then
    return false;
  end if;
  delete from ${s}.waits w where w.run = p_run and w.position = p_position;
  return true;
end $$;

-- Keeps events and gives each to the first step that waits for it of every run that it is for. A
-- refused one is answered with why, in which case the caller rolls back.
create function ${s}.publish(p_now int8, p_ids uuid[], p_runs uuid[], p_names text[], p_keys text[],
  p_payloads text[], p_once text[], p_suspect_at int4)
returns table (ord int4, id uuid, created_at int8, delivered int4, key text, payload text,
  refused text, wake text)
language plpgsql ${PINNED} as $$
#variable_conflict use_column
declare
  t int8 := ${NOW};
  lock_id int8;
  kept record;
  target record;
  woken text[] := '{}';
  woken_in text;
begin
  for lock_id in select distinct ${s}.topic(i.name, i.key) from unnest(p_runs, p_names, p_keys) i (run, name, key)
    where i.run is null order by 1 loop
    perform pg_advisory_xact_lock(lock_id);
  end loop;
  -- All of them at once, in the order of their ids, as everybody does. Nobody begins to wait meanwhile.
  perform ${s}.lock_jobs(array(select unnest(p_runs) union
    select w.run from unnest(p_runs, p_names, p_keys) i (run, name, key)
      cross join lateral (select s.run from ${s}.waits s
        where s.name = i.name and s.key = coalesce(i.key, '') offset 0) w
      where i.run is null));
  for i in 1 .. cardinality(p_ids) loop
    ord := i; refused := null; wake := null;
    select v.id, v.created_at, v.delivered, v.key, v.payload into kept from (
      (select * from ${s}.events v where v.id = p_ids[i])
      union all
      (select * from ${s}.events v where v.name = p_names[i] and v.idempotency_key = p_once[i]
        and coalesce(v.run, '00000000-0000-0000-0000-000000000000')
          = coalesce(p_runs[i], '00000000-0000-0000-0000-000000000000'))
    ) v limit 1;
    if not found then
      if p_runs[i] is not null and not exists ${unfinished(s, "1", "p_runs[i]")} then
        refused := coalesce((select r.state from ${s}.records r where r.id = p_runs[i]), 'unknown');
        return next;
        continue;
      end if;
      delivered := 0;
      for target in select w.run, min(w.position) as position from (
          (select w.run, w.position from ${s}.waits w where p_runs[i] is null
            and w.name = p_names[i] and w.key = coalesce(p_keys[i], '') offset 0)
          union all
          (select w.run, w.position from ${s}.waits w where w.run = p_runs[i]
            and w.name = p_names[i] offset 0)
        ) w group by w.run order by w.run loop
        if ${s}.give(t, target.run, target.position, p_ids[i], p_names[i], p_payloads[i]) then
          delivered := delivered + 1;
          ${wake(s, "target.run")} returning j.queue into woken_in;
          if not found then -- it executes, and may look what has come
            select j.queue into woken_in from ${s}.jobs j
              where j.id = target.run and j.state = 'r';
          end if;
          if found then
            woken := woken || woken_in;
          end if;
        end if;
      end loop;
      insert into ${s}.events as v (id, run, created_at, delivered, name, key, idempotency_key, payload)
      values (p_ids[i], p_runs[i], t, delivered, p_names[i], coalesce(p_keys[i], ''), p_once[i],
        p_payloads[i])
      returning v.id, v.created_at, v.delivered, v.key, v.payload into kept;
    end if;
    id := kept.id; created_at := kept.created_at; delivered := kept.delivered;
    key := kept.key; payload := kept.payload;
    return next;
  end loop;
  return query select distinct null::int4, null::uuid, null::int8, null::int4, null::text, null::text,
    null::text, q from unnest(woken) q;
end $$;

create function ${s}.prune_events(p_now int8, p_keep int8, p_limit int4) returns int4
language plpgsql ${PINNED} as $$
declare
  t int8 := ${NOW};
  pruned int4;
begin
  with gone as (
    delete from ${s}.events v where v.ctid = any (array(
      select o.ctid from ${s}.events o
      where o.created_at < t - p_keep
        and ${unfinished(s, "j.id", "o.run")} is null
      order by o.created_at limit p_limit for update skip locked))
    returning 1
  )
  select count(*) into pruned from gone;
  return pruned;
end $$;
`;
