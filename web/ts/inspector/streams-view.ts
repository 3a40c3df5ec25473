// The streams: how many events each has, and what has changed last.

import type { Context, View } from "./context.js";
import { data, grouped, h, isAbort, messageOf, timeText } from "./dom.js";
import { VirtualList } from "./list.js";
import type { StreamRow } from "./source.js";

const PAGE = 200;
const REST = 250;

export class StreamsView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #list: VirtualList;
  readonly #said = h("p", { class: "count", role: "status" });
  readonly #text = h("input", { type: "search", name: "streams", placeholder: "order:5", autocomplete: "off", spellcheck: "false" });
  readonly #order = h("select", { name: "order" },
    h("option", { value: "newest" }, "Newest change"), h("option", { value: "events" }, "Most events"), h("option", { value: "name" }, "Name"));
  #pages = new Map<number, StreamRow[]>();
  #loading = new Set<number>();
  #request = new AbortController();
  #end = -1;

  constructor(context: Context) {
    this.#context = context;
    this.#list = new VirtualList({
      label: "Streams", window: context.window, rowHeight: 34, render: (index) => this.#row(index),
      onopen: (index) => {
        const stream = this.#at(index);
        if (stream) context.setFilter({ stream: stream.entity }, "log");
      },
      onrange: (first, last) => {
        for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) void this.#load(page);
      },
    });
    let timer = 0;
    const { window } = context;
    this.#text.addEventListener("input", () => { window.clearTimeout(timer); timer = window.setTimeout(() => this.#reset(), REST); });
    this.#order.addEventListener("change", () => this.#reset());
    this.element = h("section", { class: "view", "aria-label": "Streams" },
      h("div", { class: "bar" }, this.#said, h("span", { class: "space" }),
        h("label", {}, h("span", {}, "Name contains"), this.#text), h("label", {}, h("span", {}, "Order"), this.#order)),
      h("div", { class: "columns streams", "aria-hidden": "true" }, ...["Entity", "Events", "Newest", "At", "Kind"].map((name) => h("span", {}, name))),
      this.#list.element);
  }

  onshow() {
    if (this.#end !== this.#context.stats?.end) this.#reset();
  }

  focus() { this.#list.element.focus(); }

  #reset() {
    this.#request.abort();
    this.#request = new AbortController();
    this.#pages.clear();
    this.#loading.clear();
    this.#end = this.#context.stats?.end ?? -1;
    this.#said.textContent = "Counting…";
    void this.#load(0);
  }

  #at(index: number): StreamRow | undefined {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  #row(index: number): HTMLElement {
    const stream = this.#at(index);
    if (!stream) return h("div", { class: "row streams is-loading" }, "…");
    return h("div", { class: "row streams" },
      data(stream.entity, { max: 300, class: "entity" }), h("span", { class: "num" }, grouped(stream.events)),
      h("span", { class: "num" }, `#${grouped(stream.sequence)}`), h("span", { class: "time" }, timeText(stream.time)),
      data(stream.type, { max: 120, class: "type" }));
  }

  async #load(page: number) {
    if (this.#pages.has(page) || this.#loading.has(page)) return;
    this.#loading.add(page);
    const { signal } = this.#request;
    try {
      const { total, streams } = await this.#context.source.streams({
        text: this.#text.value, order: this.#order.value as "newest", offset: page * PAGE, limit: PAGE, signal,
        onprogress: (done) => { this.#said.textContent = `Counting… ${grouped(done)} events`; },
      });
      if (signal.aborted) return;
      this.#pages.set(page, streams);
      this.#said.textContent = total === 1 ? "1 stream" : `${grouped(total)} streams`;
      if (this.#list.count === total && page > 0) this.#list.refresh(); else this.#list.setCount(total);
    } catch (error) {
      if (!isAbort(error)) this.#said.textContent = messageOf(error);
    } finally {
      if (!signal.aborted) this.#loading.delete(page);
    }
  }
}
