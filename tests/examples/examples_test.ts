import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { example, printed } from "./run.ts";

const folder = new URL("../../examples/", import.meta.url);

/** The lines that an example promises in the comment at its end. */
function promised(name: string): string[] {
  const [, comment] = Deno.readTextFileSync(new URL(name, folder)).split("// Prints:\n");
  return comment.trimEnd().split("\n").map((line) => line.replace(/^\/\/ /, ""));
}

describe("examples", () => {
  const names = [...Deno.readDirSync(folder)].map((entry) => entry.name)
    .filter((name) => /^\d\d_\w+\.ts$/.test(name)).sort();

  it("are numbered without a gap", () => {
    assertEquals(
      names.map((name) => Number(name.slice(0, 2))),
      names.map((_, i) => i + 1),
    );
  });

  for (const name of names) {
    it(`${name} prints what it promises and ends by itself`, async () => {
      const { code, stdout, stderr } = await example(`examples/${name}`).output();
      assertEquals(printed(stdout), promised(name), new TextDecoder().decode(stderr));
      assertEquals(code, 0);
    });
  }
});
