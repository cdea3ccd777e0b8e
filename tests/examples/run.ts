/** Runs programs of `examples/` as a reader would. */

const FLAGS = ["run", "-A", "--quiet", "--import-map=scripts/npm_imports.json"];

/** A command that runs an example with Deno, whatever the working directory of the test is. */
export function example(path: string, options: Deno.CommandOptions = {}): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [...FLAGS, path],
    cwd: new URL("../../", import.meta.url),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
    env: { NO_COLOR: "1", ...options.env },
  });
}

/** What a program printed, without the lines of the log. */
export function printed(output: Uint8Array): string[] {
  return new TextDecoder().decode(output).trimEnd().split("\n")
    .filter((line) => !line.startsWith("[dispatch]"));
}
