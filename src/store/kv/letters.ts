/** Finds dead letters. */

import type { DeadLetterRecord } from "../../core/dead_letter.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import type { Stored } from "./format.ts";
import { letters } from "./record.ts";
import { decode } from "./value.ts";

/** A letter, and what a commit checks to be sure that it is still so. */
export interface FoundLetter {
  readonly letter: Stored<DeadLetterRecord>;
  readonly entry: KvEntry;
}

export class Letters {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  async find(id: string): Promise<FoundLetter | null> {
    const { keys } = this.#database;
    const place = await this.#database.get(keys.letterPlace(id));
    if (place.value === null) return null;
    const entry = await this.#database.get(keys.letter(decode<number>(place.value), id));
    return entry.value === null ? null : { entry, letter: await this.read(entry) };
  }

  async read({ key, value }: KvEntry): Promise<Stored<DeadLetterRecord>> {
    return await this.#database.complete(letters, key[3] as string, letters.unpack(value));
  }
}
