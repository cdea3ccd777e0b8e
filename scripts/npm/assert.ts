/** Stands in for `@std/assert` where only npm is reachable. */
import nodeAssert from "node:assert/strict";

// deno-lint-ignore no-explicit-any -- a constructor of anything
type AnyClass = abstract new (...args: any[]) => unknown;
// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;
type ArrayLikeArg<T> = ArrayLike<T> & object;

export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) fail(msg);
}

export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  explained(msg, () => nodeAssert.deepEqual(actual, expected));
}

export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  explained(msg, () => nodeAssert.notDeepEqual(actual, expected));
}

export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  explained(msg, () => nodeAssert.equal(actual, expected));
}

export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) fail(msg ?? `expected a value, found ${actual}`);
}

export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  explained(msg, () => nodeAssert.match(actual, expected));
}

export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) fail(msg ?? `expected "${actual}" to contain "${expected}"`);
}

export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const items = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !items.some((other) => equal(item, other)));
  explained(msg, () => nodeAssert.deepEqual(missing, [], "items are missing"));
}

export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- as in @std/assert
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  explained(msg, () => nodeAssert.deepEqual(common(actual, expected), common(expected, expected)));
}

export function assertInstanceOf<T extends AnyClass>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (!(actual instanceof expectedType)) fail(msg || `expected a ${expectedType.name}`);
}

export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) fail(msg ?? `expected ${actual} > ${expected}`);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) fail(msg ?? `expected ${actual} >= ${expected}`);
}

export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) fail(msg ?? `expected ${actual} < ${expected}`);
}

export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) fail(msg ?? `expected ${actual} <= ${expected}`);
}

export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = error;
    return checkThrown(thrown, errorClassOrMsg, msgIncludes, msg);
  }
  fail(msg ?? "expected the function to throw");
}

export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClassOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch {
    fail(msg ?? "the function threw, it was expected to reject");
  }
  try {
    await promise;
  } catch (error) {
    return checkThrown(error, errorClassOrMsg, msgIncludes, msg);
  }
  fail(msg ?? "expected the function to reject");
}

export function fail(msg?: string): never {
  nodeAssert.fail(msg ? `Failed assertion: ${msg}` : "Failed assertion.");
}

function checkThrown<E extends Error>(
  thrown: unknown,
  errorClassOrMsg: ErrorClass<E> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): unknown {
  if (typeof errorClassOrMsg !== "function") return thrown;
  assertInstanceOf(thrown, errorClassOrMsg, msg);
  if (msgIncludes !== undefined) assertStringIncludes(thrown.message, msgIncludes, msg);
  return thrown;
}

/** Puts the caller's words in front of the difference that Node shows. */
function explained(msg: string | undefined, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (msg && error instanceof Error) error.message = `${msg}: ${error.message}`;
    throw error;
  }
}

function equal(a: unknown, b: unknown): boolean {
  try {
    nodeAssert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

/** What of `actual` is also named in `expected`, at every depth; arrays keep their length. */
function common(actual: unknown, expected: unknown): unknown {
  if (Array.isArray(actual) && Array.isArray(expected)) {
    return actual.map((item, at) => at in expected ? common(item, expected[at]) : item);
  }
  if (!isObject(actual) || !isObject(expected)) return actual;
  return Object.fromEntries(
    Reflect.ownKeys(expected).filter((key) => key in actual)
      .map((key) => [key, common(actual[key], expected[key])]),
  );
}

function isObject(value: unknown): value is Record<PropertyKey, unknown> {
  return typeof value === "object" && value !== null && !(value instanceof Date) &&
    !(value instanceof RegExp) && !Array.isArray(value);
}
