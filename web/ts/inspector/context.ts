// What the views share: the store, the filter, and the way to each other.

import type { EventRow, Filter, InspectorSource, InspectorStats } from "./source.js";

export type ViewName = "log" | "streams" | "graph" | "state" | "rates" | "verify" | "storage";

export interface Context {
  readonly source: InspectorSource;
  readonly filter: Filter;
  /** Where the inspector is shown: perhaps not the window that its code runs in, which may be asleep. */
  readonly window: Window & typeof globalThis;
  /** The newest numbers, once they have come. */
  readonly stats: InspectorStats | undefined;
  /** Filters what is shown, and turns to a view. */
  setFilter(filter: Filter, view?: ViewName): void;
  /** Shows one event beside the view. */
  openEvent(which: { id: string } | { sequence: number }): void;
  /** The event that is shown beside the view, once it is there. */
  readonly beside: Pick<EventRow, "id" | "sequence"> | undefined;
  /** Draws what an event belongs to. */
  openGraph(event: Pick<EventRow, "id" | "sequence">): void;
  show(view: ViewName): void;
  /** Says something that is soon forgotten. */
  say(text: string): void;
}

export interface View {
  readonly element: HTMLElement;
  /** It is in sight now. */
  onshow?(): void;
  /** The filter is another one; told only to what is in sight, and on its next `onshow`. */
  onfilter?(): void;
  /** The store's numbers are others. */
  onstats?(stats: InspectorStats): void;
}

export const isFiltered = (filter: Filter) => Object.keys(filter).length > 0;
