/** What several functions of version 1 are made of. */

/**
 * Plans are pinned: a function that was planned while the table was empty must not read all of it
 * when it holds a million rows. It also spares planning at each call.
 *
 * That is not enough for joins: where a vacuum has just found nothing, as in the pauses of every
 * queue, the planner begins with "all of the table, which is one row". So rows are named by
 * `id = any (…)` beside the join, or looked up by a subquery that it cannot turn round (a scalar
 * one, or `lateral (… offset 0)`).
 */
export const PINNED = `
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off
set enable_mergejoin = off set jit = off set plan_cache_mode = force_generic_plan`;

/** Of functions whose joins are all of a batch with rows of `jobs` that are named by their ids. */
export const PINNED_BATCH = `${PINNED} set enable_hashjoin = on set enable_nestloop = off`;

/** Of functions that look for rows by ids alone: they are in either of two indexes, see {@link withId}. */
export const PINNED_BY_ID = `${PINNED} set enable_bitmapscan = on`;

/** The moment of the call: the test's clock, or the database's. */
export const NOW = `coalesce(p_now, (extract(epoch from clock_timestamp()) * 1000)::int8)`;

/**
 * The job `j` of the lease `i`, where {@link HELD} is true of them: a probe for each row of a batch. As
 * a join it went through half of the batch for each row.
 */
export const heldJob = (s: string): string =>
  `lateral (
      select j.id, j.cancel_requested from ${s}.jobs j
      where j.id = i.id and j.token = i.token and j.state = 'r' offset 0) j`;

/** The state in which jobs that wait are counted. */
export const WAITING = `case when retry_count > 0 then 'y' else 'p' end::"char"`;

/** What a job keeps when it ends; to return the other columns took a fifteenth of an end. */
const KEPT = [
  ..."id token run_at timeout_ms created_at started_at heartbeat_at priority attempt retry_count"
    .split(" "),
  ..."max_retries crashes queue name payload worker_id unique_key labels progress".split(" "),
];
export const kept = KEPT.map((column) => `j.${column}`).join(", ");

/**
 * Writes the rows of a query `ended`, which were deleted from `jobs`, into `finished` and, where they
 * died, into `letters`. `ended` has the columns that are {@link kept}, and `final`, `new_failure` and
 * `new_result`.
 */
export const finish = (s: string): string => `
  history as (
    insert into ${s}.finished (${KEPT.join(", ")}, completed_at, state, failure, result)
    select ${KEPT.join(", ")}, t, final, new_failure, new_result from ended
  )`;

/** The letters of those that died. */
export const letters = (s: string): string => `
  lettered as (
    insert into ${s}.letters (id, timeout_ms, failed_at, created_at, priority, max_retries,
      retry_count, queue, name, payload, unique_key, labels, failure)
    select id, timeout_ms, t, t, priority, max_retries,
      retry_count, queue, name, payload, unique_key, labels, new_failure
    from ended where final = 'd'
    on conflict (id) do update set failed_at = excluded.failed_at, created_at = excluded.created_at,
      replayed_at = null, retry_count = excluded.retry_count, failure = excluded.failure
  )`;

/** The lease `i`, of those that a function was given, still holds the job `j`. */
export const HELD = `j.id = any (p_ids) and j.id = i.id and j.token = i.token and j.state = 'r'`;

/**
 * A job does not run, in the words of the index of those. No condition of a claim implies them: as
 * `state <> 'r'` it was read from end to end for ready jobs, where it was taken to be empty.
 */
export const waits = (job = ""): string => `coalesce(${job}state, 'f') <> 'r'`;

/** The job `j` has an id, in whatever state; as one condition, which a row keeps when it moves. */
export const withId = (id: string): string =>
  `(${waits("j.")} and j.id ${id} or j.state = 'r' and j.id ${id})`;

/** Columns of the unfinished job with an id, as a query of one row or none. */
export const unfinished = (s: string, columns: string, id: string): string =>
  `(select ${columns} from ${s}.jobs j where j.id = ${id} and ${waits("j.")}
      union all select ${columns} from ${s}.jobs j where j.id = ${id} and j.state = 'r')`;
