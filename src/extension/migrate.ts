/**
 * The command that brings a database up to date before a new release of an application starts:
 *
 *     deno run -A jsr:@dispatch/dispatch/migrate --url postgres://…
 *     npx dispatch-migrate --url postgres://…
 *
 * `--help` tells the rest. An application migrates at its start as well, unless `disableMigrate` is
 * set; the command is for those who want to do it apart, with rights that the application lacks.
 *
 * @module
 */

import { migrateCommand } from "./migrate_command.ts";
import { commandLine, environment, printLine, setExitCode } from "./runtime.ts";

setExitCode(
  await migrateCommand({
    args: commandLine(),
    environment,
    print: (line) => printLine("stdout", line),
    complain: (line) => printLine("stderr", line),
  }),
);
