/** Runs a command to its end. What it said is shown when it fails, and returned when it does not. */
export async function run(
  command: string,
  args: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd,
    stdin: "null",
    env: { NO_COLOR: "1", ...env },
  }).output();
  const [said, complained] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  if (code === 0) return said;
  throw new Error(`${command} ${args.join(" ")} ended with ${code}\n${said}${complained}`);
}

/** Runs a program of an npm package, in this very version; neither Node nor npm has to be there. */
export function runTool(pkg: string, args: readonly string[], cwd: string): Promise<string> {
  const flags = ["run", "-A", "--quiet", "--no-config", "--no-lock"];
  return run(Deno.execPath(), [...flags, `npm:${pkg}`, ...args], cwd);
}
