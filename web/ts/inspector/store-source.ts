// An open store of this package as the inspector sees it. The package has no index of streams for
// its users, so they are counted by one pass over the log, which is remembered and gone on from.

import type { EventStore, Region, StoredEvent } from "../types.js";
import {
  type EventDetail, type EventRow, type EventsPage, type EventsRequest, type Filter, type InspectorSource,
  type InspectorStats, type Rates, ratesOf, type StreamRow,
} from "./source.js";

const PREVIEW_CHARS = 240;
/** How many events one request looks at for words: the next goes on. */
const LOOKED_AT_MAX = 20_000;
/** How often a pass over the log says how far it is, in events. */
const PROGRESS_STEP = 2048;
const SHOWN_BYTES_MAX = 64 * 1024;

const encoder = new TextEncoder();

/** A source over an open store. */
export function storeSource(store: EventStore, name = "this store"): InspectorSource {
  return new StoreSource(store, name);
}

class StoreSource implements InspectorSource {
  readonly #store: EventStore;
  readonly #name: string;
  readonly #streams = new Map<string, StreamRow>();
  readonly #kinds = new Map<number, { type: string; kind: number; events: number }>();
  /** Every event up to this one is counted. */
  #counted: bigint | undefined;
  #counting: Promise<void> = Promise.resolve();

  constructor(store: EventStore, name: string) {
    this.#store = store;
    this.#name = name;
  }

  async stats(): Promise<InspectorStats> {
    const { events, entities, bytes, segments, end, durableEnd, openHandles, recovery } = await this.#store.stats();
    return {
      name: this.#name, events, entities, bytes, segmentCount: segments, end: Number(end), kinds: [...this.#kinds.values()],
      facts: [
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
    const { payload, metadata, admission, position } = event;
    const text = textOf(event);
    const detail: EventDetail = {
      ...rowOf(event, text, true), payloadVersion: event.payloadVersion, isErased: event.erased !== undefined, flags: event.flags,
      position: `lane ${position.lane}, depth ${position.depth}`,
    };
    if (event.erased) detail.contentHash = event.erased;
    if (payload instanceof Uint8Array) detail.payloadBytes = payload.subarray(0, SHOWN_BYTES_MAX);
    if (metadata) detail.metadata = metadata instanceof Uint8Array ? metadata : JSON.stringify(metadata);
    if (admission) detail.admission = "gates" in admission ? `gates ${admission.gates.join(", ")}` : `no gate: ${admission.reason} (${admission.justification})`;
    return detail;
  }

  async payload(id: string): Promise<Uint8Array<ArrayBuffer>> {
    const event = await this.#store.get(id);
    if (!event || event.erased) throw new Error("the payload was erased");
    return event.payload instanceof Uint8Array ? event.payload.slice() : encoder.encode(JSON.stringify(event.payload));
  }

  async chain(id: string, limit: number, signal?: AbortSignal) {
    const event = await this.#store.get(id);
    const events: EventRow[] = [];
    if (!event) return { events, end: "genesis" as const };
    const region: Region = { stream: event.entity, versions: { to: event.version } };
    for await (const link of this.#store.query(region, { direction: "backward", limit, withChain: true, ...(signal ? { signal } : {}) })) {
      const row = rowOf(link, textOf(link), false);
      const next = events.at(-1);
      if (next && next.previousHash !== row.hash) throw new Error(`the chain is broken: #${next.sequence} does not name the hash of #${row.sequence}`);
      events.push(row);
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
      // A Map goes on over what is added meanwhile: nearest effects first.
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

  async rates(filter: Filter, buckets: number, signal?: AbortSignal): Promise<Rates | undefined> {
    const text = filter.text?.toLowerCase();
    const times: number[] = [];
    for await (const event of this.#store.query(regionOf(filter), signal ? { signal } : {})) {
      if (!text || textOf(event).toLowerCase().includes(text)) times.push(event.time);
    }
    return ratesOf(times, buckets);
  }

  status() {
    const { role, storage, persisted, epoch, end, lag, pending } = this.#store.status;
    return [
      ["This tab", ROLES[role]], ["Epoch", String(epoch)], ["Storage", storage], ["May be evicted", persisted ? "no" : "yes"],
      ["End", `#${end}`], ["Slowest follower", `${lag} events behind`], ["Requests under way", String(pending)],
    ] as const;
  }

  async #at(sequence: number): Promise<StoredEvent | undefined> {
    for await (const event of this.#store.query({ sequences: { from: sequence, to: sequence } }, { limit: 1 })) return event;
    return undefined;
  }

  async #count(signal: AbortSignal | undefined, onprogress: ((done: number) => void) | undefined) {
    const after = this.#counted;
    let count = 0;
    for await (const event of this.#store.query({}, { ...(after === undefined ? {} : { after }), ...(signal ? { signal } : {}) })) {
      const { entity, version, time, kind } = event;
      const type = nameOf(event);
      this.#streams.set(entity, {
        entity, version, time, type, sequence: Number(event.sequence), events: (this.#streams.get(entity)?.events ?? 0) + 1,
      });
      const known = this.#kinds.get(kind);
      if (known) known.events++; else this.#kinds.set(kind, { kind, type, events: 1 });
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

function nameOf({ type, kind }: StoredEvent): string {
  return typeof type === "string" ? type : `0x${kind.toString(16).toUpperCase().padStart(4, "0")}`;
}

/** The payload as text: of bytes, as far as they are that. */
function textOf({ payload, erased }: StoredEvent): string {
  if (erased) return "";
  return payload instanceof Uint8Array ? new TextDecoder().decode(payload) : JSON.stringify(payload) ?? "";
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
  }
  if (withPayload && !erased && payloadFormat === "json") row.payloadText = text;
  if (chain) Object.assign(row, chain);
  return row;
}
