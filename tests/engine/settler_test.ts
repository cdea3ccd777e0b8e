import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { systemClock } from "../../src/core/clock.ts";
import type { ClaimedJob } from "../../src/core/lease.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { type Settled, Settler } from "../../src/engine/settler.ts";
import type { Settlement, SettleStatus, Store } from "../../src/store/store.ts";
import { DONE } from "../../src/testing/suite/context.ts";

/** A write that the store has begun. */
interface Write {
  readonly ids: readonly string[];
  accept(): void;
  refuse(): void;
}

function setup() {
  const writes: Write[] = [];
  const told: [string, Settled][] = [];
  let rooms = 0;
  const settle = (settlements: readonly Settlement[]) =>
    new Promise<SettleStatus[]>((resolve, reject) => {
      writes.push({
        ids: settlements.map(({ lease }) => lease.jobId),
        accept: () => resolve(settlements.map(() => "settled")),
        refuse: () => reject(new Error("refused")),
      });
    });
  const settler = new Settler({
    store: { jobs: { settle }, ping: () => Promise.resolve() } as unknown as Store,
    clock: systemClock,
    logger: silentLogger,
    onSettled: ({ lease }, status) => told.push([lease.jobId, status]),
    onRoom: () => rooms++,
  });
  let next = 0;
  const add = (count: number) => {
    for (let i = 0; i < count; i++) {
      const id = `job_${next++}`;
      const claim = { job: { id, name: "mail" }, lease: { jobId: id, token: 1 } };
      settler.add(claim as ClaimedJob, DONE);
    }
  };
  /** The writes under way, once whoever begins one has had its turn. */
  const sizes = async () => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return writes.map(({ ids }) => ids.length);
  };
  return { settler, writes, told, add, sizes, rooms: () => rooms };
}

describe("a settler", () => {
  it("gathers what ends while a write is under way, and begins a second one for many alone", async () => {
    const { settler, writes, told, add, sizes, rooms } = setup();
    add(3);
    assertEquals(await sizes(), [3]);
    add(749);
    assertEquals(await sizes(), [3]);
    add(1);
    assertEquals(await sizes(), [3, 750]);
    add(1200); // no third one
    assertEquals(await sizes(), [3, 750]);
    assertEquals([settler.size, settler.claims().length], [1953, 1953]);
    writes[1].accept();
    assertEquals(await sizes(), [3, 750, 1000]);
    writes[2].accept(); // 200 are left: too few for a second one
    assertEquals(await sizes(), [3, 750, 1000]);
    writes[0].accept();
    assertEquals(await sizes(), [3, 750, 1000, 200]);
    writes[3].accept();
    await settler.idle();
    assertEquals(settler.size, 0);
    assertEquals(rooms(), 4);
    assertEquals(new Set(told.map(([id]) => id)).size, 1953);
    assert(told.every(([, status]) => status === "settled"));
  });

  it("looks for the culprit of a write that is refused one write at a time, and loses none", async () => {
    const { settler, writes, told, add, sizes } = setup();
    add(800);
    await sizes();
    add(800);
    assertEquals(await sizes(), [800, 800]);
    writes[0].refuse();
    assertEquals(await sizes(), [800, 800]); // nothing beside the one that is left
    writes[1].accept();
    assertEquals(await sizes(), [800, 800, 400]); // the refused ones again, in parts
    for (let at = 2; settler.size > 0; at++) {
      writes[at].accept();
      await sizes();
      assert(at < 20, "it does not end");
    }
    assertEquals(told.length, 1600);
    assertEquals(new Set(told.map(([id]) => id)).size, 1600);
  });
});
