import type { Scope } from "../core/job.ts";
import type { Engine } from "./engine.ts";

/** What takes a scope among its options, and at which place they stand. */
const SCOPED: Record<string, number> = { enqueue: 2, startWorkflow: 2 };

/** The same engine, whose jobs and runs default to a scope. */
export function scopedEngine(engine: Engine, scope: Scope): Engine {
  const scoped = (options?: { scope?: Scope }) => ({ ...options, scope: options?.scope ?? scope });
  const enqueueMany: Engine["enqueueMany"] = (items, options) =>
    engine.enqueueMany(items.map((item) => ({ ...item, options: scoped(item.options) })), options);
  return new Proxy(engine, {
    get(target, key) {
      if (key === "enqueueMany") return enqueueMany;
      const value = Reflect.get(target, key);
      if (typeof value !== "function") return value;
      const at = SCOPED[String(key)];
      if (at === undefined) return value.bind(target);
      return (...args: { scope?: Scope }[]) => {
        const given = [...args.slice(0, at), ...Array(Math.max(0, at - args.length))];
        return value.apply(target, [...given, scoped(args[at])]);
      };
    },
  });
}
