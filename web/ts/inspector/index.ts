// The inspector: views of one store, mounted into an element of any page. It lives in a shadow
// tree, so that neither its styles nor the page's reach each other, and it changes nothing.

import { type Context, isFiltered, type View, type ViewName } from "./context.js";
import { bytesText, counted, data, h, isAbort, messageOf } from "./dom.js";
import { EventPanel } from "./event-panel.js";
import { type FilterBar, filterBar } from "./filter-bar.js";
import { GraphView } from "./graph-view.js";
import { LogView } from "./log-view.js";
import { RatesView } from "./rates-view.js";
import type { EventRow, Filter, InspectorSource, InspectorStats } from "./source.js";
import { StateView } from "./state-view.js";
import { StorageView } from "./storage-view.js";
import { StreamsView } from "./streams-view.js";
import plotCss from "uplot/dist/uPlot.min.css";
import css from "./style.css";
import { VerifyView } from "./verify-view.js";

/** How often the store is asked whether it has grown, in milliseconds. */
const LOOK_AGAIN = 2000;
const SAID_FOR = 6000;
const ERROR_SAID_FOR = 20_000;

const VIEWS: readonly [ViewName, string, new (context: Context) => View & { focus?(): void }][] = [
  ["log", "Log", LogView], ["streams", "Streams", StreamsView], ["graph", "Graph", GraphView], ["state", "State", StateView],
  ["rates", "Rates", RatesView], ["verify", "Verify", VerifyView], ["storage", "Storage", StorageView],
];
/** Where the filter matters. */
const FILTERED: readonly ViewName[] = ["log", "state", "rates"];

const KEYS: readonly (readonly [keys: string, what: string])[] = [
  ["/", "Filter"], ["↑ ↓, j k", "To the event before, to the next"], ["Page ↑, Page ↓, Home, End", "Further, and to the ends"],
  ["Enter", "Show the event"], ["Esc", "Close the event, or leave a field"], ["1 to 7", "To a view"],
  ["Arrows, + − 0", "In the graph: move, zoom, fit"], ["o", "Open a backup"], ["?", "These keys"],
];

/** What is around an inspector. */
export interface Surroundings {
  /** Where its reader came from. */
  back?: { words: string; run(): void };
  /** Takes a backup to be shown instead. */
  takeFile?(file: File): void;
}

export class Inspector implements Context {
  readonly source: InspectorSource;
  readonly window: Window & typeof globalThis;
  filter: Filter = {};
  stats: InspectorStats | undefined;
  readonly #host: HTMLElement;
  readonly #root: ShadowRoot;
  readonly #views = new Map<ViewName, View & { focus?(): void }>();
  readonly #place = h("div", { class: "place" });
  readonly #panel: EventPanel;
  readonly #bar: FilterBar;
  readonly #tabs = new Map<ViewName, HTMLButtonElement>();
  readonly #title = h("p", { class: "title" });
  readonly #said = h("p", { class: "said", role: "status" });
  readonly #help: HTMLDialogElement;
  #view: ViewName = "log";
  readonly #file: HTMLInputElement | undefined;
  #timer = 0;
  #saidTimer = 0;
  readonly #end = new AbortController();

  constructor(element: HTMLElement, source: InspectorSource, { back, takeFile }: Surroundings) {
    this.source = source;
    this.window = element.ownerDocument.defaultView ?? window;
    this.#bar = filterBar(this.window, (filter) => this.setFilter(filter));
    this.#host = h("div");
    this.#host.style.cssText = "height: 100%";
    this.#root = this.#host.attachShadow({ mode: "open" });
    element.append(this.#host);
    const sheet = new this.window.CSSStyleSheet();
    sheet.replaceSync(plotCss + css);
    this.#root.adoptedStyleSheets = [sheet];
    this.#panel = new EventPanel(this, () => this.#views.get(this.#view)?.focus?.());
    this.#help = h("dialog", { class: "help", "aria-label": "Keys" }, h("h2", {}, "Keys"),
      h("dl", { class: "fields" }, ...KEYS.flatMap(([keys, what]) => [h("dt", {}, h("kbd", {}, keys)), h("dd", {}, what)])),
      h("form", { method: "dialog" }, h("button", { class: "primary" }, "Close")));
    for (const [name, words] of VIEWS) {
      this.#tabs.set(name, h("button", { type: "button", onclick: () => this.show(name) }, words));
    }
    const help = h("button", { type: "button", class: "small", "aria-label": "Keys", "aria-keyshortcuts": "?", onclick: () => this.#help.showModal() }, "?");
    this.#file = takeFile && h("input", {
      type: "file", hidden: true, "aria-label": "A backup", onchange: () => {
        const file = this.#file?.files?.[0];
        if (file) takeFile(file);
        if (this.#file) this.#file.value = "";
      },
    });
    this.#root.append(h("div", { class: "inspector" },
      h("header", { class: "top" }, h("h1", {}, "Annals"), this.#title,
        back && h("button", { type: "button", class: "small", onclick: () => back.run() }, back.words),
        this.#file && h("button", {
          type: "button", class: "small", title: "A backup, to be looked at; it can be dropped here too", "aria-keyshortcuts": "o", onclick: () => this.#file?.click(),
        }, "Open a backup"), this.#file, help),
      h("nav", { "aria-label": "Views" }, ...this.#tabs.values()),
      this.#bar.element, h("div", { class: "split" }, this.#place, this.#panel.element), this.#said, this.#help),
      h("p", { class: "drop", "aria-hidden": "true" }, takeFile ? "Drop a backup to look at it" : "No backup can be opened here"));
    this.#root.addEventListener("keydown", (event) => this.#key(event as KeyboardEvent));
    element.ownerDocument.addEventListener("keydown", (event) => {
      // Keys that were typed where nothing has the focus.
      if (event.target === element.ownerDocument.body) this.#key(event);
    }, { signal: this.#end.signal });
    this.show("log");
    void this.#look();
  }

  close() {
    this.#end.abort();
    this.window.clearTimeout(this.#timer);
    this.window.clearTimeout(this.#saidTimer);
    this.#host.remove();
  }

  setFilter(filter: Filter, view: ViewName = FILTERED.includes(this.#view) ? this.#view : "log") {
    this.filter = filter;
    this.#bar.set(filter);
    if (isNarrow(this.#host) && view !== this.#view) this.#panel.close();
    if (view === this.#view) this.#views.get(view)?.onfilter?.(); else this.show(view);
  }

  openEvent(which: { id: string } | { sequence: number }) {
    void this.#panel.open(which);
  }

  openGraph(event: Pick<EventRow, "id" | "sequence">) {
    if (isNarrow(this.#host)) this.#panel.close();
    this.#reveal("graph");
    void (this.#views.get("graph") as GraphView).open(event);
  }

  get beside() { return this.#panel.event; }

  show(name: ViewName) {
    this.#reveal(name).onshow?.();
  }

  #reveal(name: ViewName): View {
    this.#view = name;
    let view = this.#views.get(name);
    if (!view) {
      view = new (VIEWS.find(([known]) => known === name)![2])(this);
      this.#views.set(name, view);
      this.#place.append(view.element);
    }
    for (const [other, { element }] of this.#views) element.hidden = other !== name;
    for (const [other, tab] of this.#tabs) {
      if (other === name) tab.setAttribute("aria-current", "page"); else tab.removeAttribute("aria-current");
    }
    this.#bar.element.hidden = !FILTERED.includes(name);
    return view;
  }

  /** Says whether something is held over it that can be dropped. */
  markDrop(isOver: boolean) {
    this.#root.querySelector(".drop")?.toggleAttribute("data-over", isOver);
  }

  say(text: string, isError = false) {
    this.#said.replaceChildren(data(text));
    this.window.clearTimeout(this.#saidTimer);
    this.#saidTimer = this.window.setTimeout(() => { this.#said.replaceChildren(); }, isError ? ERROR_SAID_FOR : SAID_FOR);
  }

  /** Asks for the store's numbers, again and again. */
  async #look() {
    try {
      const stats = await this.source.stats(this.#end.signal);
      const isNew = JSON.stringify(stats) !== JSON.stringify(this.stats);
      this.stats = stats;
      if (isNew) this.#tell(stats);
      else this.#views.get("storage")?.onstats?.(stats);
    } catch (error) {
      if (isAbort(error) || this.#end.signal.aborted) return;
      this.#title.replaceChildren(h("span", { class: "error", role: "alert" }, messageOf(error)));
      this.stats = undefined;
    }
    if (!this.#end.signal.aborted) this.#timer = this.window.setTimeout(() => void this.#look(), LOOK_AGAIN);
  }

  #tell(stats: InspectorStats) {
    this.#title.replaceChildren(h("b", {}, data(stats.name)), h("span", {}, counted(stats.events, "event")),
      h("span", {}, counted(stats.entities, "stream")), h("span", {}, bytesText(stats.bytes)));
    if (stats.kinds) this.#bar.setKinds(stats.kinds.map(({ type }) => type));
    for (const view of this.#views.values()) view.onstats?.(stats);
    if (!isFiltered(this.filter)) this.#views.get("log")?.onshow?.();
  }

  #key(event: KeyboardEvent) {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || this.#help.open) return;
    const target = event.composedPath()[0];
    const isField = (target instanceof Element || target instanceof HTMLElement) && target.matches("input:not([type=range]), textarea, select");
    if (event.key === "Escape") {
      if (isField) (target as HTMLElement).blur();
      else if (this.#panel.isOpen) this.#panel.close();
      else return;
    } else if (isField) return;
    else if (event.key === "/") {
      if (!FILTERED.includes(this.#view)) this.show("log");
      this.#bar.focus();
    } else if (event.key === "?") this.#help.showModal();
    else if (event.key === "o" && this.#file) this.#file.click();
    else if (/^[1-7]$/.test(event.key)) {
      this.show(VIEWS[Number(event.key) - 1]![0]);
      this.#views.get(this.#view)?.focus?.();
    } else if (event.key === "ArrowDown" && target !== this.#host && !(target as Element).closest?.(".panel, .list, .canvas, [type=range]")) {
      this.#views.get(this.#view)?.focus?.();
    } else return;
    event.preventDefault();
  }
}

function isNarrow(element: HTMLElement): boolean {
  return element.clientWidth < 800;
}

