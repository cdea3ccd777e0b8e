import { unfinished } from "./migrations/001_parts.ts";

/** The texts of the statements for runs and events, built once for each store. */
export function runStatements(s: string) {
  const step = (c: string) =>
    `${c}.run, ${c}.position, ${c}.name, ${c}.kind, ${c}.state::text as state, ${c}.attempt,
  ${c}.result, ${c}.failure, ${c}.events, ${c}.key, ${c}.event, ${c}.child, ${c}.until, ${c}.seq,
  ${c}.started_at, ${c}.ended_at`;
  const now = "coalesce($1::text::int8, (extract(epoch from clock_timestamp()) * 1000)::int8)";
  const left = `case when c.state = 'o' then greatest(0, c.until - ${now}) end as left_ms`;
  const accepted = (at: number) =>
    `$${at}::text::uuid[], $${at + 1}::text::int8[], $${at + 2}::text::int4[], $${
      at + 3
    }::text::int4[]`;
  const writes = `$1::text::int8, $2::text::uuid[], $3::text::int8[], $4::text::int4[],
  $5::text::text[], $6::text::text[], $7::text::text[], $8::text::int4[], $9::text::text[],
  $10::text::text[], $11::text::int8[], $12::text::int4[], $13::text::int8[], $14::text::uuid[],
  ${accepted(15)}`;
  // How many runs of each kind wait. The indexes of jobs begin with queue and name: one probe finds the
  // next kind, and no other job is read.
  const waiting = (which: string, named: string) =>
    ["j.state in ('w', 's')", "j.state = 'f'"].map((states) =>
      `select k.name, c.n
  from (select distinct queue from ${s}.tallies) q cross join lateral (
    with recursive kind as (
      (select j.name from ${s}.jobs j where j.queue = q.queue and ${states}
        and j.name >= 'workflow/' and j.name < 'workflow0' order by j.name limit 1)
      union all
      select n.name from kind k cross join lateral (
        select j.name from ${s}.jobs j where j.queue = q.queue and ${states}
          and j.name > k.name and j.name < 'workflow0' order by j.name limit 1) n
    ) select name from kind) k
  cross join lateral (select count(*) as n from ${s}.jobs j
    where j.queue = q.queue and j.name = k.name and ${states} and ${which}) c
  where ${named}`
    ).join(" union all ");
  return {
    save: `select ${s}.save_steps(${writes}) as answer`,
    saveChildren: `select ${s}.save_children(${writes}, $19::text::text[], $20::text::text[],
  $21::text::int4[], $22::text::text[], $23::text::int4[], $24::text::int8[], $25::text::text[])
  as answer`,
    wait: `select w.ord, w.left_ms, ${step("(w.step)")}
from ${s}.wait_steps($1::text::int8, $2::text::uuid[], $3::text::int8[], $4::text::int4[],
  $5::text::text[], $6::text::text[], $7::text::text[], $8::text::text[], $9::text::int8[],
  $10::text::int8[], ${accepted(11)}) w`,
    checkpoints: `select q.ord::int4 as ord, ${step("c")}, ${left}
from unnest($2::text::uuid[], $3::text::int4[], $4::text::int4[]) with ordinality q (run, after, size, ord)
cross join lateral (
  select * from ${s}.steps c where c.run = q.run and c.position > q.after
  order by c.position limit q.size
) c order by q.ord, c.position`,
    resume: `select q.ord::int4 as ord, f.compensating, f.cause, f.since, c.*
from unnest($2::text::uuid[]) with ordinality q (run, ord)
left join lateral (select * from ${s}.flows f where f.id = q.run offset 0) f on true
left join lateral (
  select ${step("c")}, ${left} from ${s}.steps c where c.run = q.run
  order by c.position limit $3::int4
) c on true
where f.id is not null or c.run is not null
order by q.ord, c.position`,
    pending: `select q.ord::int4 as ord, ${step("c")}, ${left}
from unnest($2::text::uuid[], $3::text::int4[], $4::text::int4[]) with ordinality q (run, after, size, ord)
cross join lateral (
  select * from ${s}.steps c where c.run = q.run and c.position > q.after and c.seq is null
  order by c.position limit q.size
) c order by q.ord, c.position`,
    open: `select ${step("c")}, ${left}
from unnest($2::text::uuid[]) q (run)
cross join lateral (
  select * from ${s}.steps c where c.run = q.run and c.seq is null and c.state = 'o'
  order by c.position limit 20
) c`,
    get: `select r.* from unnest($1::text::uuid[]) i (id)
cross join lateral (select * from ${s}.runs r where r.id = i.id limit 1) r`,
    list: `select * from ${s}.runs r
where ($1::text is null or case
    when r.state in ('pending', 'running', 'retrying')
      then case when r.compensating then 'compensating' else 'running' end
    else r.state end = $1::text)
  and ($2::text is null or regexp_replace(r.name, '@[0-9]+$', '') = 'workflow/' || $2::text)
  and ($3::text is null or r.parent = $3::text::uuid)
  and ($4::text is null or r.id < $4::text::uuid)
order by r.id desc limit $5::int4 offset $6::int4`,
    counts: `select 'running' as state, coalesce(sum(n), 0)::int4 as n from (
  select name, 1 as n from ${s}.jobs where state = 'r' and name like 'workflow/%'
  union all ${waiting("true", "true")}) c
union all select 'compensating', count(*)::int4 from ${s}.flows f
  where f.compensating and ${unfinished(s, "j.id", "f.id")} is not null
union all select case state when 'c' then 'completed' when 'd' then 'failed' else 'cancelled' end,
  count(*)::int4 from ${s}.finished where name like 'workflow/%' group by state`,
    compensate: `select * from ${s}.compensate($1::text::int8, $2::text::uuid)`,
    rewind: `select * from ${s}.rewind($1::text::int8, $2::text::uuid, $3::int4)`,
    unserved: `select name, sum(n)::int4 as n from (${
      waiting(`j.run_at < ${now} - $3::text::int8`, `k.name <> all ($2::text::text[])`)
    }) c group by name having sum(n) > 0 order by name`,
    publish: `select * from ${s}.publish($1::text::int8, $2::text::uuid[], $3::text::uuid[],
  $4::text::text[], $5::text::text[], $6::text::text[], $7::text::text[], $8::int4)`,
    pruneEvents: `select ${s}.prune_events($1::text::int8, $2::text::int8, $3::int4) as pruned`,
    settleRuns: `select * from ${s}.settle_runs($1::text::int8, $2::text::uuid[], $3::text::int8[],
  $4::text::text[], $5::text::text[], $6::text::int8[], $7::int4, $8::text::int4[], $9::text::int4[])`,
    park: `select * from ${s}.park($1::text::int8, $2::text::uuid[], $3::text::int8[],
  $4::text::text[], $5::text::int8[], $6::text::text[], $7::int4, $8::text::uuid[],
  $9::text::int4[], $10::text::int4[])`,
  };
}

/** The texts of one store. */
export type RunStatements = ReturnType<typeof runStatements>;
