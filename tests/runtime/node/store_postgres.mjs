/** The conformance suite on Postgres with postgres.js. */
import postgres from "postgres";
import { testPostgres } from "./postgres_suite.mjs";

testPostgres("postgres.js", postgres(process.env.DATABASE_URL, { max: 8, onnotice() {} }));
