/** `deno task demo`: a small application whose requests become jobs, which outlive it. */
import { createExtension, createRegistry } from "@dispatch/dispatch";
import { createDemo, guide } from "./app.ts";
import { BrokenImport, FlakyReport, LongExport, WelcomeMail } from "./jobs.ts";

const port = Number(Deno.env.get("PORT") ?? 8000);
const folder = Deno.env.get("DEMO_FOLDER") ?? ".dispatch";
await Deno.mkdir(folder, { recursive: true });

const dispatch = createExtension({
  registry: createRegistry({ kvs: { default: `${folder}/demo.kv` } }),
  groveKv: "default",
  jobs: [WelcomeMail, FlakyReport, BrokenImport, LongExport],
  config: false,
  shutdownTimeout: "10s",
  leaseDuration: "5s", // so soon the jobs of a process that was killed are taken up by the next
  heartbeatInterval: "1s",
});
await dispatch.start();

const server = Deno.serve({
  hostname: "127.0.0.1", // the admin API is open: nobody else should reach it
  port,
  onListen() {}, // said below, once Ctrl-C works
}, createDemo(dispatch).fetch);

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, async () => {
    console.log(`\n${signal}: finishing what is running`);
    await server.shutdown();
    await dispatch.stop();
    console.log("stopped");
    Deno.exit(0);
  });
}
console.log(guide(`http://127.0.0.1:${server.addr.port}`, dispatch.basePath));
