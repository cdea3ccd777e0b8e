import { assertEquals, assertRejects } from "@std/assert";
import { SqlError } from "../../../src/sql/sql_error.ts";
import type { Case } from "../suite.ts";

const TEXTS = [
  "",
  " ",
  "naïve café, Ærøskøbing, 東京, Ελλάδα, עברית",
  "👩‍👩‍👧‍👦 🇩🇰 👍🏽",
  `'single' "double" \`back\` \\ \\\\ $1 {a,"b"} %s`,
  "\u0001\t\n\r\u007f\u0085\u2028\ufeff",
  "null",
  "{}",
  "'; select 1; --",
  "\\'; select 1; --",
  "$1 $& $$ $'",
];

export const typeCases: readonly Case[] = [
  {
    name: "returns booleans, numbers, text and nulls as such",
    async run({ driver }) {
      const rows = await driver.query(`
        select true as yes, false as no, 1::int2 as small, -2::int4 as middle, 3::int8 as big,
          0.5::float4 as half, 1.0e-7::float8 as tiny, 'x'::text as text, 'y'::varchar as varchar,
          null::text as no_text, null::int8 as no_int8, null::bool as no_bool`);
      assertEquals(rows, [{
        yes: true,
        no: false,
        small: 1,
        middle: -2,
        big: 3,
        half: 0.5,
        tiny: 1e-7,
        text: "x",
        varchar: "y",
        no_text: null,
        no_int8: null,
        no_bool: null,
      }]);
    },
  },
  {
    name: "returns an int8 as a number, and refuses one that a number cannot hold",
    async run({ driver }) {
      const text = "select $1::text::int8 as n, ($1::text::int8)::text as t";
      for (const n of ["9007199254740991", "-9007199254740991", "0"]) {
        assertEquals(await driver.query(text, [n]), [{ n: Number(n), t: n }]);
      }
      const error = await assertRejects(() => driver.query(text, ["9007199254740993"]), SqlError);
      assertEquals(error.transient, false);
      assertEquals(await driver.query("select '9007199254740993'::int8::text as t"), [
        { t: "9007199254740993" },
      ]);
    },
  },
  {
    name: "takes booleans, numbers, text and nulls",
    async run({ driver }) {
      const text = `select $1::bool as b, $2::int4 as i, $3::int8 as l, $4::float8 as f,
        $5::text as t, pg_typeof($6::text)::text as type`;
      const take = (...params: (string | number | boolean | null)[]) => driver.query(text, params);
      assertEquals(await take(true, -7, 1_700_000_000_000, 0.1, "x", null), [
        { b: true, i: -7, l: 1_700_000_000_000, f: 0.1, t: "x", type: "text" },
      ]);
      assertEquals(await take(false, 0, -1, -1.5e300, "", "y"), [
        { b: false, i: 0, l: -1, f: -1.5e300, t: "", type: "text" },
      ]);
      assertEquals(await take(null, null, null, null, null, null), [
        { b: null, i: null, l: null, f: null, t: null, type: "text" },
      ]);
    },
  },
  {
    name: "takes and returns a moment as epoch milliseconds",
    async run({ driver }) {
      const text =
        `select (extract(epoch from to_timestamp($1::float8 / 1000)) * 1000)::float8 as at,
        (extract(epoch from clock_timestamp()) * 1000)::float8 as now`;
      const [{ at, now }] = await driver.query<{ at: number; now: number }>(text, [
        1_700_000_000_123,
      ]);
      assertEquals(at, 1_700_000_000_123);
      assertEquals(Math.abs(now - Date.now()) < 60_000, true);
    },
  },
  {
    name: "encodes JSON once",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int, doc jsonb, raw json)`);
      const doc = { text: TEXTS.join("|"), list: [1, 2.5, null, true], nested: { "a b": {} } };
      const batch = [{ id: 1, doc }, { id: 2, doc: "just text" }, { id: 3, doc: null }];
      await driver.query(
        `insert into ${table} select id, doc, doc::text::json from jsonb_to_recordset($1::text::jsonb)
          as item(id int, doc jsonb)`,
        [JSON.stringify(batch)],
      );
      const rows = await driver.query<{ doc: string; raw: string; kind: string; a: string | null }>(
        `select doc::text, raw::text, jsonb_typeof(doc) as kind, doc->>'text' as a
          from ${table} order by id`,
      );
      assertEquals(rows.map(({ kind }) => kind), ["object", "string", null as unknown as string]);
      assertEquals(rows[0].a, doc.text);
      assertEquals(JSON.parse(rows[0].doc), doc);
      assertEquals(JSON.parse(rows[0].raw), doc);
      assertEquals(JSON.parse(rows[1].doc), "just text");
    },
  },
  {
    name: "keeps every character of a text",
    async run({ driver }) {
      for (const text of TEXTS) {
        assertEquals(await driver.query("select $1::text as text", [text]), [{ text }]);
      }
    },
  },
  {
    name: "refuses the one character that PostgreSQL cannot keep",
    async run({ driver }) {
      const query = () => driver.query("select $1::text as text", ["a\0b"]);
      assertEquals((await assertRejects(query, SqlError)).sqlState, "22021");
      assertEquals(await driver.query("select $1::text as text", ["ab"]), [{ text: "ab" }]);
    },
  },
  {
    name: "takes arrays as literals",
    async run({ driver }) {
      const rows = await driver.query(
        `select id, name from unnest($1::text::int8[], $2::text::text[]) with ordinality
          as item(id, name, place) order by place`,
        ["{3,1,2}", '{a,"b \\"c\\"",NULL}'],
      );
      assertEquals(rows, [{ id: 3, name: "a" }, { id: 1, name: 'b "c"' }, { id: 2, name: null }]);
    },
  },
  {
    name: "names columns in lower snake case",
    async run({ driver }) {
      const rows = await driver.query('select 1 as run_at, 2 as a, 3 as "c1", 4 as a_b_c');
      assertEquals(rows, [{ run_at: 1, a: 2, c1: 3, a_b_c: 4 }]);
    },
  },
  {
    name: "takes a parameter of 5 MB, and returns 20,000 rows",
    async run({ driver }) {
      const text = "æ🙂-".repeat(700_000);
      const rows = await driver.query<{ text: string; length: number }>(
        "select $1::text as text, octet_length($1::text) as length",
        [text],
      );
      assertEquals(rows[0].length, 7 * 700_000);
      assertEquals(rows[0].text === text, true);
      const many = await driver.query<{ n: number; text: string }>(
        "select n::int8 as n, 'row ' || n as text from generate_series(1, $1::int4) as n order by n",
        [20_000],
      );
      assertEquals(many.length, 20_000);
      assertEquals(many.every(({ n, text }, i) => n === i + 1 && text === `row ${i + 1}`), true);
    },
  },
  {
    name: "returns no rows where a statement has none",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      assertEquals(await driver.query(`insert into ${table} values ($1)`, [1]), []);
      assertEquals(await driver.query(`select id from ${table} where id = $1`, [2]), []);
      assertEquals(await driver.query(`delete from ${table} returning id`), [{ id: 1 }]);
    },
  },
  {
    name: "answers 200 statements at once, each its own",
    async run({ driver }) {
      const answers = await Promise.all(
        Array.from(
          { length: 200 },
          (_, i) =>
            i % 10 === 9
              ? driver.query("select 1 / ($1::int4 - $1::int4) as n", [i]).catch(() => [{ n: -i }])
              : driver.query("select $1::int4 as n", [i]),
        ),
      );
      assertEquals(answers, Array.from({ length: 200 }, (_, i) => [{ n: i % 10 === 9 ? -i : i }]));
    },
  },
];
