/**
 * Publish dry run: `deno run -A scripts/check_publish.ts`. `deno publish` reads the import map of
 * deno.json only, so where JSR is out of reach a copy of the package is checked whose map is the npm
 * one. What it checks (slow types, the files that belong, every import) is the same.
 */

const copy = await Deno.makeTempDir({ prefix: "dispatch-publish-" });
try {
  const config = JSON.parse(Deno.readTextFileSync("deno.json"));
  const map = JSON.parse(Deno.readTextFileSync("scripts/npm_imports.json")).imports;
  config.imports = Object.fromEntries(
    Object.entries<string>(map).map(([name, target]) => [
      name,
      target.startsWith(".")
        ? new URL(target, "file:///scripts/").pathname.replace("/", "./")
        : target,
    ]),
  );
  // The stand-ins for the test packages live outside of what is published.
  config.publish.include.push("scripts/npm/*.ts");
  for (const path of ["mod.ts", "src", "scripts/npm", "README.md", "CHANGELOG.md", "LICENSE"]) {
    await copyPath(path, `${copy}/${path}`);
  }
  await Deno.writeTextFile(`${copy}/deno.json`, JSON.stringify(config));
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--quiet"],
    cwd: copy,
    stdin: "null",
  }).spawn().status;
  console.log(`publish: dry run ${code === 0 ? "passed" : "failed"}`);
  Deno.exitCode = code;
} finally {
  await Deno.remove(copy, { recursive: true });
}

async function copyPath(from: string, to: string): Promise<void> {
  const { isDirectory } = await Deno.stat(from);
  if (!isDirectory) {
    await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
    return await Deno.copyFile(from, to);
  }
  for await (const entry of Deno.readDir(from)) {
    await copyPath(`${from}/${entry.name}`, `${to}/${entry.name}`);
  }
}
