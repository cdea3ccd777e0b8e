import { Hono } from "@hono/hono";

/** Whether the store answers. */
export interface Health {
  /** `error` where it does not. */
  status: "ok" | "error";
  /** Kind of store. */
  store: string;
  /** False where everything is gone when the process ends. */
  durable: boolean;
  /** Milliseconds it took to answer; `null` where it did not. */
  latencyMs: number | null;
  /** Why it did not answer. */
  error?: string;
  /** Version of this package. */
  version: string;
}

/** `/health`: 200 or 503, for load balancers. It is open, and shows no error that may name a host. */
export function healthRoutes(health: () => Promise<Health>): Hono {
  const routes = new Hono();
  routes.get("/", async (c) => {
    const { status, store, durable, latencyMs, version } = await health();
    const error = status === "ok" ? null : "Cannot reach the store";
    return c.json(
      { status, store, durable, latency_ms: latencyMs, error, version },
      status === "ok" ? 200 : 503,
    );
  });
  return routes;
}
