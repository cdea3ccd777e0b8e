import { DispatchError, messageOf } from "../core/errors.ts";

/**
 * Calls the function that the user registered in place of a client.
 *
 * @param what it is to make, for the error
 * @throws {DispatchError} `store_unreachable` where it throws
 */
export async function makeClient(factory: () => unknown, what: string): Promise<unknown> {
  try {
    return await factory();
  } catch (cause) {
    throw new DispatchError("store_unreachable", `Cannot open ${what}: ${messageOf(cause)}`, {
      cause,
    });
  }
}
