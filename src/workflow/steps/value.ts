import { encodeJson } from "../../core/json.ts";
import { isLabel } from "../../core/name.ts";
import { DispatchError, show } from "../../core/errors.ts";
import type { StepKind } from "../../core/run.ts";
import { decodeJson } from "../../core/json.ts";
import type { Memo } from "../memo.ts";
import type { Call } from "../order.ts";

/** Remembers a value that is there at once. */
export function valueStep(
  memo: Memo,
  kind: StepKind,
  name: string,
  make: () => unknown,
): Promise<unknown> {
  const start = (call: Call): void =>
    void memo.work(async () => {
      const result = encodeJson(make(), `the value of ${name}`, memo.host.maxPayloadBytes);
      const slot = memo.reserve(call);
      await memo.recorder.save({
        position: call.position,
        name: call.name,
        kind,
        state: "completed",
        attempt: 1,
        result,
        failure: null,
        delayMs: null,
        seq: slot.seq,
        elapsedMs: 0,
      });
      memo.fill(slot, { state: "completed", value: decodeJson(result) });
    });
  return memo.call(kind, name, start);
}

/** Remembers what others can ask for. */
export function setStep(memo: Memo, key: string, value: unknown): Promise<unknown> {
  try {
    if (!isLabel(key, 150)) {
      throw new DispatchError("invalid_step", `Cannot set ${show(key)}`, {
        hint: "A key is a text of 1 to 150 characters, without NUL.",
      });
    }
    encodeJson(value, `the value of ${key}`, memo.host.maxPayloadBytes);
  } catch (error) {
    return Promise.reject(error);
  }
  return valueStep(memo, "set", key, () => value);
}

/** Adds a message to what the run tells. */
export function emitStep(memo: Memo, message: unknown): Promise<unknown> {
  try {
    encodeJson(message, "the message", memo.host.maxPayloadBytes);
  } catch (error) {
    return Promise.reject(error);
  }
  return valueStep(memo, "emit", "emit", () => message);
}
