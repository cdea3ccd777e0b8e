import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { assertProblem, BASE, serve } from "./harness.ts";

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
const JSON_TYPE = { "Content-Type": "application/json" };
const FOREIGN = { "Origin": "https://evil.example" };
const OWN = { "Origin": "http://localhost" };

describe("protection against requests that other sites have a browser send", () => {
  const refused: [string, HeadersInit][] = [
    ["a form of another origin", { ...FORM, ...FOREIGN }],
    ["a form of another origin, uploading", { ...FOREIGN, "Content-Type": "multipart/form-data" }],
    ["a text of another origin", { ...FOREIGN, "Content-Type": "text/plain" }],
    ["JSON that pretends to be a text", { ...FOREIGN, "Content-Type": "text/plain;json" }],
    ["no content type, from another origin", FOREIGN],
    ["an opaque origin", { Origin: "null" }],
    ["a cross-site request without an origin", { "Sec-Fetch-Site": "cross-site" }],
    ["a neighbouring subdomain", { ...FORM, "Sec-Fetch-Site": "same-site" }],
    ["the same host in another scheme", { Origin: "https://localhost" }],
    ["the same host on another port", { Origin: "http://localhost:8080" }],
  ];
  for (const [what, headers] of refused) {
    it(`refuses ${what}`, async () => {
      await using api = await serve();
      await api.dead();
      for (const path of ["/v1/dlq/purge", "/v1/queues/default/pause"]) {
        const response = await api.app.request(BASE + path, { method: "POST", headers });
        await assertProblem(response, 403, "forbidden");
      }
      assertEquals(await api.engine.dlq.count(), 1);
      assertEquals((await api.engine.queues.list()).some(({ paused }) => paused), false);
    });
  }

  const taken: [string, HeadersInit][] = [
    ["a client that is no browser", {}],
    ["such a client that says it sends a form", FORM],
    ["a page of the same origin", OWN],
    ["a page of the same origin behind a proxy", { ...FOREIGN, "Sec-Fetch-Site": "same-origin" }],
    ["JSON of another origin, which a browser asks for first", { ...JSON_TYPE, ...FOREIGN }],
  ];
  for (const [what, headers] of taken) {
    it(`takes ${what}`, async () => {
      await using api = await serve();
      const response = await api.app.request(`${BASE}/v1/queues/mail/pause`, {
        method: "POST",
        headers,
      });
      assertEquals(response.status, 204);
    });
  }

  it("lets anyone read, which the browser keeps from other origins", async () => {
    await using api = await serve();
    const response = await api.get("/v1/jobs", FOREIGN);
    assertEquals(response.status, 200);
    assertEquals(response.headers.get("Access-Control-Allow-Origin"), null);
    assertEquals(response.headers.get("Cross-Origin-Resource-Policy"), "same-origin");
  });

  it("grants no preflight", async () => {
    await using api = await serve();
    const response = await api.app.request(`${BASE}/v1/jobs`, {
      method: "OPTIONS",
      headers: { ...FOREIGN, "Access-Control-Request-Method": "POST" },
    });
    assert(!response.ok);
    assertEquals(response.headers.get("Access-Control-Allow-Origin"), null);
  });
});

describe("the body limit", () => {
  const body = (bytes: number) => {
    const frame = JSON.stringify({ name: "later", payload: "" });
    return frame.replace('""', `"${"x".repeat(bytes - frame.length)}"`);
  };

  it("is 2 MiB", async () => {
    await using api = await serve();
    const tooLarge = await api.post("/v1/jobs", body(2 * 2 ** 20 + 1));
    await assertProblem(tooLarge, 413, "body_too_large");
    const justFits = await api.post("/v1/jobs", body(2 * 2 ** 20));
    await assertProblem(justFits, 413, "payload_too_large"); // by the store, which takes 1 MiB
  });

  it("can be set, and holds for every route", async () => {
    await using api = await serve({ maxBodyBytes: 100 });
    assertEquals((await api.post("/v1/jobs", body(100))).status, 201);
    await assertProblem(await api.post("/v1/jobs", body(101)), 413, "body_too_large");
    await assertProblem(await api.post("/v1/dlq/purge", body(101)), 413, "body_too_large");
    await assertProblem(await api.post("/v1/queues/a/pause", body(101)), 413, "body_too_large");
  });

  it("believes a length that is announced, and counts where none is", async () => {
    await using api = await serve({ maxBodyBytes: 100 });
    const announced = await api.post("/v1/jobs", body(50), { "Content-Length": "101" });
    await assertProblem(announced, 413, "body_too_large");
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(64));
      },
    });
    const request = new Request(`http://localhost${BASE}/v1/jobs`, {
      method: "POST",
      headers: JSON_TYPE,
      body: endless,
      duplex: "half",
    } as RequestInit);
    await assertProblem(await api.app.fetch(request), 413, "body_too_large");
    assert(pulled < 10);
  });
});

describe("headers", () => {
  it("of every answer forbid caching, sniffing, framing and loading anything", async () => {
    await using api = await serve();
    const answers = [
      await api.get("/v1/jobs"),
      await api.get("/health"),
      await api.get("/v1/jobs/nonsense"),
      await api.get("/no/such/route"),
      await api.post("/v1/queues/mail/pause"),
      await api.post("/v1/queues/mail/pause", "", FOREIGN),
      await api.app.request(`${BASE}/v1/jobs`, { method: "PUT" }),
      await api.app.request(`${BASE}/v1/jobs`, { method: "HEAD" }),
    ];
    for (const { headers } of answers) {
      assertEquals(headers.get("Cache-Control"), "no-store");
      assertEquals(headers.get("X-Content-Type-Options"), "nosniff");
      assertEquals(headers.get("X-Frame-Options"), "DENY");
      assertEquals(headers.get("Referrer-Policy"), "no-referrer");
      assertEquals(
        headers.get("Content-Security-Policy"),
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
      );
    }
  });

  it("bind nothing but the answer: a guest does not decide on TLS for its host", async () => {
    await using api = await serve();
    const { headers } = await api.get("/v1/jobs");
    assertEquals(headers.get("Strict-Transport-Security"), null);
    assertEquals(headers.get("Origin-Agent-Cluster"), null);
  });
});
