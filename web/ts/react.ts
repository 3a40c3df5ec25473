/** Live projections as React state. */
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { EventStore, Fold, LiveProjection, Region } from "./types.js";

/** The state of a live projection that exists already. */
export function useLive<S>(live: LiveProjection<S>): S {
  return useSyncExternalStore(live.subscribe, live.getSnapshot, live.getSnapshot);
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
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    setReady(false);
    setError(undefined);
    if (!store) return setLive(undefined);
    let isCurrent = true;
    const live = store.liveProjection(latest.current);
    setLive(live);
    live.ready.then(
      () => isCurrent && setReady(true),
      (thrown) => isCurrent && setError(thrown),
    );
    return () => {
      isCurrent = false;
      live.close();
    };
  }, [store, key]);
  const [first] = useState(() => {
    const { initialState } = options;
    return typeof initialState === "function" ? (initialState as () => S)() : initialState;
  });
  const snapshot = () => live?.getSnapshot() ?? first;
  const state = useSyncExternalStore(live?.subscribe ?? nothing, snapshot, snapshot);
  return { state, isReady, error };
}
