/**
 * Publish dry run: `deno run -A scripts/check_publish.ts`. What is checked (slow types, the files
 * that belong, every import) is the package in its npm form, so that it needs no JSR; where JSR can
 * be reached, `deno publish --dry-run` does the same with the imports of deno.json.
 */

import { stage } from "./package/stage.ts";

await using staged = await stage();
const { code } = await new Deno.Command(Deno.execPath(), {
  args: ["publish", "--dry-run", "--allow-dirty", "--quiet"],
  cwd: staged.dir,
  stdin: "null",
}).spawn().status;
console.log(`publish: dry run of ${staged.files.length} files ${code === 0 ? "passed" : "failed"}`);
Deno.exitCode = code;
