import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { afterEach, beforeEach, describe, it } from "@std/testing/bdd";
import { example } from "./run.ts";

/** The demo as a process of its own, on a free port and with an outbox of its own. */
class Demo {
  readonly outbox: string;
  readonly #process: Deno.ChildProcess;
  readonly #stdout: ReadableStreamDefaultReader<string>;
  #printed = "";
  #origin = "";

  /** @param outbox that of a demo which went on in the same folder, if any */
  constructor(outbox: string = Deno.makeTempDirSync({ prefix: "dispatch-demo-" })) {
    this.outbox = outbox;
    this.#process = example("examples/demo/main.ts", {
      env: { PORT: "0", OUTBOX: outbox, DEMO_FOLDER: outbox },
    }).spawn();
    this.#stdout = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Reads what it prints until the text appears. */
  async prints(text: string): Promise<string> {
    while (!this.#printed.includes(text)) {
      const { done, value } = await this.#stdout.read();
      assert(!done, `the demo ended before it printed ${text}:\n${this.#printed}`);
      this.#printed += value;
    }
    return this.#printed;
  }

  async ready(): Promise<void> {
    this.#origin = /listening on (http:\S+)\. In/.exec(await this.prints("Ctrl-C"))![1];
  }

  // deno-lint-ignore no-explicit-any -- tests look into the answers freely
  async call(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
    const response = await fetch(this.#origin + path, {
      method,
      ...(body !== undefined && {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
    return { status: response.status, body: await response.json() };
  }

  /** Asks for a job until it has reached a state. */
  // deno-lint-ignore no-explicit-any
  async job(id: string, state: string): Promise<any> {
    for (;;) {
      const { body } = await this.call("GET", `/api/dispatch/v1/jobs/${id}`);
      if (body.state === state) return body;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(signal: Deno.Signal): Promise<number> {
    this.#process.kill(signal);
    await this.prints("stopped");
    return (await this.#process.status).code;
  }

  async kill(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch { /* it has ended */ }
    await this.#process.status;
    await this.#stdout.cancel();
    await this.#process.stderr.cancel();
  }

  async dispose(): Promise<void> {
    await this.kill();
    await Deno.remove(this.outbox, { recursive: true });
  }
}

describe("the demo", () => {
  let demo: Demo;
  beforeEach(async () => {
    demo = new Demo();
    await demo.ready();
  });
  afterEach(() => demo.dispose());

  it("writes a welcome mail for a signup", async () => {
    const { status, body } = await demo.call("POST", "/signup", {
      email: "ada@example.com",
      name: "Ada Łovelace",
    });
    assertEquals(status, 202);
    await demo.job(body.job, "completed");
    const mail = await Deno.readTextFile(`${demo.outbox}/${body.job}.eml`);
    assertStringIncludes(mail, "To: <ada@example.com>\r\n");
    assertMatch(mail, /\r\nSubject: =\?utf-8\?B\?\S+\?=\r\n/);
    assertStringIncludes(mail, "\r\n\r\nHello Ada Łovelace,\r\n");
  });

  it("refuses a signup without an address and goes on", async () => {
    const { status, body } = await demo.call("POST", "/signup", { email: "nobody" });
    assertEquals([status, body.code], [422, "invalid_payload"]);
    assertEquals((await demo.call("POST", "/signup", {})).status, 422);
    assertEquals((await demo.call("GET", "/api/dispatch/health")).body.status, "ok");
  });

  it("retries what fails at first until it succeeds", async () => {
    const { body } = await demo.call("POST", "/report");
    const job = await demo.job(body.job, "completed");
    assertEquals([job.retry_count, job.result], [2, { pages: 12, attempts: 3 }]);
  });

  it("buries what always fails and replays it from the dead letters", async () => {
    const { body } = await demo.call("POST", "/import");
    await demo.job(body.job, "failed");
    const { body: letters } = await demo.call("GET", "/api/dispatch/v1/dlq");
    assertEquals(letters.length, 1);
    assertEquals([letters[0].job_id, letters[0].error], [body.job, "the file has no header line"]);
    const replay = await demo.call("POST", `/api/dispatch/v1/dlq/${letters[0].id}/replay`);
    assertEquals(replay.status, 201);
    await demo.job(replay.body.id, "failed");
    assertEquals((await demo.call("GET", "/api/dispatch/v1/dlq/count")).body, { count: 2 });
  });

  it("that is killed in the middle of a job is followed by one that finishes it", async () => {
    const { body } = await demo.call("POST", "/export?seconds=3");
    await demo.prints("attempt 1 begins");
    await demo.job(body.job, "running");
    await demo.kill();
    demo = new Demo(demo.outbox);
    await demo.ready();
    assertEquals((await demo.job(body.job, "completed")).result, { attempts: 2 });
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it(`stops cleanly on ${signal}`, async () => {
      assertEquals(await demo.stop(signal), 0);
    });
  }
});
