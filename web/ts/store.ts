// The store as users see it, over a session. Pages are fetched when they are asked for, so a
// slow reader slows nobody else.

import { closed } from "./errors.js";
import type { Session } from "./session.js";
import type {
  Condition, EventStore, ExpectedVersion, Fold, LiveProjection, NewEvent, QueryOptions, Receipt, Region, Stats, Status,
  StoredEvent, SubscribeOptions,
} from "./types.js";
import {
  appendRequest, check, getRequest, headRequest, type Page, queryRequest, readEventAnswer, readHead, readPage,
  readReceipts, readStats, STATUS_REQUEST, SYNC_REQUEST,
} from "./wire.js";

/** What a store needs of the place that it runs in. */
export interface Place {
  role(): Status["role"];
  persisted(): boolean;
  persist(): Promise<boolean>;
  close(): Promise<void>;
}

const PAGE_EVENTS_FIRST = 64;
const PAGE_EVENTS_MAX = 1024;

export class Store implements EventStore {
  readonly #session: Session;
  readonly #place: Place;
  readonly #listeners = new Set<(status: Status) => void>();

  constructor(session: Session, place: Place) {
    this.#session = session;
    this.#place = place;
    session.onchange = () => {
      if (this.#listeners.size === 0) return;
      const status = this.status;
      for (const listener of this.#listeners) listener(status);
    };
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
    const receipts = readReceipts(await this.#session.request("a", appendRequest(events, condition), signal));
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

  async *query<P = unknown>(region: Region = {}, options: QueryOptions = {}): AsyncGenerator<StoredEvent<P>, void, void> {
    const { limit = Infinity, signal } = options;
    let left = limit;
    for await (const { events } of this.#pages(region, options, limit)) {
      for (const event of events as StoredEvent<P>[]) {
        if (left-- <= 0) return;
        signal?.throwIfAborted();
        yield event;
      }
    }
  }

  async *subscribe<P = unknown>(
    region: Region = {},
    { after, signal }: SubscribeOptions = {},
  ): AsyncGenerator<StoredEvent<P>, void, void> {
    for await (const events of this.#follow(region, after, signal)) {
      for (const event of events as StoredEvent<P>[]) {
        if (signal?.aborted) return;
        yield event;
      }
    }
  }

  async aggregate<S, P = unknown>(entity: string, fold: Fold<S, P>): Promise<{ state: S; version: number | undefined }> {
    let state = initial(fold);
    let version: number | undefined;
    for await (const event of this.read<P>(entity)) {
      state = fold.evolve(state, event);
      version = event.version;
    }
    return { state, version };
  }

  liveProjection<S, P = unknown>(options: Fold<S, P> & { region?: Region }): LiveProjection<S> {
    const listeners = new Set<() => void>();
    const stop = new AbortController();
    let state = initial(options);
    let sequence: bigint | undefined;
    let error: unknown;
    const pages = this.#follow(options.region ?? {}, undefined, stop.signal);
    const ready = new Promise<void>((resolve, reject) => {
      (async () => {
        for await (const events of pages) {
          for (const event of events as StoredEvent<P>[]) {
            state = options.evolve(state, event);
            sequence = event.sequence;
          }
          if (events.length > 0) for (const listener of listeners) listener();
          if (pages.isCaughtUp()) resolve();
        }
        reject(closed());
      })().catch((thrown) => {
        error = thrown;
        reject(thrown);
        for (const listener of listeners) listener();
      });
    });
    // Whoever does not await it reads `error`.
    ready.catch(() => {});
    return {
      subscribe(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      getSnapshot: () => state,
      get sequence() { return sequence; },
      get error() { return error; },
      ready,
      close: () => stop.abort(),
    };
  }

  async stats(): Promise<Stats> {
    return readStats(await this.#ask(STATUS_REQUEST));
  }

  async sync(): Promise<void> {
    check(await this.#ask(SYNC_REQUEST));
  }

  get status(): Status {
    const { welcome, pending } = this.#session;
    return {
      role: this.#session.closedBy ? "closed" : this.#session.isConnected ? this.#place.role() : "waiting",
      storage: welcome?.storage ?? "opfs",
      persisted: this.#place.persisted(),
      epoch: welcome?.epoch ?? 0,
      end: welcome?.end ?? 0n,
      pending,
    };
  }

  onStatus(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  persist(): Promise<boolean> {
    return this.#place.persist();
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
  async *#pages(region: Region, options: QueryOptions, limit: number): AsyncGenerator<Page, void, void> {
    let { after } = options;
    let end: bigint | undefined;
    let left = limit;
    for (let eventsMax = PAGE_EVENTS_FIRST; left > 0; eventsMax = Math.min(eventsMax * 4, PAGE_EVENTS_MAX)) {
      const isBackward = options.direction === "backward";
      const request = queryRequest({
        region, isBackward, after, end, eventsMax: Math.min(eventsMax, left), withChain: options.withChain ?? false,
      });
      const page = readPage(await this.#ask(request, options.signal));
      yield page;
      if (page.isDone) return;
      left -= page.events.length;
      after = page.events.at(-1)!.sequence;
      end = page.end;
    }
  }

  /** Pages of past events, then of live ones, until the signal or the store ends it. */
  #follow(region: Region, after: bigint | undefined, signal: AbortSignal | undefined) {
    const session = this.#session;
    const pages = (options: QueryOptions) => this.#pages(region, options, Infinity);
    let wake = () => {};
    let isCaughtUp = false;
    async function* follow(): AsyncGenerator<StoredEvent[], void, void> {
      const unwatch = session.watch(() => wake());
      const onabort = () => wake();
      signal?.addEventListener("abort", onabort);
      try {
        while (!signal?.aborted) {
          // Set before looking, so that what comes meanwhile is not missed.
          let hasMoved = false;
          const moved = new Promise<void>((resolve) => { wake = () => { hasMoved = true; resolve(); }; });
          for await (const page of pages(after === undefined ? {} : { after })) {
            isCaughtUp = page.isDone;
            // An event that does not match need not be looked at again.
            if (page.isDone) after = page.end > 0n ? page.end - 1n : after;
            else after = page.events.at(-1)!.sequence;
            yield page.events;
            if (signal?.aborted) return;
          }
          if (session.closedBy) throw session.closedBy;
          if (!hasMoved) await moved;
          if (session.closedBy && !signal?.aborted) throw session.closedBy;
        }
      } finally {
        signal?.removeEventListener("abort", onabort);
        unwatch();
      }
    }
    return Object.assign(follow(), { isCaughtUp: () => isCaughtUp });
  }
}

function initial<S, P>({ initialState }: Fold<S, P>): S {
  return typeof initialState === "function" ? (initialState as () => S)() : initialState;
}
