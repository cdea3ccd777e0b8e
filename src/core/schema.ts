import type { StandardSchemaV1 } from "@standard-schema/spec";
import { DispatchError } from "./errors.ts";

/** Any schema of the Standard Schema family: zod, valibot, arktype and others. */
export type Schema<Input = unknown, Output = Input> = StandardSchemaV1<Input, Output>;

/**
 * Returns what the schema makes of the value.
 *
 * @throws {DispatchError} `invalid_payload` that lists every issue with its path
 */
export function validate<Output>(
  schema: StandardSchemaV1<unknown, Output>,
  value: unknown,
  what: string,
): Output | Promise<Output> {
  const result = schema["~standard"].validate(value);
  return result instanceof Promise ? result.then((r) => unwrap(r, what)) : unwrap(result, what);
}

function unwrap<Output>(result: StandardSchemaV1.Result<Output>, what: string): Output {
  if (!result.issues) return result.value;
  const issues = result.issues.map(({ path, message }) => {
    const keys = path?.map((part) => String(typeof part === "object" ? part.key : part)) ?? [];
    return keys.length ? `${keys.join(".")}: ${message}` : message;
  });
  throw new DispatchError(
    "invalid_payload",
    `Cannot accept the input of ${what}: ${issues.join("; ")}`,
  );
}
