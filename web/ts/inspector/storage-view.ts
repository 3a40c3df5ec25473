// What the store takes, segment by segment, and what this tab has to do with it.

import type { Context, View } from "./context.js";
import { bytesText, data, grouped, h } from "./dom.js";
import type { InspectorStats } from "./source.js";

const ROWS_MAX = 500;

export class StorageView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #numbers = h("div", { class: "tiles" });
  readonly #facts = h("dl", { class: "fields" });
  readonly #tabs = h("div");
  readonly #segments = h("div");
  readonly #kinds = h("div");
  readonly #shown = new Map<HTMLElement, string>();

  constructor(context: Context) {
    this.#context = context;
    this.element = h("section", { class: "view storage-view", "aria-label": "Storage" },
      h("div", { class: "prose wide", tabindex: 0 }, this.#numbers, this.#facts, this.#tabs, this.#segments, this.#kinds));
  }

  onshow() { if (this.#context.stats) this.onstats(this.#context.stats); }

  onstats(stats: InspectorStats) {
    const { events, entities, scopes, bytes, segmentCount, segments, facts, kinds } = stats;
    const tile = (name: string, value: string) => h("div", { class: "tile" }, h("b", {}, value), h("span", {}, name));
    const of = (count: number, one: string) => tile(count === 1 ? one : `${one}s`, grouped(count));
    this.#put(this.#numbers, [events, entities, scopes, bytes, segmentCount], () => [
      of(events, "event"), of(entities, "stream"), ...(scopes === undefined ? [] : [of(scopes, "scope")]), of(segmentCount, "segment"), tile("in files", bytesText(bytes)),
    ]);
    const all = [...(this.#context.source.status?.() ?? []), ...facts];
    this.#put(this.#facts, all, () => all.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, data(value))]));
    void this.#showTabs();
    if (segments) this.#put(this.#segments, segments, () => table("Segments", ["File", "First", "Events", "Bytes"], segments.map((segment) => ({
      cells: [data(segment.file), `#${grouped(segment.firstSequence)}`, grouped(segment.events), bytesText(segment.bytes)],
      share: segment.bytes, note: segment.isSealed ? "sealed" : "active",
    }))));
    if (kinds) this.#put(this.#kinds, kinds, () => table("Kinds", ["Kind", "Number", "Events"], [...kinds].sort((a, b) => b.events - a.events).map((kind) => ({
      cells: [data(kind.type), `0x${kind.kind.toString(16).toUpperCase().padStart(4, "0")}`, grouped(kind.events)], share: kind.events, note: "",
    }))));
  }

  async #showTabs() {
    const tabs = await this.#context.source.tabs?.().catch(() => []) ?? [];
    this.#put(this.#tabs, tabs, () => table("Tabs", ["Tab", "Role"], tabs.map(({ id, isLeader }) => ({
      cells: [h("span", { class: "mono" }, data(id)), isLeader ? "leads" : "follows"], share: 0, note: "",
    }))));
  }

  /** Shows something anew, where it is another: what is selected in it would be lost. */
  #put(place: HTMLElement, shown: unknown, make: () => Node[]) {
    const key = JSON.stringify(shown);
    if (this.#shown.get(place) === key) return;
    this.#shown.set(place, key);
    place.replaceChildren(...make());
  }
}

function table(title: string, names: string[], rows: { cells: (Node | string)[]; share: number; note: string }[]): HTMLElement[] {
  if (rows.length === 0) return [];
  const most = rows.reduce((most, { share }) => Math.max(most, share), 1);
  const body = rows.slice(0, ROWS_MAX).map(({ cells, share, note }) => {
    const bar = h("span", { class: "share", "aria-hidden": "true" });
    bar.style.setProperty("--share", `${share / most * 100}%`);
    return h("tr", {}, ...cells.map((cell, at) => (at === 0 ? h("th", { scope: "row" }, cell, note && h("small", {}, ` ${note}`), bar) : h("td", { class: "num" }, cell))));
  });
  const head = h("tr", {}, ...names.map((name, at) => h("th", { scope: "col", class: at === 0 ? "" : "num" }, name)));
  const rest = rows.length > ROWS_MAX ? [h("p", {}, `${grouped(rows.length - ROWS_MAX)} more are not listed.`)] : [];
  return [h("h2", {}, title), h("table", {}, h("thead", {}, head), h("tbody", {}, ...body)), ...rest];
}
