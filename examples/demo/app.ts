import { type Context, Hono } from "@hono/hono";
import { DispatchError, engineFrom, type Extension } from "@dispatch/dispatch";
import { BrokenImport, FlakyReport, LongExport, WelcomeMail } from "./jobs.ts";

/** The demo's application: three routes that enqueue, and Dispatch's own under /api/dispatch. */
export function createDemo(dispatch: Extension): Hono {
  const app = new Hono();
  dispatch.register(app);
  const api = dispatch.basePath;

  app.get("/", (c) => c.text(guide(new URL(c.req.url).origin, api)));

  app.post("/signup", async (c) => {
    const { email, name } = await readBody(c);
    const job = await engineFrom(c).enqueue(WelcomeMail, { email, name });
    return c.json({ job: job.id, see: `${api}/v1/jobs/${job.id}` }, 202);
  });

  app.post("/report", async (c) => {
    const job = await engineFrom(c).enqueue(FlakyReport, null);
    return c.json({ job: job.id, see: `${api}/v1/jobs/${job.id}` }, 202);
  });

  app.post("/import", async (c) => {
    const job = await engineFrom(c).enqueue(BrokenImport, null);
    return c.json({ job: job.id, see: `${api}/v1/jobs/${job.id}` }, 202);
  });

  app.post("/export", async (c) => {
    const seconds = c.req.query("seconds");
    const input = seconds === undefined ? {} : { seconds: Number(seconds) };
    const job = await engineFrom(c).enqueue(LongExport, input);
    return c.json({ job: job.id, see: `${api}/v1/jobs/${job.id}` }, 202);
  });

  app.onError((error, c) => {
    if (!(error instanceof DispatchError)) throw error;
    return c.json({ error: error.message, code: error.code }, 422);
  });
  return app;
}

/** What to try, as commands to paste. */
export function guide(origin: string, api: string): string {
  return `The Dispatch demo is listening on ${origin}. In another terminal, try:

  # a welcome mail: look into the outbox folder a moment later
  curl -X POST ${origin}/signup -H 'content-type: application/json' -d '{"email":"ada@example.com","name":"Ada"}'

  # a job that fails twice and then succeeds
  curl -X POST ${origin}/report

  # a job that always fails; two retries later it is in the dead letters
  curl -X POST ${origin}/import

  # a job of ten seconds: kill the demo meanwhile (kill -9), start it again, and it is finished
  curl -X POST ${origin}/export

  # what became of them
  curl ${origin}${api}/v1/jobs
  curl ${origin}${api}/v1/stats
  curl ${origin}${api}/v1/dlq

  # run a dead letter again, with an id from the list above
  curl -X POST ${origin}${api}/v1/dlq/<id>/replay

Ctrl-C stops it: running jobs are finished first. The jobs are kept in .dispatch/demo.kv.
`;
}

/** A JSON body or a form, as the sender likes. */
async function readBody(c: Context): Promise<{ email: string; name?: string }> {
  const isJson = c.req.header("content-type")?.includes("json") ?? false;
  const body: unknown = isJson ? await c.req.json().catch(() => ({})) : await c.req.parseBody();
  const { email, name } = (body ?? {}) as Record<string, unknown>;
  // Whatever is missing or of another type is refused by the job's own schema.
  return { email: email as string, ...(name !== undefined && { name: name as string }) };
}
