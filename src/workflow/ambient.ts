import type { Ambient } from "./host.ts";

/**
 * Knows what is inside a step until its first await: all that can be known without help of the
 * runtime.
 */
export function plainAmbient(): Ambient {
  let depth = 0;
  return {
    run(work) {
      depth++;
      try {
        return work();
      } finally {
        depth--;
      }
    },
    inside: () => depth > 0,
  };
}
