/** The tests of workflows once more, on Deno KV. */

import "./on_kv.ts"; // before them
import "../workflow/engine_test.ts";
import "../workflow/operations_test.ts";
import "../workflow/refusals_test.ts";
import "../workflow/run_test.ts";
import "../workflow/steps_test.ts";
