import postgres from "postgres";
import { toSqlDriver } from "../../src/sql/detect.ts";
import { type Open, testDriver } from "./suite.ts";

// Cases kill connections, which those that fetch types do not survive: see src/sql/porsager.ts.
const base = { max: 5, onnotice: () => {}, fetch_types: false };

const open = (extra: postgres.Options<Record<string, never>>): Open => (url, options) => {
  const sql = postgres(url, { ...base, ...extra });
  return Promise.resolve({
    driver: toSqlDriver(sql, options),
    inTransaction: (work) => sql.begin((tx) => work(tx)),
    end: () => sql.end({ timeout: 1 }),
  });
};

testDriver("postgres.js", open({}));
testDriver(
  "postgres.js with transformations and parsers of the user's own",
  open({
    transform: { ...postgres.camel, undefined: null },
    types: {
      bigint: postgres.BigInt,
      text: { to: 25, from: [25], serialize: String, parse: (text: string) => `<${text}>` },
    },
  } as never),
);
testDriver("postgres.js that does not prepare", open({ prepare: false }));
