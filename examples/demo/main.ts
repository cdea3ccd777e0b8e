/** `deno task demo`: a small application whose requests become jobs. */
import { createExtension } from "@dispatch/dispatch";
import { createDemo, guide } from "./app.ts";
import { BrokenImport, FlakyReport, WelcomeMail } from "./jobs.ts";

const port = Number(Deno.env.get("PORT") ?? 8000);

const dispatch = createExtension({
  jobs: [WelcomeMail, FlakyReport, BrokenImport],
  config: false,
  shutdownTimeout: "10s",
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
