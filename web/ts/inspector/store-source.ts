// An open store of this package as the inspector sees it. The package has no index of streams for
// its users, so they are counted by one pass over the log, which is remembered and gone on from.

import type { EventStore, Region, StoredEvent } from "../types.js";
import { Histogram } from "./histogram.js";
import type {
  EventDetail, EventRow, EventsPage, EventsRequest, Filter, InspectorSource, InspectorStats, Projection, RatesPage,
  RatesRequest, StreamRow, TabRow, VerifyState,
} from "./source.js";

const PREVIEW_CHARS = 240;
/** How many events one request looks at for words, or for their times: the next goes on. */
const LOOKED_AT_MAX = 20_000;
/** How often a pass over the log says how far it is, in events. */
const PROGRESS_STEP = 2048;
const SHOWN_BYTES_MAX = 64 * 1024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export interface StoreSourceOptions {
  /** Projections of yours that the inspector can show at each moment, by name. */
  projections?: Readonly<Record<string, Projection>>;
  /** A page in which pasted reducers run: what `REDUCER_PAGE` holds, where the page's policy forbids `eval`. */
  reducerUrl?: string;
}

/** A source over an open store. With the store's own name, its tabs are shown too. */
export function storeSource(store: EventStore, name = "this store", options: StoreSourceOptions = {}): InspectorSource {
  return new StoreSource(store, name, options);
}

class StoreSource implements InspectorSource {
  readonly projections?: Readonly<Record<string, Projection>>;
  readonly reducerUrl?: string;
  readonly verify = {
    start: async () => this.#startVerification(),
    state: async () => this.#verification,
    stop: async () => { this.#stopVerification?.abort(); return this.#verification; },
  };
  readonly #store: EventStore;
  readonly #name: string;
  readonly #streams = new Map<string, StreamRow>();
  /** Every event up to this one is counted. */
  #counted: bigint | undefined;
  #counting: Promise<void> = Promise.resolve();
  #verification: VerifyState = { isRunning: false, bytesDone: 0, bytes: 0 };
  #stopVerification: AbortController | undefined;

  constructor(store: EventStore, name: string, { projections, reducerUrl }: StoreSourceOptions) {
    this.#store = store;
    this.#name = name;
    if (projections) this.projections = projections;
    if (reducerUrl) this.reducerUrl = reducerUrl;
  }

  async stats(): Promise<InspectorStats> {
    const { storeId, events, entities, scopes, kinds, bytes, segments, end, durableEnd, openHandles, recovery } = await this.#store.stats();
    return {
      name: this.#name, events, entities, scopes, bytes, segmentCount: segments.length, end: Number(end),
      kinds: kinds.map((kind) => ({ ...kind, type: nameOf(kind) })),
      segments: segments.map((segment) => ({ ...segment, firstSequence: Number(segment.firstSequence) })),
      facts: [
        ["Store", storeId],
        ["On stable storage", `events before #${durableEnd}`],
        ["Open files", String(openHandles)],
        ["Closed properly the last time", recovery.clean ? "yes" : "no, and recovered"],
        ["Cut off when it was opened", `${recovery.tornBytes} bytes`],
        ["Read when it was opened", `${recovery.scannedEvents} events`],
      ],
    };
  }

  async streams({ text, order, offset, limit, signal, onprogress }: Parameters<InspectorSource["streams"]>[0]) {
    // One pass at a time: the next goes on where it has ended.
    this.#counting = this.#counting.catch(() => {}).then(() => this.#count(signal, onprogress));
    await this.#counting;
    const found = [...this.#streams.values()].filter(({ entity }) => entity.includes(text));
    if (order === "name") found.sort((a, b) => (a.entity < b.entity ? -1 : 1));
    else if (order === "events") found.sort((a, b) => b.events - a.events || (a.entity < b.entity ? -1 : 1));
    else found.sort((a, b) => b.sequence - a.sequence);
    return { total: found.length, streams: found.slice(offset, offset + limit) };
  }

  async events({ filter, after, direction, limit, withPayload = false, signal }: EventsRequest): Promise<EventsPage> {
    const text = filter.text?.toLowerCase();
    const page: EventsPage = { events: [], isDone: true, lookedAt: 0 };
    const options = {
      direction, limit: text ? LOOKED_AT_MAX : limit,
      ...(after === undefined ? {} : { after: BigInt(after) }), ...(signal ? { signal } : {}),
    };
    for await (const event of this.#store.query(regionOf(filter), options)) {
      page.next = Number(event.sequence);
      page.lookedAt++;
      const payload = textOf(event);
      if (!text || payload.toLowerCase().includes(text)) page.events.push(rowOf(event, payload, withPayload));
      if (page.events.length >= limit || page.lookedAt >= LOOKED_AT_MAX) {
        page.isDone = false;
        break;
      }
    }
    return page;
  }

  async event(which: { id: string } | { sequence: number }): Promise<EventDetail | undefined> {
    const event = "id" in which ? await this.#store.get(which.id) : await this.#at(which.sequence);
    if (!event) return undefined;
    const { payload, metadata, admission, position, chain } = event;
    const detail: EventDetail = {
      ...rowOf(event, textOf(event), !(payload instanceof Uint8Array)), payloadVersion: event.payloadVersion, isErased: event.erased !== undefined, flags: event.flags,
      position: `lane ${position.lane}, depth ${position.depth}`,
    };
    if (event.erased) detail.contentHash = event.erased;
    if (metadata) detail.metadata = metadata instanceof Uint8Array ? metadata : JSON.stringify(metadata);
    if (admission) detail.admission = "gates" in admission ? `gates ${admission.gates.join(", ")}` : `no gate: ${admission.reason} (${admission.justification})`;
    if (chain) Object.assign(detail, chain);
    const record = await this.#store.recordBytes(event.sequence);
    if (record) {
      const { file, offset, bytes } = record;
      detail.record = { file, offset, length: bytes.length, bytes: bytes.subarray(0, SHOWN_BYTES_MAX) };
      // As it was written, which a value that was read from it may not show.
      if (!event.erased && detail.payloadText !== undefined) detail.payloadText = decoder.decode(payloadOf(bytes));
      if (!event.erased) detail.bytes = payloadOf(bytes).length;
    }
    if (payload instanceof Uint8Array) detail.payloadBytes = payload.subarray(0, SHOWN_BYTES_MAX);
    return detail;
  }

  async payload(id: string): Promise<Uint8Array<ArrayBuffer>> {
    const event = await this.#store.get(id);
    if (!event || event.erased) throw new Error("the payload was erased");
    const record = await this.#store.recordBytes(event.sequence);
    if (!record) throw new Error("the event has gone");
    return payloadOf(record.bytes);
  }

  async chain(id: string, limit: number, signal?: AbortSignal) {
    const event = await this.#store.get(id);
    const events: EventRow[] = [];
    if (!event) return { events, end: "genesis" as const };
    const region: Region = { stream: event.entity, versions: { to: event.version } };
    for await (const link of this.#store.query(region, { direction: "backward", limit, withChain: true, ...(signal ? { signal } : {}) })) {
      events.push(rowOf(link, textOf(link), false));
    }
    const version = events.at(-1)?.version ?? 0;
    return { events, end: version === 0 ? "genesis" as const : events.length >= limit ? "limit" as const : { pruned: version - 1 } };
  }

  async graph(id: string, of: "causes" | "correlation", limit: number, signal?: AbortSignal) {
    const event = await this.#store.get(id);
    const found = new Map<string, EventRow>();
    if (!event) return { events: [], isCut: false };
    const take = (event: StoredEvent) => { found.set(event.id, rowOf(event, textOf(event), false)); };
    let isCut = false;
    if (of === "correlation") {
      for await (const other of this.#store.query({ correlation: event.correlation }, { limit: limit + 1, ...(signal ? { signal } : {}) })) {
        if (found.size < limit) take(other); else isCut = true;
      }
    } else {
      take(event);
      for (let cause = event.causation; cause && !found.has(cause); ) {
        if (found.size >= limit) { isCut = true; break; }
        const event: StoredEvent | undefined = await this.#store.get(cause);
        if (!event) break;
        take(event);
        cause = event.causation;
      }
      // A list goes on over what is added meanwhile: nearest effects first.
      const causes = [event.id];
      for (const cause of causes) {
        for await (const effect of this.#store.query({ causation: cause }, { limit: limit + 1, ...(signal ? { signal } : {}) })) {
          if (found.has(effect.id)) continue;
          if (found.size >= limit) { isCut = true; break; }
          take(effect);
          causes.push(effect.id);
        }
        if (isCut) break;
      }
    }
    return { events: [...found.values()].sort((a, b) => a.sequence - b.sequence), isCut };
  }

  async rates({ filter, after, parts, signal }: RatesRequest): Promise<RatesPage> {
    const text = filter.text?.toLowerCase();
    const sum = new Histogram(parts);
    const page: RatesPage = { isDone: true, lookedAt: 0 };
    const options = { limit: LOOKED_AT_MAX, ...(after === undefined ? {} : { after: BigInt(after) }), ...(signal ? { signal } : {}) };
    for await (const event of this.#store.query(regionOf(filter), options)) {
      page.next = Number(event.sequence);
      page.lookedAt++;
      if (!text || textOf(event).toLowerCase().includes(text)) sum.add(event.time);
    }
    page.isDone = page.lookedAt < LOOKED_AT_MAX;
    const rates = sum.rates();
    if (rates) page.rates = rates;
    return page;
  }

  status() {
    const { role, storage, persisted, epoch, end, lag, pending } = this.#store.status;
    return [
      ["This tab", ROLES[role]], ["Epoch", String(epoch)], ["Kept in", storage], ["The browser promised not to evict it", persisted ? "yes" : "no"],
      ["End", `#${end}`], ["Slowest follower", `${lag} events behind`], ["Requests under way", String(pending)],
    ] as const;
  }

  /** Who holds the lock of the store's name, and who waits for it. */
  async tabs(): Promise<readonly TabRow[]> {
    if (this.#store.status.storage !== "opfs" || !globalThis.navigator?.locks) return [];
    const { held = [], pending = [] } = await navigator.locks.query();
    const tabs = new Map<string, TabRow>();
    for (const [locks, isLeader] of [[held, true], [pending, false]] as const) {
      for (const { name, clientId: id } of locks) {
        if (name === `annals:${this.#name}` && id !== undefined && !tabs.has(id)) tabs.set(id, { id, isLeader });
      }
    }
    return [...tabs.values()];
  }

  async *stored(which: Filter | Projection, signal?: AbortSignal): AsyncIterable<StoredEvent> {
    const [region, text] = "evolve" in which ? [which.region] : [regionOf(which), which.text?.toLowerCase()];
    for await (const event of this.#store.query(region, signal ? { signal } : {})) {
      if (!text || textOf(event).toLowerCase().includes(text)) yield event;
    }
  }

  async #at(sequence: number): Promise<StoredEvent | undefined> {
    for await (const event of this.#store.query({ sequences: { from: sequence, to: sequence } }, { limit: 1, withChain: true })) return event;
    return undefined;
  }

  #startVerification(): VerifyState {
    if (this.#verification.isRunning) return this.#verification;
    const stop = new AbortController();
    this.#stopVerification = stop;
    this.#verification = { isRunning: true, bytesDone: 0, bytes: 0 };
    const over = (state: Partial<VerifyState>) => { this.#verification = { ...this.#verification, ...state, isRunning: false }; };
    const onProgress = ({ bytesDone, bytesTotal }: { bytesDone: number; bytesTotal: number }) => {
      this.#verification = { isRunning: true, bytesDone, bytes: bytesTotal };
    };
    this.#store.verify({ onProgress, signal: stop.signal }).then(
      ({ isWhole, isComplete, faults, segments, bytes, events, erasedEvents, prunedRuns, streams }) => over({
        isWhole, isComplete, faults,
        counted: Object.entries({ segments, bytes, events, erased_events: erasedEvents, pruned_runs: prunedRuns, streams }),
      }),
      (error) => over(stop.signal.aborted ? { isComplete: false } : { error: error instanceof Error ? error.message : String(error) }),
    );
    return this.#verification;
  }

  async #count(signal: AbortSignal | undefined, onprogress: ((done: number) => void) | undefined) {
    const after = this.#counted;
    let count = 0;
    for await (const event of this.#store.query({}, { ...(after === undefined ? {} : { after }), ...(signal ? { signal } : {}) })) {
      const { entity, version, time } = event;
      this.#streams.set(entity, {
        entity, version, time, type: nameOf(event), sequence: Number(event.sequence), events: (this.#streams.get(entity)?.events ?? 0) + 1,
      });
      this.#counted = event.sequence;
      if (++count % PROGRESS_STEP === 0) onprogress?.(count);
    }
  }
}

const ROLES = {
  leader: "leads: it holds the files", follower: "follows: another tab holds the files", alone: "alone, in memory",
  waiting: "waits: another tab is taking over", closed: "has closed the store",
};

function regionOf({ types, since, until, text: _, ...rest }: Filter): Region {
  const type = types?.map((type) => (/^0x[0-9a-f]{4}/i.test(type) ? parseInt(type, 16) : type));
  const times = since === undefined && until === undefined ? {} : {
    times: { ...(since === undefined ? {} : { from: since }), ...(until === undefined ? {} : { to: until }) },
  };
  return { ...rest, ...times, ...(type ? { type } : {}) };
}

function nameOf({ type, kind }: Pick<StoredEvent, "type" | "kind">): string {
  return typeof type === "string" ? type : `0x${kind.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** The payload as text: of bytes, as far as they are that. */
function textOf({ payload, erased }: StoredEvent): string {
  if (erased) return "";
  return payload instanceof Uint8Array ? decoder.decode(payload) : JSON.stringify(payload) ?? "";
}

/** The payload within a record: docs/FORMAT.md, "Record". */
function payloadOf(record: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const PREFIX = 11;
  let at = PREFIX + (record[8]! | record[9]! << 8);
  let metadata = 0;
  for (let shift = 1; ; shift *= 128) {
    const byte = record[at++]!;
    metadata += (byte & 0x7f) * shift;
    if (byte < 0x80) break;
  }
  return record.subarray(at + Math.max(0, metadata - 1));
}

function rowOf(event: StoredEvent, text: string, withPayload: boolean): EventRow {
  const { id, entity, scope, version, kind, time, correlation, causation, payload, payloadFormat, erased, chain } = event;
  const row: EventRow = {
    id, entity, scope, version, kind, time, correlation, sequence: Number(event.sequence), type: nameOf(event), format: payloadFormat,
  };
  if (causation) row.causation = causation;
  if (!erased) {
    row.bytes = payload instanceof Uint8Array ? payload.length : encoder.encode(text).length;
    row.preview = text.slice(0, PREVIEW_CHARS);
    if (withPayload && payload instanceof Uint8Array) row.payloadHex = hexOf(payload);
    else if (withPayload) row.payloadText = text;
  }
  if (chain) Object.assign(row, chain);
  return row;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
