const names = new Map<string, string>();

/**
 * A name for a prepared statement, the same for the same text in every process and every copy of
 * this module: node-postgres refuses one name for two texts on a connection.
 */
export function statementName(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = `dispatch_${fnv1a64(text)}`;
    names.set(text, name);
  }
  return name;
}

/** FNV-1a with 64 bits: two of a few hundred texts share a hash once in 10^14 programs. */
function fnv1a64(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (let i = 0; i < text.length; i++) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(text.charCodeAt(i))) * 0x100000001b3n);
  }
  return hash.toString(36);
}
