import { constant, defineJob } from "@dispatch/dispatch";
import * as v from "valibot";
import { writeMail } from "./outbox.ts";

/** A mail to someone who signed up, written to the outbox as an .eml file. */
export const WelcomeMail = defineJob({
  name: "welcome_mail",
  input: v.object({
    email: v.pipe(v.string(), v.trim(), v.email("is no e-mail address")),
    name: v.optional(v.pipe(v.string(), v.trim(), v.maxLength(100)), "friend"),
  }),
  timeout: "10s",
  handler: async ({ email, name }, job) => {
    const file = await writeMail({
      id: job.id, // a second attempt overwrites the first one's file: the mail goes out once
      to: email,
      subject: `Welcome, ${name}!`,
      text: `Hello ${name},\n\nthank you for signing up.\n\nYour demo`,
    });
    console.log(`  wrote ${file}`);
    return { file };
  },
});

/** Fails twice, then succeeds. */
export const FlakyReport = defineJob({
  name: "flaky_report",
  maxRetries: 5,
  backoff: constant("1s"),
  handler: (_input: unknown, job) => {
    if (job.attempt < 3) throw new Error(`the report server is busy (attempt ${job.attempt})`);
    return { pages: 12, attempts: job.attempt };
  },
});

/** Takes its time: long enough to kill the demo meanwhile. */
export const LongExport = defineJob({
  name: "long_export",
  input: v.object({ seconds: v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(60)), 10) }),
  handler: async ({ seconds }, job) => {
    console.log(`  long_export: attempt ${job.attempt} begins`);
    for (let second = 0; second < seconds; second++) {
      await job.progress({ second, of: seconds });
      await new Promise((resolve) => setTimeout(resolve, 1000));
      job.signal.throwIfAborted();
    }
    console.log("  long_export: done");
    return { attempts: job.attempt };
  },
});

/** Always fails: after two retries it is in the dead letters. */
export const BrokenImport = defineJob({
  name: "broken_import",
  maxRetries: 2,
  backoff: constant("500ms"),
  handler: () => {
    throw new Error("the file has no header line");
  },
});
