/** Imported before tests of the engine, it has them stand on Deno KV. */

import { kvStore } from "../../src/store/kv/store.ts";
import { standOn } from "../harness.ts";

standOn((clock) => kvStore(":memory:", { clock, wakeIntervalMs: 0 }));
