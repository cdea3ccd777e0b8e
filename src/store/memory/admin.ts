/** What is asked of a memory store now and then: loaded when it is. */

import { MemoryDeadLetters } from "./dead_letters.ts";
import { MemoryQueues } from "./queues.ts";
import type { MemoryState } from "./state.ts";
import { MemoryVerbs } from "./verbs.ts";

export class MemoryAdmin {
  readonly verbs: MemoryVerbs;
  readonly deadLetters: MemoryDeadLetters;
  readonly queues: MemoryQueues;

  constructor(state: MemoryState) {
    this.verbs = new MemoryVerbs(state);
    this.deadLetters = new MemoryDeadLetters(state);
    this.queues = new MemoryQueues(state);
  }
}
