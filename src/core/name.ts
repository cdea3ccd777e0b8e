import { DispatchError, show } from "./errors.ts";

const MAX_LENGTH = 200;

/** Printable, not empty, no blanks at the ends, and short enough for every store's index. */
export function isName(value: unknown): value is string {
  return typeof value === "string" && value.length <= MAX_LENGTH &&
    /^[^\s\p{Cc}\p{Cs}]([^\p{Cc}\p{Cs}]*[^\s\p{Cc}\p{Cs}])?$/u.test(value);
}

/** Not empty, not too long, and without what some store cannot keep: NUL and half characters. */
export function isLabel(value: unknown, maxLength: number): value is string {
  return typeof value === "string" && value.length > 0 && value.length <= maxLength &&
    !/[\0\p{Cs}]/u.test(value);
}

/** @throws {DispatchError} `invalid_queue` */
export function checkQueue(value: unknown): string {
  if (isName(value)) return value;
  throw new DispatchError("invalid_queue", `Cannot use ${show(value)} as a queue's name`);
}

/** @throws {DispatchError} `invalid_job_name` */
export function checkJobName(value: unknown): string {
  if (isName(value)) return value;
  throw new DispatchError("invalid_job_name", `Cannot use ${show(value)} as a job's name`);
}
