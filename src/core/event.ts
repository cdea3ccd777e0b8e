import type { EpochMs } from "./clock.ts";
import { withPrefix } from "./id.ts";
import { decodeJson, type Json, type JsonText } from "./json.ts";

/**
 * What a store is given of an event. One that names a run is for that run alone and kept until it
 * takes it or ends; any other is for every run that waits for its name and key, and is kept for
 * those that come late.
 */
export interface NewEvent {
  /** `evt_…`, made by the creator. */
  readonly id: string;
  /** Job of the run that it is for; null is for all that wait. */
  readonly jobId: string | null;
  /** What happened. */
  readonly name: string;
  /** Which runs it is for, among those that wait for the name. */
  readonly key: string | null;
  /** What goes with it, as JSON text. */
  readonly payload: JsonText;
  /** While an event of this name with this key is kept, no second one is taken. */
  readonly idempotencyKey: string | null;
}

/** An event as stores keep it. */
export interface EventRecord extends NewEvent {
  /** When it came. */
  readonly createdAt: EpochMs;
  /** Runs that were waiting for it when it came. */
  readonly delivered: number;
}

/** An event as users see it. */
export interface Event {
  /** `evt_…`. */
  readonly id: string;
  /** What happened. */
  readonly name: string;
  /** The run that it was for, if for one. */
  readonly runId: string | null;
  /** Which runs it was for. */
  readonly key: string | null;
  /** What went with it. */
  readonly payload: Json;
  /** When it came. */
  readonly createdAt: Date;
  /** Runs that were waiting for it when it came. Those that wait later are not counted. */
  readonly delivered: number;
}

/** Turns a record into what users see. */
export function toEvent(record: EventRecord): Event {
  return {
    id: record.id,
    name: record.name,
    runId: record.jobId === null ? null : withPrefix("run", record.jobId),
    key: record.key,
    payload: decodeJson(record.payload) as Json,
    createdAt: new Date(record.createdAt),
    delivered: record.delivered,
  };
}

/** What a step that waits for events is given: which of them came, and with what. */
export function eventResult(
  event: { readonly name: string; readonly payload: JsonText },
): JsonText {
  return `{"name":${JSON.stringify(event.name)},"payload":${event.payload}}`;
}
