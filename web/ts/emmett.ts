/** The store as an event store of Emmett (`@event-driven-io/emmett`). */
import {
  type AggregateStreamOptions, type AggregateStreamResultWithGlobalPosition, type AppendToStreamOptions,
  type AppendToStreamResultWithGlobalPosition, assertExpectedVersionMatchesCurrent, type DefaultEventStoreOptions,
  downcastRecordedMessage, type Event, type EventStore as EmmettStore, type ExpectedStreamVersion,
  ExpectedVersionConflictError, NO_CONCURRENCY_CHECK, type ReadEvent, type ReadEventMetadataWithGlobalPosition,
  type ReadStreamOptions, type ReadStreamResult, STREAM_DOES_NOT_EXIST, STREAM_EXISTS, tryPublishMessagesAfterCommit,
  upcastRecordedMessages,
} from "@event-driven-io/emmett";
import type { EventStore, ExpectedVersion, NewEvent, StoredEvent } from "./types.js";

/** Positions of Emmett count from 1, and 0 is the version of a stream that does not exist. */
const NO_STREAM = 0n;

type Metadata = ReadEventMetadataWithGlobalPosition;

/** An Emmett event store whose streams are the entities of a store. */
export interface AnnalsEventStore extends EmmettStore<Metadata> {
  aggregateStream<State, EventType extends Event, EventPayloadType extends Event = EventType>(
    streamName: string,
    options: AggregateStreamOptions<State, EventType, Metadata, EventPayloadType>,
  ): Promise<AggregateStreamResultWithGlobalPosition<State>>;
  appendToStream<EventType extends Event, EventPayloadType extends Event = EventType>(
    streamName: string,
    events: EventType[],
    options?: AppendToStreamOptions<bigint, EventType, EventPayloadType>,
  ): Promise<AppendToStreamResultWithGlobalPosition>;
}

export interface AnnalsEventStoreOptions extends DefaultEventStoreOptions<AnnalsEventStore> {
  /** The scope of the events of a stream: `emmett` if not given. */
  scope?: string | ((streamName: string) => string);
}

/**
 * An Emmett event store over an open store.
 *
 * A stream is an entity, `data` the payload, `metadata` the metadata, `messageId` the event's id.
 * `streamPosition` counts from 1, and `from` and `to` are such positions, both included.
 * `globalPosition` is the sequence, from 0. Data and metadata are kept as JSON. Closing is left to
 * whoever opened the store.
 */
export function getAnnalsEventStore(store: EventStore, options: AnnalsEventStoreOptions = {}): AnnalsEventStore {
  const { scope = "emmett", hooks } = options;
  const scopeOf = typeof scope === "function" ? scope : () => scope;
  const currentVersion = async (streamName: string) => positionOf(await store.head(streamName));

  async function readStream<EventType extends Event, EventPayloadType extends Event = EventType>(
    streamName: string,
    options: ReadStreamOptions<bigint, EventType, EventPayloadType> = {},
  ): Promise<ReadStreamResult<EventType, Metadata>> {
    // Before the events: a version that is older than they are refuses no append wrongly.
    const head = await currentVersion(streamName);
    assertExpectedVersionMatchesCurrent(head, options.expectedStreamVersion, NO_STREAM);
    const events: ReadEvent<EventPayloadType, Metadata>[] = [];
    const { first, count } = rangeOf(options, head);
    if (count > 0) {
      for await (const event of store.read(streamName, { from: first, limit: count })) {
        events.push(recorded<EventPayloadType>(event));
      }
    }
    const upcasted = upcastRecordedMessages<EventType, EventPayloadType, Metadata>(events, options.schema?.versioning);
    return {
      currentStreamVersion: head,
      events: upcasted as unknown as ReadEvent<EventType, Metadata>[],
      streamExists: head !== NO_STREAM,
    };
  }

  return {
    readStream,

    async aggregateStream(streamName, { evolve, initialState, read }) {
      const { currentStreamVersion, events, streamExists } = await readStream(streamName, read);
      type Evolve = (state: ReturnType<typeof initialState>, event: (typeof events)[number]) => ReturnType<typeof initialState>;
      const state = events.reduce(evolve as Evolve, initialState());
      const last = events.at(-1)?.metadata.globalPosition;
      if (!streamExists) return { currentStreamVersion, state, streamExists };
      const lastEventGlobalPosition = last ?? (await lastPosition(store, streamName));
      return { currentStreamVersion, state, streamExists, lastEventGlobalPosition };
    },

    async appendToStream(streamName, events, options) {
      const expected = options?.expectedStreamVersion;
      if (events.length === 0) {
        const head = await currentVersion(streamName);
        assertExpectedVersionMatchesCurrent(head, expected, NO_STREAM);
        const lastEventGlobalPosition = head === NO_STREAM ? -1n : await lastPosition(store, streamName);
        return { nextExpectedStreamVersion: head, createdNewStream: false, lastEventGlobalPosition };
      }
      const { downcast } = options?.schema?.versioning ?? {};
      const stored = events.map((event) => (downcast ? downcastRecordedMessage(event as never, { downcast } as never) : event) as Event);
      const receipts = await conflictsOfEmmett(expected, () => store.appendBatch(stored.map((event, at): NewEvent => ({
        entity: streamName,
        scope: scopeOf(streamName),
        type: event.type,
        payload: event.data,
        ...(at === 0 ? { expectedVersion: expectedOf(expected) } : {}),
        ...("metadata" in event && event.metadata ? { metadata: event.metadata as Record<string, unknown> } : {}),
      }))));
      const published = events.map((event, at) => withMetadata(event, streamName, receipts[at]!));
      await tryPublishMessagesAfterCommit<AnnalsEventStore>(published as never, hooks ? { onAfterCommit: hooks.onAfterCommit! } : undefined);
      const last = receipts.at(-1)!;
      return {
        nextExpectedStreamVersion: positionOf(last.version),
        createdNewStream: receipts[0]!.version === 0,
        lastEventGlobalPosition: last.sequence,
      };
    },

    async streamExists(streamName) {
      return (await store.head(streamName)) !== undefined;
    },
  };
}

function positionOf(version: number | undefined): bigint {
  return version === undefined ? NO_STREAM : BigInt(version) + 1n;
}

/** The version to begin at, and how many events, no further than the stream reached when it was asked. */
function rangeOf({ from, to, maxCount }: Pick<ReadStreamOptions<bigint>, "from" | "to" | "maxCount">, head: bigint): { first: number; count: number } {
  const first = from === undefined || from < 1n ? 1n : from;
  const last = to === undefined || to > head ? head : to;
  let count = last - first + 1n;
  if (maxCount !== undefined && maxCount < count) count = maxCount;
  return { first: Number(first - 1n), count: count < 0n ? 0 : Number(count) };
}

function expectedOf(expected: ExpectedStreamVersion<bigint> = NO_CONCURRENCY_CHECK): ExpectedVersion {
  switch (expected) {
    case NO_CONCURRENCY_CHECK: return "any";
    case STREAM_DOES_NOT_EXIST: case NO_STREAM: return "noStream";
    case STREAM_EXISTS: return "streamExists";
    default: return Number(expected as bigint) - 1;
  }
}

/** Runs an append; a conflict of versions is thrown as Emmett knows it, with ours as its cause. */
async function conflictsOfEmmett<T>(expected: ExpectedStreamVersion<bigint> | undefined, append: () => Promise<T>): Promise<T> {
  try {
    return await append();
  } catch (error) {
    const { code, actual } = error as { code?: string; actual?: number };
    if (code !== "VersionConflict") throw error;
    const conflict = new ExpectedVersionConflictError(positionOf(actual), expected ?? NO_CONCURRENCY_CHECK);
    throw Object.assign(conflict, { cause: error });
  }
}

async function lastPosition(store: EventStore, streamName: string): Promise<bigint> {
  for await (const { sequence } of store.read(streamName, { direction: "backward", limit: 1 })) return sequence;
  return -1n;
}

function recorded<EventType extends Event>(event: StoredEvent): ReadEvent<EventType, Metadata> {
  const { metadata } = event;
  const own = metadata instanceof Uint8Array ? undefined : metadata;
  return withMetadata({ type: String(event.type), data: event.payload, metadata: own } as unknown as EventType, event.entity, event);
}

function withMetadata<EventType extends Event>(
  event: EventType,
  streamName: string,
  { id, version, sequence }: { id: string; version: number; sequence: bigint },
): ReadEvent<EventType, Metadata> {
  const own = "metadata" in event ? (event.metadata as object | undefined) : undefined;
  const metadata = { ...own, streamName, messageId: id, streamPosition: positionOf(version), globalPosition: sequence };
  return { ...event, kind: "Event", metadata } as unknown as ReadEvent<EventType, Metadata>;
}
