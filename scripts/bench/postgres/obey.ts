/** An order, as `child.ts` sends it; what else belongs to it is its own. */
interface Order {
  readonly do: string;
}

/** Carries out the orders that come, one JSON text a line, and answers each with what it returns. */
export async function obey<Options>(
  commands: Record<string, (options: Options) => Promise<unknown>>,
): Promise<void> {
  let rest = "";
  for await (const chunk of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop()!;
    for (const line of lines) {
      const order: Order & Options = JSON.parse(line);
      const result = await commands[order.do](order);
      console.log(JSON.stringify({ result: result ?? null }));
    }
  }
}

/** Milliseconds that `work` takes. */
export async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}
