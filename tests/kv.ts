/** What tests of the KV store share. */

/** A folder that is removed at the end of its block. */
export interface TempFolder extends AsyncDisposable {
  /** Where it is. */
  readonly path: string;
}

/** Makes an empty folder. */
export async function tempFolder(): Promise<TempFolder> {
  const path = await Deno.makeTempDir({ prefix: "dispatch-kv-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}
