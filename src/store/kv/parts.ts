import { Aftermath } from "./aftermath.ts";
import { Claims } from "./claim.ts";
import type { Database } from "./database.ts";
import { Deliveries } from "./deliveries.ts";
import { Enqueue } from "./enqueue.ts";
import { Heads } from "./heads.ts";
import { Intents } from "./intents.ts";
import { KeptEvents } from "./kept_events.ts";
import { Leases } from "./leases.ts";
import { Letters } from "./letters.ts";
import { Meetings } from "./meetings.ts";
import { Moves } from "./moves.ts";
import { Parents } from "./parents.ts";
import { Reader } from "./reader.ts";
import { Resume } from "./resume.ts";
import { RunEnds } from "./run_ends.ts";
import { RunSteps } from "./run_steps.ts";
import { RunWrites } from "./run_writes.ts";
import { Settle } from "./settle.ts";
import { Sweep } from "./sweep.ts";
import { Targets } from "./targets.ts";
import { Verbs } from "./verbs.ts";
import type { Wake } from "./wake.ts";

/** What a KV store is made of. */
export type KvParts = ReturnType<typeof makeParts>;

/** Puts the parts together. */
export function makeParts(database: Database, wake: Wake) {
  const moves = new Moves(database.keys);
  const heads = new Heads(database);
  const leases = new Leases(database);
  const letters = new Letters(database);
  const intents = new Intents(database, moves);
  const reader = new Reader(database, leases);
  const keptEvents = new KeptEvents(database);
  const runSteps = new RunSteps(database, leases);
  const targets = new Targets({ database, moves, reader, runSteps });
  const meetings = new Meetings({ database, moves, runSteps });
  const parents = new Parents({ database, moves, runSteps, meetings });
  const deliveries = new Deliveries({ database, moves, runSteps, meetings, keptEvents });
  const aftermath = new Aftermath({ database, moves, runSteps, keptEvents, targets, parents });
  const runWrites = new RunWrites({ database, leases, moves, runSteps, keptEvents });
  const runEnds = new RunEnds({ database, leases, moves, runSteps, runWrites });
  const settle = new Settle({ database, heads, leases, letters, moves, runEnds });
  const resume = new Resume({ database, moves, runSteps });
  const verbs = new Verbs({ database, letters, moves, targets, aftermath, resume });
  const enqueue = new Enqueue({ database, moves, reader, intents });
  const claims = new Claims(database, heads, leases);
  const sweeping = { database, leases, moves, settle, intents };
  const sweep = new Sweep({ ...sweeping, runSteps, runEnds, aftermath, deliveries });
  database.onWritten = (draft, versionstamp) => {
    wake.send(draft.wakes, versionstamp);
    aftermath.note(draft);
  };
  return {
    ...{
      database,
      wake,
      heads,
      leases,
      moves,
      letters,
      reader,
      settle,
      enqueue,
      claims,
      sweep,
      verbs,
    },
    ...{ keptEvents, runSteps, targets, meetings, deliveries, aftermath, runWrites, resume },
  };
}
