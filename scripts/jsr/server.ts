/**
 * A registry that speaks the protocol of JSR and holds one package: this one, as it would be
 * published, with its dependencies in their npm form.
 *
 *     deno run -A scripts/jsr/server.ts       # says which JSR_URL to set
 */

import { CONFIG, stage } from "../package/stage.ts";

/** A registry that runs. */
export interface JsrServer extends AsyncDisposable {
  /** What `JSR_URL` has to be. */
  readonly url: string;
}

/** Serves the package on a free port, until the end of the block. */
export async function serveJsr(port = 0): Promise<JsrServer> {
  const staged = await stage();
  const { name, version, exports } = CONFIG;
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  const manifest: Record<string, { size: number; checksum: string }> = {};
  for (const path of [...staged.files, "deno.json"]) {
    const bytes = await Deno.readFile(`${staged.dir}/${path}`);
    files.set(`/${name}/${version}/${path}`, bytes);
    manifest[`/${path}`] = { size: bytes.length, checksum: `sha256-${await sha256(bytes)}` };
  }
  const [scope, short] = name.slice(1).split("/");
  const documents: Record<string, unknown> = {
    [`/${name}/meta.json`]: { scope, name: short, latest: version, versions: { [version]: {} } },
    [`/${name}/${version}_meta.json`]: { manifest, exports },
  };
  // What Deno has cached of an earlier server on the same port is not this one's.
  const prefix = `/${crypto.randomUUID()}`;
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, ({ url }) => {
    const path = new URL(url).pathname.slice(prefix.length);
    if (documents[path] !== undefined) return Response.json(documents[path]);
    const file = files.get(path);
    if (file === undefined) return new Response("There is no such file", { status: 404 });
    const type = path.endsWith(".ts") ? "text/typescript" : "text/plain";
    return new Response(file, { headers: { "content-type": `${type}; charset=utf-8` } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}${prefix}/`,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await staged[Symbol.asyncDispose]();
    },
  };
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

if (import.meta.main) {
  const { url } = await serveJsr();
  console.log(`JSR_URL=${url} deno run -A jsr:${CONFIG.name}/migrate --help`);
}
