/// <reference lib="esnext.disposable" preserve="true" />
/** What a stream must look like for an append to go ahead; a number is the version of its last event. */
export type ExpectedVersion = "any" | "noStream" | "streamExists" | number;

/** One event to be appended. */
export interface NewEvent {
  /** Who it happened to: names the stream. */
  entity: string;
  /** Where it happened. */
  scope: string;
  /** What kind of event it is: a name such as `order.placed`, or a number that Rust gave it. */
  type: string | number;
  /** What happened: kept as JSON, but a `Uint8Array` as it is. */
  payload?: unknown;
  /** The version of the payload's schema, 1 if not given. */
  payloadVersion?: number;
  /** The event's id, a UUID. A second append with it changes nothing and returns the first receipt. */
  id?: string;
  /** Something beside the payload: an object is kept as JSON, bytes as they are. */
  metadata?: Record<string, unknown> | Uint8Array;
  /** The id of the event that this one belongs to. */
  correlation?: string;
  /** The id of the event that caused this one. */
  causation?: string;
  /** In a batch: the earlier item that caused this one, counted from 0. */
  causedBy?: number;
  /** Bits of the application and of the store. */
  flags?: number;
  /** The lane and the depth that it stands in. */
  position?: { lane: number; depth: number };
  /** What the stream must look like. */
  expectedVersion?: ExpectedVersion;
}

/** What the store says of an event that it has appended. */
export interface Receipt {
  id: string;
  /** Its place in the store, from 0. */
  sequence: bigint;
  /** Its place in its stream, from 0. */
  version: number;
  /** Its hash, which the stream's next event carries. */
  hash: string;
  /** Milliseconds since 1970. */
  time: number;
  /** Whether it was on stable storage when the receipt was written. */
  durable: boolean;
}

/** An event that the store holds. */
export interface StoredEvent<P = unknown> {
  id: string;
  entity: string;
  scope: string;
  /** The kind's name, or its number where it has none. */
  type: string | number;
  /** The kind's number. */
  kind: number;
  sequence: bigint;
  version: number;
  /** Milliseconds since 1970, by the clock of whoever appended it. */
  time: number;
  /**
   * The value of a JSON payload, the bytes of any other and of what says that it is JSON and is not,
   * `undefined` where it was erased.
   */
  payload: P;
  payloadFormat: "json" | "raw" | "postcard";
  payloadVersion: number;
  metadata?: Record<string, unknown> | Uint8Array;
  correlation: string;
  causation?: string;
  flags: number;
  position: { lane: number; depth: number };
  /** Set where the payload was erased: the hash of what it was. */
  erased?: string;
  /** Which gates let it in, or why none was asked, where a policy was at work. */
  admission?: { gates: string[] } | { reason: string; justification: string };
  /** The chain, where it was asked for. */
  chain?: { hash: string; previousHash: string };
}

/**
 * Which events: those that pass every filter given. Ranges include both ends. At most one of `entity`, `stream` and
 * `prefix`, and one of `type` and `category`. What is no filter, or `null`, is refused with `InvalidInput`.
 */
export interface Region {
  /** An entity and all within it: `order:5` takes in `order:5:line:1`, but not `order:50`. */
  entity?: string;
  /** One entity alone. */
  stream?: string;
  /** Every entity that begins with these characters. */
  prefix?: string;
  scope?: string;
  /** One kind or any of several, by name or number. */
  type?: string | number | readonly (string | number)[];
  /** All kinds of a category. */
  category?: number;
  versions?: { from?: number; to?: number };
  sequences?: { from?: bigint | number; to?: bigint | number };
  /** Dates, or milliseconds since 1970. */
  times?: { from?: Date | number; to?: Date | number };
  correlation?: string;
  causation?: string;
}

/** A wish that nothing relevant has happened: no event of `region` exists after `after`. */
export interface Condition {
  region: Region;
  after?: bigint;
}

export interface QueryOptions {
  /** Only events behind this sequence, in the direction of the query. */
  after?: bigint;
  limit?: number;
  direction?: "forward" | "backward";
  signal?: AbortSignal;
  /** Whether events carry the hashes of their chain. */
  withChain?: boolean;
}

export interface SubscribeOptions {
  /** The last sequence that was seen; without it, everything is. */
  after?: bigint;
  signal?: AbortSignal;
}

/** What the store is and does just now. */
export interface Status {
  /** Whether this tab holds the files, asks the tab that does, or is between two. */
  role: "leader" | "follower" | "alone" | "waiting" | "closed";
  storage: "opfs" | "memory" | "files";
  /** Whether the browser promised not to evict the files. */
  persisted: boolean;
  /** A number that grows with every change of leadership. */
  epoch: number;
  /** The sequence behind the last event that this client knows of. */
  end: bigint;
  /** How many events of the store the slowest subscription or projection of this client has yet to look at. */
  lag: number;
  /** Requests that wait for an answer. */
  pending: number;
}

/** Numbers about what the store holds. */
export interface Stats {
  /** The store's own id, which its copies have too. */
  storeId: string;
  events: number;
  entities: number;
  scopes: number;
  /** The kinds that occur. */
  kinds: KindStats[];
  bytes: number;
  /** In the order of their sequences. */
  segments: SegmentStats[];
  end: bigint;
  durableEnd: bigint;
  openHandles: number;
  recovery: { clean: boolean; tornBytes: number; scannedEvents: number };
}

/** A kind, and how many events it has. */
export interface KindStats {
  kind: number;
  /** Its name, or its number where it has none. */
  type: string | number;
  events: number;
}

/** A file of events. */
export interface SegmentStats {
  file: string;
  /** Whether it never changes any more. */
  isSealed: boolean;
  firstSequence: bigint;
  events: number;
  bytes: number;
}

/** One event as it stands in its file. */
export interface RecordBytes {
  file: string;
  /** Where it begins in the file, in bytes. */
  offset: number;
  /** Its CRC, its lengths, its header, its content, as docs/FORMAT.md says. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** How a state comes from events. */
export interface Fold<S, P = unknown> {
  /** The state before any event: a value, or a function that makes one. */
  initialState: S | (() => S);
  /** The state after an event: another value, where something has changed. */
  evolve(state: S, event: StoredEvent<P>): S;
}

export interface LiveOptions<S, P = unknown> extends Fold<S, P> {
  /** Which events are folded: all, if not given. */
  region?: Region;
  /** Ends the projection, as `close` does. */
  signal?: AbortSignal;
}

/** A state that follows the store. `subscribe` and `getSnapshot` are what `useSyncExternalStore` takes. */
export interface LiveProjection<S> {
  /** Calls back when the state has changed, or the projection has ended in an error. */
  subscribe(listener: () => void): () => void;
  /** The state: the same value until an event has changed it. */
  getSnapshot(): S;
  /** The last sequence that the state has seen. */
  readonly sequence: bigint | undefined;
  /** What ended it, if something did: what `evolve` threw, or the store's end. */
  readonly error: unknown;
  /** Resolves when the state has caught up for the first time; rejects if it ends before. */
  readonly ready: Promise<void>;
  /** Ends it. The state stays as it is, and nobody is called any more. */
  close(): void;
}

/** How far long work is. It may go back when another tab had to take over. */
export interface KeepProgress {
  bytesDone: number;
  bytesTotal: number;
}

export interface KeepOptions {
  /** Hears how far it is, some times a second. */
  onProgress?: (progress: KeepProgress) => void;
  /** Stops it. */
  signal?: AbortSignal;
}

/** What a verification found. */
export interface VerifyReport {
  /** Whether all of it was looked at and is as it must be. */
  isWhole: boolean;
  /** Whether all of it could be looked at. */
  isComplete: boolean;
  segments: number;
  bytes: number;
  events: number;
  /** Those among them whose payload was erased. */
  erasedEvents: number;
  /** Marks of events that a compaction dropped. */
  prunedRuns: number;
  streams: number;
  /** The first fault of each kind. */
  faults: Fault[];
}

/** Something that is wrong with a store. */
export interface Fault {
  /** What: `frame`, `record`, `prev_hash` and others. */
  kind: string;
  /** How many of this kind there are. */
  count: number;
  file: string;
  /** Where in the file, in bytes. */
  offset: number;
  expected: string;
  found: string;
}

/** What an erasure did. */
export interface Erasure {
  /** Events whose metadata and payload were erased. */
  erased: number;
  /** Events of the region whose payload was gone before. */
  erasedBefore: number;
  /** Segments that were written anew. */
  segments: number;
  /** Replaced files that a verification or a backup still reads: they go when that ends. */
  waitingFiles: string[];
  /** The event that says when and how many, where something was erased. */
  record?: Receipt;
}

export interface CompactOptions extends KeepOptions {
  /** Events that are to be gone for good, but for marks that carry the hash chains over the gaps. */
  drop?: Region;
  /** Takes the newest events too, of the segment that is written to. With `drop`, they always are. */
  sealActive?: boolean;
  /** Bytes that a segment has at most afterwards: 64 MiB if not given. */
  outputMaxBytes?: number;
}

/** What a compaction did. */
export interface Compaction {
  /** Events in the segments that were written anew. */
  kept: number;
  dropped: number;
}

export interface ExportOptions extends KeepOptions {
  /** Where a store ends that is to go on with this backup; without it, the backup is of everything. */
  from?: bigint;
}

/** The bytes of a backup. */
export type BackupSource = ReadableStream<Uint8Array> | Blob | Uint8Array;

export interface ImportOptions extends KeepOptions {
  /** Whether a whole backup is verified, besides its checksums, before it counts: `true` if not given. */
  verify?: boolean;
}

/** What was taken in. */
export interface Import {
  /** The id of the store that the backup is of, and that this one has from now on. */
  storeId: string;
  /** The first sequence that came, and the one behind the last. */
  from: bigint;
  end: bigint;
  bytes: number;
}

/** An open event store. */
export interface EventStore extends AsyncDisposable {
  /**
   * Appends one event. An `AbortSignal` stops the waiting, and not what has been sent: the event may
   * be there. Append it again under its id to find out.
   */
  append(event: NewEvent, options?: { expectedVersion?: ExpectedVersion; condition?: Condition; signal?: AbortSignal }): Promise<Receipt>;
  /** Appends all of them or none, over any streams. */
  appendBatch(events: readonly NewEvent[], options?: { condition?: Condition; signal?: AbortSignal }): Promise<Receipt[]>;
  get(id: string): Promise<StoredEvent | undefined>;
  /** The version of a stream's last event; `undefined` where it has none. */
  head(entity: string): Promise<number | undefined>;
  /** The events of one stream. */
  read<P = unknown>(entity: string, options?: { from?: number; limit?: number; direction?: "forward" | "backward"; signal?: AbortSignal }): AsyncIterable<StoredEvent<P>>;
  query<P = unknown>(region?: Region, options?: QueryOptions): AsyncIterable<StoredEvent<P>>;
  /**
   * Past events, then live ones, without a gap. Nothing is fetched before it is asked for. It ends
   * when the signal aborts or the loop is left, and throws when the store closes.
   */
  subscribe<P = unknown>(region?: Region, options?: SubscribeOptions): AsyncIterable<StoredEvent<P>>;
  /** Folds the events of one stream. `version` is what an append may expect. */
  aggregate<S, P = unknown>(entity: string, fold: Fold<S, P>, options?: { signal?: AbortSignal }): Promise<{ state: S; version: number | undefined }>;
  /** Folds events into a state that follows the store, in every tab. */
  liveProjection<S, P = unknown>(options: LiveOptions<S, P>): LiveProjection<S>;
  stats(): Promise<Stats>;
  /** An event's bytes in the file, their CRC checked; `undefined` where there is no such event. */
  recordBytes(sequence: bigint): Promise<RecordBytes | undefined>;
  /** Puts everything appended so far on stable storage. */
  sync(): Promise<void>;
  /**
   * Proves the store whole: every byte is read, every hash, chain and index is checked. What is wrong is
   * in the report, with its place.
   */
  verify(options?: KeepOptions): Promise<VerifyReport>;
  /**
   * Erases the metadata and payloads of a region's events for good. The events stay, with their hashes
   * and chains; an event in the stream `annals:erasure` says when and how many. If it is stopped, or
   * fails, some are erased: erase the same again, and it goes on. A region without a filter, or with one that
   * is `undefined`, is refused; `{ prefix: "" }` is all events.
   */
  erase(region: Region, options?: KeepOptions): Promise<Erasure>;
  /**
   * Writes old segments anew: fewer and larger ones, without the events that may go. What is finished
   * when it is stopped stays.
   */
  compact(options?: CompactOptions): Promise<Compaction>;
  /**
   * A backup of the store as it is now, to be read at any pace: `new Response(stream).blob()` makes a file
   * of it. The library and the `annals` command take it in, and `importBackup` does.
   */
  exportBackup(options?: ExportOptions): Promise<ReadableStream<Uint8Array<ArrayBuffer>>>;
  /**
   * Takes in a backup: a whole one into a store without events, or one that goes on where this store
   * ends. It counts at once, when all of it is proven; if it is refused, stopped or interrupted, nothing
   * of it is there. Meanwhile whatever else is asked of the store fails with `StoreBusy`.
   */
  importBackup(backup: BackupSource, options?: ImportOptions): Promise<Import>;
  /** What the store is and does: the same object as long as nothing of it changes. */
  readonly status: Status;
  /** Calls back when the status changes, though not for `pending` alone. */
  onStatus(listener: (status: Status) => void): () => void;
  /** Asks the browser not to evict the files; whether it promised. */
  persist(): Promise<boolean>;
  close(): Promise<void>;
}

/** A `Worker`, where the compiler knows of one: those who use `annals/node` need no types of the DOM. */
type DedicatedWorker = typeof globalThis extends { Worker: { prototype: infer Known } } ? Known : never;

export interface OpenOptions {
  /** The store's name: 1 to 64 letters, digits, `.`, `_` and `-`. */
  name: string;
  /** `strict`: on stable storage before an append resolves. `relaxed`: within a moment after. */
  durability?: "strict" | "relaxed";
  /** Where the events are. It is never swapped silently. */
  storage?: "opfs" | "memory";
  /** What to do where there is no OPFS: throw `StorageUnavailable`, or use memory, as `status` then shows. */
  onUnavailable?: "throw" | "memory";
  /** Makes the dedicated worker, where the bundler can't find it. */
  worker?: () => DedicatedWorker;
  /** Where `annals.wasm` is, where the bundler can't find it. */
  wasmUrl?: string | URL;
  /** Where `annals-jobs.wasm` is, where the bundler can't find it: beside `wasmUrl`, if that is given. */
  jobsWasmUrl?: string | URL;
  /** How tabs find each other: through a SharedWorker where there is one, or by broadcast. */
  tabs?: "shared-worker" | "broadcast";
  /** How long an operation waits while no tab leads, in milliseconds: 15000 if not given. */
  leaderTimeout?: number;
  signal?: AbortSignal;
}
