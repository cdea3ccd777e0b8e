import { Claims } from "./claim.ts";
import type { Database } from "./database.ts";
import { Enqueue } from "./enqueue.ts";
import { Heads } from "./heads.ts";
import { Intents } from "./intents.ts";
import { Leases } from "./leases.ts";
import { Letters } from "./letters.ts";
import { Moves } from "./moves.ts";
import { Reader } from "./reader.ts";
import { Settle } from "./settle.ts";
import { Sweep } from "./sweep.ts";
import { Verbs } from "./verbs.ts";
import type { Wake } from "./wake.ts";

/** What a KV store is made of. */
export interface KvParts {
  readonly database: Database;
  readonly wake: Wake;
  readonly heads: Heads;
  readonly leases: Leases;
  readonly moves: Moves;
  readonly letters: Letters;
  readonly reader: Reader;
  readonly enqueue: Enqueue;
  readonly claims: Claims;
  readonly settle: Settle;
  readonly sweep: Sweep;
  readonly verbs: Verbs;
}

/** Puts the parts together. */
export function makeParts(database: Database, wake: Wake): KvParts {
  const moves = new Moves(database.keys);
  const heads = new Heads(database);
  const leases = new Leases(database);
  const letters = new Letters(database);
  const intents = new Intents(database, moves);
  const reader = new Reader(database, leases);
  const settle = new Settle({ database, heads, leases, letters, moves });
  database.onWritten = (draft, versionstamp) => wake.send(draft.wakes, versionstamp);
  return {
    database,
    wake,
    heads,
    leases,
    moves,
    letters,
    reader,
    settle,
    enqueue: new Enqueue({ database, moves, reader, intents }),
    claims: new Claims(database, heads, leases),
    sweep: new Sweep({ database, leases, moves, settle, intents }),
    verbs: new Verbs({ database, letters, moves, reader }),
  };
}
