import { DispatchError } from "../core/errors.ts";
import { validate } from "../core/schema.ts";
import type { AnyJobDefinition } from "./definition.ts";

/** What the schema makes of an input, or how it refuses it. */
export async function checkInput(
  { input: schema, name }: Pick<AnyJobDefinition, "input" | "name">,
  input: unknown,
): Promise<{ input?: unknown; refused?: DispatchError }> {
  if (schema === undefined) return { input };
  try {
    return { input: await validate(schema, input, name) };
  } catch (thrown) {
    if (thrown instanceof DispatchError && thrown.code === "invalid_payload") {
      return { refused: thrown };
    }
    throw thrown; // the schema itself failed, perhaps not the next time
  }
}
