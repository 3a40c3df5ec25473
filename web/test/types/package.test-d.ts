// What the declarations of the package say, checked by the compiler: `npm run typecheck`. Nothing
// here runs.

import type { EventStore as EmmettStore } from "@event-driven-io/emmett";
import { AnnalsError, type ErrorCode, type EventStore, type LiveProjection, newId, openEventStore, type Receipt, type Status, type StoredEvent } from "annals";
import { type AnnalsEventStore, getAnnalsEventStore } from "annals/emmett";
import { openEventStore as openInline } from "annals/inline";
import { openEventStore as openDirectory } from "annals/node";
import { useLive, useProjection, useStatus } from "annals/react";
import { collect, given, openTestStore } from "annals/testing";
import { expectTypeOf } from "expect-type";
import { useSyncExternalStore } from "react";

interface Placed { total: number }
declare const store: EventStore;
const event = { entity: "order:5", scope: "shop", type: "order.placed", payload: { total: 995 } };

// Every entry gives the same store.
expectTypeOf(openEventStore).returns.resolves.toEqualTypeOf<EventStore>();
expectTypeOf(openInline).returns.resolves.toEqualTypeOf<EventStore>();
expectTypeOf(openDirectory).returns.resolves.toEqualTypeOf<EventStore>();
expectTypeOf(openTestStore).returns.resolves.toEqualTypeOf<EventStore>();
expectTypeOf(newId).returns.toEqualTypeOf<string>();
openEventStore({ name: "shop", durability: "relaxed", storage: "opfs", onUnavailable: "memory", wasmUrl: new URL("x:y") });
openEventStore({ name: "shop", worker: () => new Worker("worker.js") });
// @ts-expect-error a worker is made, not given
openEventStore({ name: "shop", worker: new Worker("worker.js") });
// @ts-expect-error a store has a name
openEventStore({});
// @ts-expect-error there is no such storage
openEventStore({ name: "shop", storage: "indexeddb" });
openDirectory({ directory: "./data", durability: "strict" });

// Appends.
expectTypeOf(store.append(event)).resolves.toEqualTypeOf<Receipt>();
expectTypeOf(store.appendBatch([event])).resolves.toEqualTypeOf<Receipt[]>();
expectTypeOf<Receipt["sequence"]>().toEqualTypeOf<bigint>();
expectTypeOf<Receipt["version"]>().toEqualTypeOf<number>();
store.append(event, { expectedVersion: "noStream" });
store.append(event, { expectedVersion: 3, condition: { region: { entity: "order:5" }, after: 7n } });
// @ts-expect-error a version is a number
store.append(event, { expectedVersion: 3n });
// @ts-expect-error no such expectation
store.append(event, { expectedVersion: "exists" });
// @ts-expect-error an event has a scope
store.append({ entity: "order:5", type: "order.placed" });

// Reads.
expectTypeOf(store.get("id")).resolves.toEqualTypeOf<StoredEvent | undefined>();
expectTypeOf(store.head("order:5")).resolves.toEqualTypeOf<number | undefined>();
expectTypeOf(store.read<Placed>("order:5")).toEqualTypeOf<AsyncIterable<StoredEvent<Placed>>>();
expectTypeOf(store.query({ type: ["a", 7], times: { from: new Date() } })).toEqualTypeOf<AsyncIterable<StoredEvent<unknown>>>();
expectTypeOf(store.subscribe<Placed>({}, { after: 1n })).toEqualTypeOf<AsyncIterable<StoredEvent<Placed>>>();
expectTypeOf(collect(store.subscribe<Placed>(), 1)).resolves.toEqualTypeOf<StoredEvent<Placed>[]>();
expectTypeOf(given(store, event)).resolves.toEqualTypeOf<EventStore>();
// @ts-expect-error an unknown payload has to be narrowed
for await (const { payload } of store.query()) payload.total;

// Folds: the state's type comes from `initialState`, the payload's from whoever names it.
const fold = { initialState: 0, evolve: (total: number, { payload }: StoredEvent<Placed>) => total + payload.total };
expectTypeOf(store.aggregate("order:5", fold)).resolves.toEqualTypeOf<{ state: number; version: number | undefined }>();
const live = store.liveProjection({ ...fold, region: { entity: "order" }, signal: AbortSignal.timeout(1) });
expectTypeOf(live).toEqualTypeOf<LiveProjection<number>>();
expectTypeOf(store.liveProjection({ initialState: () => [1], evolve: (state) => state }).getSnapshot()).toEqualTypeOf<number[]>();
// @ts-expect-error a fold keeps the type of its state
store.liveProjection({ initialState: 0, evolve: () => "total" });
expectTypeOf(useSyncExternalStore(live.subscribe, live.getSnapshot)).toEqualTypeOf<number>();

// React.
expectTypeOf(useLive(live)).toEqualTypeOf<number>();
expectTypeOf(useProjection(store, fold)).toEqualTypeOf<{ state: number; isReady: boolean; error: unknown }>();
expectTypeOf(useStatus(store)).toEqualTypeOf<Status>();

// Status and errors.
expectTypeOf<Status["role"]>().toEqualTypeOf<"leader" | "follower" | "alone" | "waiting" | "closed">();
expectTypeOf<Status["lag"]>().toEqualTypeOf<number>();
expectTypeOf<AnnalsError>().toExtend<Error>();
expectTypeOf<AnnalsError["code"]>().toEqualTypeOf<ErrorCode>();
for (const code of [
  "VersionConflict", "IdempotencyConflict", "ConditionFailed", "StoreBusy", "LeaderLost", "QuotaExceeded", "StorageUnavailable",
  "Corrupt", "LimitExceeded", "Closed",
] as const) expectTypeOf(code).toExtend<ErrorCode>();
expectTypeOf<EventStore>().toExtend<AsyncDisposable>();

// Emmett.
expectTypeOf(getAnnalsEventStore(store)).toEqualTypeOf<AnnalsEventStore>();
expectTypeOf<AnnalsEventStore>().toExtend<EmmettStore>();
