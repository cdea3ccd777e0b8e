import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createPool, type Pooled } from "../../src/sql/pool.ts";
import { SqlError } from "../../src/sql/sql_error.ts";
import { until } from "./suite/helpers.ts";

interface Fake extends Pooled {
  readonly id: number;
  broken: boolean;
}

function setup(options: { max?: number; waitMs?: number; idleMs?: number } = {}) {
  const state = { opened: 0, ended: 0, down: false, attempts: 0 };
  const connections: Fake[] = [];
  const pool = createPool<Fake>({
    async open() {
      state.attempts++;
      await Promise.resolve();
      if (state.down) throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
      const fake: Fake = {
        id: state.opened++,
        broken: false,
        end: () => Promise.resolve(void state.ended++),
      };
      connections.push(fake);
      return fake;
    },
    max: 2,
    waitMs: 1000,
    idleMs: 1000,
    ...options,
  });
  return { pool, state, connections };
}

const id = (fake: Fake) => Promise.resolve(fake.id);

describe("createPool()", () => {
  it("uses one connection again and again, the one used last first", async () => {
    const { pool, state } = setup();
    for (let i = 0; i < 5; i++) assertEquals(await pool.use(id), 0);
    assertEquals(state.opened, 1);
    await pool.close();
    assertEquals(state.ended, 1);
  });

  it("gives an idle one away for good, and opens another for who comes then", async () => {
    const { pool, state } = setup({ max: 1 });
    assertEquals(pool.take(), null);
    await pool.use(id);
    const taken = pool.take();
    assertEquals(taken?.id, 0);
    assertEquals(pool.take(), null);
    assertEquals(await pool.use(id), 1);
    pool.drop(taken!); // it has broken, but is the pool's no more
    await pool.close();
    assertEquals(state.ended, 1);
  });

  it("serves who waits in the order in which they came", async () => {
    const { pool, state } = setup({ max: 1 });
    const served: number[] = [];
    await Promise.all([1, 2, 3, 4].map((n) => pool.use(() => Promise.resolve(served.push(n)))));
    assertEquals(served, [1, 2, 3, 4]);
    assertEquals(state.opened, 1);
    await pool.close();
  });

  it("gives a connection back when the work throws", async () => {
    const { pool, state } = setup({ max: 1 });
    for (let i = 0; i < 3; i++) {
      await pool.use(() => Promise.reject(new Error("no"))).catch(() => {});
    }
    assertEquals([state.opened, state.ended], [1, 0]);
    await pool.close();
  });

  it("replaces a connection that broke, in use or idle", async () => {
    const { pool, state, connections } = setup({ max: 1 });
    await pool.use((fake) => Promise.resolve(void (fake.broken = true)));
    assertEquals(await pool.use(id), 1);
    connections[1].broken = true;
    pool.drop(connections[1]);
    pool.drop(connections[1]);
    assertEquals(await pool.use(id), 2);
    assertEquals([state.opened, state.ended], [3, 2]);
    await pool.close();
  });

  it("refuses who has waited for too long, and no one else", async () => {
    const { pool } = setup({ max: 1, waitMs: 20 });
    const free = Promise.withResolvers<void>();
    const busy = pool.use(() => free.promise);
    const error = await assertRejects(() => pool.use(id), SqlError);
    assertEquals([error.transient, error.uncertain], [true, false]);
    free.resolve();
    await busy;
    assertEquals(await pool.use(id), 0);
    await pool.close();
  });

  it("tries one connection at a time while none can be had, ever more slowly", async () => {
    const { pool, state } = setup({ max: 5 });
    state.down = true;
    let failed = 0;
    const began = Date.now();
    while (Date.now() - began < 400) {
      const calls = Array.from({ length: 20 }, () => pool.use(id).catch(() => failed++));
      await Promise.all(calls);
    }
    assert(failed >= 60 && failed % 20 === 0, `${failed} calls failed`);
    assert(state.attempts <= 5 + 5, `${state.attempts} attempts`);
    state.down = false;
    const ids = await Promise.all(Array.from({ length: 20 }, () => pool.use(id)));
    assertEquals(ids.length, 20);
    await pool.close();
    assertEquals(state.ended, state.opened);
  });

  it("ends what nobody has used for a while", async () => {
    const { pool, state } = setup({ idleMs: 20 });
    await Promise.all([pool.use(id), pool.use(id)]);
    assertEquals([state.opened, state.ended], [2, 0]);
    await until(() => state.ended === 2, "both are ended");
    assertEquals(await pool.use(id), 2);
    await pool.close();
  });

  it("waits at its close for who is at work, and refuses the others", async () => {
    const { pool, state } = setup({ max: 1 });
    const free = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const busy = pool.use(() => (begun.resolve(), free.promise));
    await begun.promise;
    const refused = assertRejects(() => pool.use(id), SqlError);
    let closed = false;
    const closing = pool.close().then(() => void (closed = true));
    assertEquals((await refused).transient, false);
    assertEquals([closed, state.ended], [false, 0]);
    free.resolve();
    await busy;
    await closing;
    assertEquals(state.ended, 1);
    await assertRejects(() => pool.use(id), SqlError);
    await pool.close();
  });

  it("closes while it waits to try again", async () => {
    const { pool, state } = setup({ max: 1 });
    state.down = true;
    await pool.use(id).catch(() => {});
    await pool.use(id).catch(() => {});
    const waiting = assertRejects(() => pool.use(id), SqlError);
    await pool.close();
    await waiting;
  });
});
