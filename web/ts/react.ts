/** Live projections as React state. */
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { initialOf } from "./live.js";
import type { EventStore, Fold, LiveProjection, Region, Status } from "./types.js";

/** The state of a live projection that exists already. */
export function useLive<S>(live: LiveProjection<S>): S {
  return useSyncExternalStore(live.subscribe, live.getSnapshot, live.getSnapshot);
}

/** What the store is and does just now, in this tab. */
export function useStatus(store: EventStore): Status {
  const subscribe = useCallback((listener: () => void) => store.onStatus(listener), [store]);
  const snapshot = () => store.status;
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** What there is to show of a projection. */
export interface Projected<S> {
  state: S;
  /** Whether the state has caught up with the store. */
  isReady: boolean;
  error: unknown;
}

const nothing = () => () => {};

/**
 * A projection that lives as long as the component. It begins anew when the store or `key`
 * changes; `fold` and `region` are read when it begins.
 */
export function useProjection<S, P = unknown>(
  store: EventStore | undefined,
  options: Fold<S, P> & { region?: Region },
  key: string = JSON.stringify(options.region ?? {}, (_, value) => (typeof value === "bigint" ? `${value}n` : value)),
): Projected<S> {
  const latest = useRef(options);
  latest.current = options;
  const [live, setLive] = useState<LiveProjection<S>>();
  const [isReady, setReady] = useState(false);
  useEffect(() => {
    setReady(false);
    if (!store) return setLive(undefined);
    let isCurrent = true;
    const live = store.liveProjection(latest.current);
    setLive(live);
    live.ready.then(() => isCurrent && setReady(true), () => {});
    return () => {
      isCurrent = false;
      live.close();
    };
  }, [store, key]);
  const [first] = useState(() => initialOf(options));
  const subscribe = live?.subscribe ?? nothing;
  const snapshot = () => (live ? live.getSnapshot() : first);
  const state = useSyncExternalStore(subscribe, snapshot, snapshot);
  const failure = () => live?.error;
  const error = useSyncExternalStore(subscribe, failure, failure);
  return { state, isReady, error };
}
