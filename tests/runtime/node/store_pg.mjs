/** The conformance suite on Postgres with node-postgres. */
import pg from "pg";
import { testPostgres } from "./postgres_suite.mjs";

testPostgres("pg", new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 8 }));
