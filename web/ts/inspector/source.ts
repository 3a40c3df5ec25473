// What the inspector asks of a store, wherever that is. Sequences are numbers here: they are shown
// and compared, and 2^53 events are more than anybody looks at.

import type { LiveOptions, StoredEvent } from "../types.js";

/** Which events: those that pass every filter given. */
export interface Filter {
  /** An entity and all within it. */
  entity?: string;
  /** One entity alone. */
  stream?: string;
  /** Every entity that begins with these characters. */
  prefix?: string;
  scope?: string;
  /** Any of these kinds, by name. */
  types?: readonly string[];
  /** From this time on, in milliseconds since 1970. */
  since?: number;
  /** Up to this time, itself included. */
  until?: number;
  correlation?: string;
  causation?: string;
  /** What the text of the payload must hold, in letters of either case. */
  text?: string;
}

/** An event in a list. */
export interface EventRow {
  sequence: number;
  id: string;
  entity: string;
  scope: string;
  version: number;
  kind: number;
  /** The kind's name, or its number as text. */
  type: string;
  /** Milliseconds since 1970. */
  time: number;
  correlation: string;
  causation?: string;
  format?: "json" | "raw" | "postcard";
  /** Of the payload; `undefined` where it was erased. */
  bytes?: number;
  /** The beginning of the payload as text, or as hex where it is none. */
  preview?: string;
  /** The payload, where it was asked for and is JSON. */
  payloadText?: string;
  /** The payload in hex, where it was asked for and is none. */
  payloadHex?: string;
  hash?: string;
  previousHash?: string;
}

/** All there is to one event. */
export interface EventDetail extends EventRow {
  payloadVersion: number;
  isErased: boolean;
  /** The first bytes of a payload that is no JSON, whatever it says of itself. */
  payloadBytes?: Uint8Array;
  flags: number;
  /** Its place in causal order, in words. */
  position: string;
  admission?: string;
  /** As text where it is that, else the bytes. */
  metadata?: string | Uint8Array;
  contentHash?: string;
  /** Its bytes in the file, the first of them at least, where the source can tell. */
  record?: { file: string; offset: number; length: number; bytes: Uint8Array };
}

export interface StreamRow {
  entity: string;
  events: number;
  version: number;
  sequence: number;
  time: number;
  /** The kind of its last event. */
  type: string;
}

export interface SegmentRow {
  file: string;
  isSealed: boolean;
  firstSequence: number;
  events: number;
  bytes: number;
}

/** A tab that has the store open. */
export interface TabRow {
  /** As the browser names it. */
  id: string;
  isLeader: boolean;
}

/** Numbers about the store. */
export interface InspectorStats {
  name: string;
  events: number;
  entities: number;
  bytes: number;
  segmentCount: number;
  /** The sequence behind the last event. */
  end: number;
  scopes?: number;
  /** The kinds with how many events each has, where the source knows them. */
  kinds?: readonly { type: string; kind: number; events: number }[];
  segments?: readonly SegmentRow[];
  /** More about the store, to be shown as it is. */
  facts: readonly (readonly [name: string, value: string])[];
}

export interface EventsPage {
  events: EventRow[];
  /** What to give as `after` for the next page. */
  next?: number;
  isDone: boolean;
  /** How many events were looked at. */
  lookedAt: number;
}

export interface EventsRequest {
  filter: Filter;
  /** Only events behind this sequence, in the direction of reading. */
  after?: number;
  direction: "forward" | "backward";
  limit: number;
  /** Whether the events carry their payloads. */
  withPayload?: boolean;
  signal?: AbortSignal;
}

/** Events in equal parts of time, in microseconds since 1970. */
export interface Rates {
  /** The time of the first event and the last. */
  firstUs: number;
  lastUs: number;
  /** How long a part is. */
  stepUs: number;
  /** The number of the first part: it begins at so many times `stepUs`. */
  part: number;
  /** How many events each part has. */
  counts: number[];
}

export interface RatesPage {
  /** Of what was looked at; `undefined` where nothing of that matches. */
  rates?: Rates;
  /** What to give as `after` for the next page. */
  next?: number;
  isDone: boolean;
  /** How many events were looked at. */
  lookedAt: number;
}

export interface RatesRequest {
  filter: Filter;
  /** Only events behind this sequence. */
  after?: number;
  /** At most so many parts. */
  parts: number;
  signal?: AbortSignal;
}

export interface VerifyState {
  isRunning: boolean;
  bytesDone: number;
  bytes: number;
  /** Once it has ended: whether everything was looked at and is as it must be. */
  isWhole?: boolean;
  /** What was counted on the way. */
  counted?: readonly (readonly [name: string, value: number])[];
  faults?: readonly { kind: string; count: number; file: string; offset: number; expected: string; found: string }[];
  /** Whether all of it was looked at. */
  isComplete?: boolean;
  /** Why it could not go on. */
  error?: string;
}

/** A projection of the page's own: what `liveProjection` and `aggregate` take. */
export type Projection<S = any, P = any> = Pick<LiveOptions<S, P>, "region" | "initialState" | "evolve">;

/** A store as the inspector sees it. Nothing here changes anything. */
export interface InspectorSource {
  stats(signal?: AbortSignal): Promise<InspectorStats>;
  /** The streams whose names hold a text. `onprogress` is told how many events were counted. */
  streams(request: {
    text: string; order: "newest" | "events" | "name"; offset: number; limit: number; signal?: AbortSignal;
    onprogress?(done: number): void;
  }): Promise<{ total: number; streams: StreamRow[] }>;
  events(request: EventsRequest): Promise<EventsPage>;
  event(which: { id: string } | { sequence: number }, signal?: AbortSignal): Promise<EventDetail | undefined>;
  /** All bytes of a payload. */
  payload(id: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
  /** An event and those before it in its stream, newest first. */
  chain(id: string, limit: number, signal?: AbortSignal): Promise<{ events: EventRow[]; end: "genesis" | "limit" | { pruned: number } }>;
  /** An event with its causes and effects, or with all that it belongs to. */
  graph(id: string, of: "causes" | "correlation", limit: number, signal?: AbortSignal): Promise<{ events: EventRow[]; isCut: boolean }>;
  /** When events were, page by page: `Histogram` adds the pages up. */
  rates(request: RatesRequest): Promise<RatesPage>;
  /** Missing where the source can't prove the store. */
  readonly verify?: { start(): Promise<VerifyState>; state(): Promise<VerifyState>; stop(): Promise<VerifyState> };
  /** What this tab has to do with the store, where there are tabs. */
  status?(): readonly (readonly [name: string, value: string])[];
  /** The tabs that have the store open, where that can be told. */
  tabs?(): Promise<readonly TabRow[]>;
  /** Projections of the page's own, by name, and the events that they are made of. */
  readonly projections?: Readonly<Record<string, Projection>>;
  stored?(which: Filter | Projection, signal?: AbortSignal): AsyncIterable<StoredEvent>;
  /** Ends what only this view needs. */
  close?(): Promise<void>;
  /** The page in which pasted reducers run, where the page's own policy forbids them. */
  readonly reducerUrl?: string;
}
