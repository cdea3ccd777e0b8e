import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createDatabase } from "../postgres.ts";
import { example, printed } from "./run.ts";

const folder = new URL("../../examples/", import.meta.url);

/** The lines that an example promises in the comment at its end. */
function promised(name: string): string[] {
  const [, comment] = Deno.readTextFileSync(new URL(name, folder)).split("// Prints:\n");
  return comment.trimEnd().split("\n").map((line) => line.replace(/^\/\/ /, ""));
}

function needsDatabase(name: string): boolean {
  return Deno.readTextFileSync(new URL(name, folder)).includes('"DATABASE_URL"');
}

describe("examples", () => {
  const numbered = [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .filter((name) => /^\d\d_\w+(\.ts)?$/.test(name));
  // The application for Node is a folder, and is run where Node is: in tests/runtime.
  const names = numbered.filter((name) => name.endsWith(".ts"));

  it("are numbered without a gap, and short", () => {
    assertEquals(numbered.map((name) => Number(name.slice(0, 2))), numbered.map((_, i) => i + 1));
    for (const name of names) {
      const lines = Deno.readTextFileSync(new URL(name, folder)).split("\n").length - 1;
      assertEquals(lines <= 45, true, `${name} has ${lines} lines`);
    }
  });

  for (const name of names) {
    it(`${name} prints what it promises and ends by itself`, async () => {
      await using database = needsDatabase(name) ? await createDatabase() : null;
      const { code, stdout, stderr } = await example(
        `examples/${name}`,
        database === null ? {} : { env: { DATABASE_URL: database.url } },
      ).output();
      assertEquals(printed(stdout), promised(name), new TextDecoder().decode(stderr));
      assertEquals(code, 0);
    });
  }
});
