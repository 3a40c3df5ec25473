// The store as users see it, over a session. Pages are fetched when they are asked for, so a
// slow reader slows nobody else.

import { follow, guarded, initialOf, linkedTo, type Pages } from "./live.js";
import type { Session } from "./session.js";
import type {
  BackupSource, Compaction, CompactOptions, Condition, Erasure, EventStore, ExportOptions, Import, ImportOptions, KeepOptions,
  ExpectedVersion, Fold, LiveOptions, LiveProjection, NewEvent, QueryOptions, Receipt, RecordBytes, Region,
  Stats, Status, StoredEvent, SubscribeOptions, VerifyReport,
} from "./types.js";
import {
  appendRequest, getRequest, headRequest, open, queryRequest, readEventAnswer, readHead, readPage,
  readReceipts, SYNC_REQUEST,
} from "./wire.js";

/** What a store needs of the place that it runs in. */
export interface Place {
  role(): Status["role"];
  persisted(): boolean;
  persist(): Promise<boolean>;
  close(): Promise<void>;
}

/** A stream of usual length comes in one. */
const PAGE_EVENTS_FIRST = 128;
const PAGE_EVENTS_MAX = 1024;

/** What is needed seldom is loaded when it is. */
const keep = () => import("./keep.js");
const look = () => import("./look.js");

export class Store implements EventStore {
  readonly #session: Session;
  readonly #place: Place;
  readonly #listeners = new Set<(status: Status) => void>();
  /** How far each subscription and projection has come: the sequence that it has yet to see. */
  readonly #followers = new Set<{ next: bigint }>();
  #status: Status | undefined;
  #told: Status | undefined;

  constructor(session: Session, place: Place) {
    this.#session = session;
    this.#place = place;
    session.onchange = () => this.#tell();
  }

  async append(
    event: NewEvent,
    options: { expectedVersion?: ExpectedVersion; condition?: Condition; signal?: AbortSignal } = {},
  ): Promise<Receipt> {
    const { expectedVersion = event.expectedVersion } = options;
    const receipts = await this.appendBatch([expectedVersion === undefined ? event : { ...event, expectedVersion }], options);
    return receipts[0]!;
  }

  async appendBatch(
    events: readonly NewEvent[],
    { condition, signal }: { condition?: Condition; signal?: AbortSignal } = {},
  ): Promise<Receipt[]> {
    const receipts = readReceipts(open(await this.#session.request("a", appendRequest(events, condition), signal)));
    const last = receipts.at(-1);
    if (last) this.#session.noteEnd(last.sequence + 1n);
    return receipts;
  }

  async get(id: string): Promise<StoredEvent | undefined> {
    return readEventAnswer(await this.#ask(getRequest(id)));
  }

  async head(entity: string): Promise<number | undefined> {
    return readHead(await this.#ask(headRequest(entity)));
  }

  read<P = unknown>(
    entity: string,
    options: { from?: number; limit?: number; direction?: "forward" | "backward"; signal?: AbortSignal } = {},
  ): AsyncIterable<StoredEvent<P>> {
    const { from, ...rest } = options;
    const isBackward = rest.direction === "backward";
    const versions = from === undefined ? undefined : isBackward ? { to: from } : { from };
    return this.query<P>(versions ? { stream: entity, versions } : { stream: entity }, rest);
  }

  query<P = unknown>(region: Region = {}, options: QueryOptions = {}): AsyncIterableIterator<StoredEvent<P>> {
    return one(this.#pages(region, options), options.signal);
  }

  subscribe<P = unknown>(region: Region = {}, { after, signal }: SubscribeOptions = {}): AsyncIterable<StoredEvent<P>> {
    const begin = () => {
      const stop = linkedTo(signal);
      const end = () => { stop.abort(); stop.unlink(); };
      return one<P>(this.#follow(region, after, stop.signal), stop.signal, end);
    };
    return { [Symbol.asyncIterator]: begin };
  }

  async aggregate<S, P = unknown>(
    entity: string,
    fold: Fold<S, P>,
    options: { signal?: AbortSignal } = {},
  ): Promise<{ state: S; version: number | undefined }> {
    let state = initialOf(fold);
    let version: number | undefined;
    for await (const { events } of this.#pages({ stream: entity }, options)) {
      for (const event of events as StoredEvent<P>[]) {
        options.signal?.throwIfAborted();
        state = fold.evolve(state, event);
        version = event.version;
      }
    }
    return { state, version };
  }

  liveProjection<S, P = unknown>(options: LiveOptions<S, P>): LiveProjection<S> {
    return follow(options, (region, after, signal) => this.#follow(region, after, signal));
  }

  async stats(): Promise<Stats> {
    return (await look()).stats(this.#session);
  }

  async recordBytes(sequence: bigint): Promise<RecordBytes | undefined> {
    return (await look()).recordBytes(this.#session, sequence);
  }

  async sync(): Promise<void> {
    open(await this.#ask(SYNC_REQUEST));
  }

  async verify(options?: KeepOptions): Promise<VerifyReport> {
    return (await keep()).verify(this.#session, options);
  }

  async erase(region: Region, options?: KeepOptions): Promise<Erasure> {
    return (await keep()).erase(this.#session, region, options);
  }

  async compact(options?: CompactOptions): Promise<Compaction> {
    return (await keep()).compact(this.#session, options);
  }

  async exportBackup(options?: ExportOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    return (await keep()).exportBackup(this.#session, options);
  }

  async importBackup(backup: BackupSource, options?: ImportOptions): Promise<Import> {
    return (await keep()).importBackup(this.#session, backup, options);
  }

  get status(): Status {
    const { welcome, pending } = this.#session;
    const end = welcome?.end ?? 0n;
    let lag = 0n;
    for (const { next } of this.#followers) if (end - next > lag) lag = end - next;
    const status: Status = {
      role: this.#session.closedBy ? "closed" : this.#session.isConnected ? this.#place.role() : "waiting",
      storage: welcome?.storage ?? "opfs",
      persisted: this.#place.persisted(),
      epoch: welcome?.epoch ?? 0,
      end,
      lag: Number(lag),
      pending,
    };
    // The same object as long as nothing has changed, which is what `useSyncExternalStore` asks for.
    if (!this.#status || !isSame(this.#status, status)) this.#status = Object.freeze(status);
    return this.#status;
  }

  onStatus(listener: (status: Status) => void): () => void {
    const own = (status: Status) => listener(status);
    // Nobody has been told of what changed while nobody listened.
    if (this.#listeners.size === 0) this.#told = this.status;
    this.#listeners.add(own);
    return () => { this.#listeners.delete(own); };
  }

  async persist(): Promise<boolean> {
    const persisted = await this.#place.persist();
    this.#tell();
    return persisted;
  }

  async close(): Promise<void> {
    await this.#place.close();
    this.#session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #ask(request: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    return this.#session.request("c", request, signal);
  }

  /** The pages of a query, each of the same moment, growing in size. */
  async *#pages(region: Region, options: QueryOptions): Pages {
    let { after, limit: left = Infinity } = options;
    let end: bigint | undefined;
    for (let eventsMax = PAGE_EVENTS_FIRST; left !== 0; eventsMax = Math.min(eventsMax * 4, PAGE_EVENTS_MAX)) {
      const request = queryRequest(region, options, after, end, Math.min(eventsMax, left));
      const page = readPage(await this.#ask(request, options.signal));
      this.#session.noteEnd(page.end);
      yield page;
      if (page.isDone) return;
      left -= page.events.length;
      after = page.events.at(-1)!.sequence;
      end = page.end;
    }
  }

  /** Pages of past events, then of live ones, until the signal or the store ends it. */
  async *#follow(region: Region, after: bigint | undefined, signal: AbortSignal): Pages {
    if (signal.aborted) return;
    const session = this.#session;
    const place = { next: after === undefined ? 0n : after + 1n };
    let wake = () => {};
    this.#followers.add(place);
    const unwatch = session.watch(() => wake());
    const onabort = () => wake();
    signal.addEventListener("abort", onabort);
    try {
      while (!signal.aborted) {
        // Set before looking, so that what comes meanwhile is not missed.
        let hasMoved = false;
        const moved = new Promise<void>((resolve) => { wake = () => { hasMoved = true; resolve(); }; });
        for await (const page of this.#pages(region, place.next === 0n ? { signal } : { after: place.next - 1n, signal })) {
          yield page;
          // An event that does not match need not be looked at again.
          const next = page.isDone ? page.end : page.events.at(-1)!.sequence + 1n;
          if (next > place.next) {
            place.next = next;
            this.#tell();
          }
          if (signal.aborted) return;
        }
        if (session.closedBy) throw session.closedBy;
        if (!hasMoved) await moved;
        if (session.closedBy && !signal.aborted) throw session.closedBy;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      signal.removeEventListener("abort", onabort);
      unwatch();
      this.#followers.delete(place);
      this.#tell();
    }
  }

  #tell() {
    if (this.#listeners.size === 0) return;
    const status = this.status;
    if (status === this.#told) return;
    this.#told = status;
    for (const listener of [...this.#listeners]) guarded(() => listener(status));
  }
}

/**
 * The events of pages, one by one: a generator would take three turns for each. Where the signal is
 * aborted it throws; but where there is an `onend`, which is called at every end, the events end.
 */
function one<P>(
  pages: Pages,
  signal?: AbortSignal,
  onend?: () => void,
): AsyncIterableIterator<StoredEvent<P>> {
  type Next = IteratorResult<StoredEvent<P>>;
  let events: StoredEvent[] = [];
  let at = 0;
  /** Whoever asks again before there is an answer has to wait for it. */
  let last: Promise<Next | void> = Promise.resolve();
  const end = async (): Promise<Next> => {
    events = [];
    onend?.();
    await pages.return();
    return { value: undefined, done: true };
  };
  const load = (): Next | Promise<Next> => {
    if (at < events.length) {
      if (!signal?.aborted) return { value: events[at++] as StoredEvent<P>, done: false };
      if (onend) return end();
      throw signal.reason;
    }
    return pages.next().then(({ value, done }) => {
      if (done) return end();
      ({ events } = value);
      at = 0;
      return load();
    }, (error) => {
      onend?.();
      throw error;
    });
  };
  const inTurn = (act: () => Next | Promise<Next>) => (last = last.then(act, act)) as Promise<Next>;
  return {
    next: () => inTurn(load),
    return() {
      // What waits for an event would end only after it.
      onend?.();
      return inTurn(end);
    },
    [Symbol.asyncIterator]() { return this; },
  };
}

function isSame(left: Status, right: Status): boolean {
  return (Object.keys(right) as (keyof Status)[]).every((key) => left[key] === right[key]);
}
