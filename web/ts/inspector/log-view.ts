// The log. Without a filter a row's place is its sequence, so any row can be shown at once. With
// one, pages are found one behind the other, and the list grows as it is read.

import { type Context, isFiltered, type View } from "./context.js";
import { bytesText, counted, cut, data, grouped, h, isAbort, messageOf, save, timeText } from "./dom.js";
import { VirtualList } from "./list.js";
import type { EventRow } from "./source.js";

const PAGE = 200;
/** Pages that are kept, of those that were read. */
const PAGES_MAX = 100;
const REQUESTS_MAX = 3;
const PREVIEW_CHARS = 160;

export class LogView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #list: VirtualList;
  readonly #count = h("p", { class: "count", role: "status" });
  readonly #news = h("button", { type: "button", class: "news", hidden: true, onclick: () => this.#reset() });
  readonly #order = h("button", {
    type: "button", class: "small", onclick: () => { this.#isNewestFirst = !this.#isNewestFirst; this.#reset(); },
  }, "Newest first");
  #isNewestFirst = true;
  #end = 0;
  #pages = new Map<number, EventRow[]>();
  #loading = new Map<number, AbortController>();
  /** Where each filtered page begins: behind this sequence. */
  #cursors: (number | undefined)[] = [undefined];
  #isDone = false;
  #found = 0;
  #lookedAt = 0;
  #search = new AbortController();
  #sight: [number, number] = [0, 0];
  #shown = "";

  constructor(context: Context) {
    this.#context = context;
    this.#list = new VirtualList({
      label: "Events", window: context.window, rowHeight: 34,
      render: (index) => this.#row(index),
      onopen: (index) => {
        const row = this.#at(index);
        if (row) context.openEvent({ id: row.id });
      },
      onrange: (first, last) => { this.#sight = [first, last]; this.#load(); },
    });
    this.#list.element.classList.add("log");
    const jump = h("input", { name: "sequence", inputmode: "numeric", placeholder: "#", size: 9, autocomplete: "off" });
    const form = h("form", {
      class: "jump", onsubmit: (event: Event) => { event.preventDefault(); this.#jump(jump.value); },
    }, h("label", {}, h("span", {}, "Go to sequence"), jump));
    const save = h("button", { type: "button", class: "small", onclick: () => this.#export(save) }, "Save as JSON Lines");
    this.element = h("section", { class: "view log-view", "aria-label": "Log" },
      h("div", { class: "bar" }, this.#count, this.#news, h("span", { class: "space" }), form, this.#order, save),
      h("div", { class: "columns log", "aria-hidden": "true" },
        ...["#", "Time", "Kind", "Entity", "Payload"].map((name) => h("span", {}, name))),
      this.#list.element);
  }

  onshow() {
    if (this.#shown !== JSON.stringify(this.#context.filter)) this.#reset();
  }

  onfilter() { this.#reset(); }

  onstats({ end }: { end: number }) {
    const more = end - this.#end;
    if (this.#end === 0 && more > 0) this.#reset();
    else if (more > 0) {
      this.#news.hidden = false;
      this.#news.textContent = `Show ${counted(more, "new event")}`;
    }
  }

  /** Moves the keys into the list. */
  focus() { this.#list.element.focus(); }

  #reset() {
    const { filter, stats } = this.#context;
    this.#shown = JSON.stringify(filter);
    this.#search.abort();
    this.#search = new AbortController();
    for (const request of this.#loading.values()) request.abort();
    this.#loading.clear();
    this.#pages.clear();
    this.#end = stats?.end ?? 0;
    this.#news.hidden = true;
    this.#order.textContent = this.#isNewestFirst ? "Newest first" : "Oldest first";
    this.#cursors = [undefined];
    this.#found = this.#lookedAt = 0;
    this.#isDone = false;
    this.#list.scrollTo(0);
    if (isFiltered(filter)) {
      this.#list.setCount(0);
      this.#tell();
      void this.#findPage();
    } else {
      this.#list.setCount(this.#end);
      this.#count.textContent = counted(this.#end, "event");
    }
  }

  #at(index: number): EventRow | undefined {
    return this.#pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  #row(index: number): HTMLElement {
    const row = this.#at(index);
    const isLoaded = this.#pages.has(Math.floor(index / PAGE));
    if (!row) return h("div", { class: `row log ${isLoaded ? "is-gone" : "is-loading"}` }, h("span", { class: "num" }, this.#placeOf(index)), isLoaded ? "dropped by retention" : "…");
    const preview = row.bytes === undefined ? h("i", {}, "erased") : data(cut(row.preview ?? "", PREVIEW_CHARS), { class: "preview" });
    return h("div", { class: "row log" },
      h("span", { class: "num" }, grouped(row.sequence)),
      h("span", { class: "time" }, timeText(row.time)),
      data(row.type, { max: 120, class: "type" }),
      h("span", { class: "entity" }, data(row.entity, { max: 200 }), h("small", {}, "@", data(row.scope, { max: 80 }))),
      preview);
  }

  #placeOf(index: number): string {
    if (isFiltered(this.#context.filter)) return "";
    return grouped(this.#isNewestFirst ? this.#end - 1 - index : index);
  }

  /** Reads the pages that are in sight, and no others. */
  #load() {
    if (isFiltered(this.#context.filter)) {
      if (this.#sight[1] >= this.#found - PAGE / 2) void this.#findPage();
      this.#reload();
      return;
    }
    const [first, last] = [Math.floor(this.#sight[0] / PAGE), Math.floor(Math.max(0, this.#sight[1] - 1) / PAGE)];
    for (const [page, request] of this.#loading) {
      if (page >= first && page <= last) continue;
      request.abort();
      this.#loading.delete(page);
    }
    for (let page = first; page <= last && this.#end > 0; page++) void this.#loadDense(page);
  }

  /** Reads a page of neighbours by their sequences. */
  async #loadDense(page: number) {
    if (this.#pages.has(page) || this.#loading.has(page) || this.#loading.size >= REQUESTS_MAX) return;
    const request = new AbortController();
    this.#loading.set(page, request);
    const low = this.#isNewestFirst ? Math.max(0, this.#end - (page + 1) * PAGE) : page * PAGE;
    const high = this.#isNewestFirst ? this.#end - page * PAGE : Math.min(this.#end, (page + 1) * PAGE);
    try {
      const rows: EventRow[] = [];
      for (let after = low - 1; after < high - 1; ) {
        const found = await this.#context.source.events({
          filter: {}, direction: "forward", limit: high - 1 - after, signal: request.signal, ...(after < 0 ? {} : { after }),
        });
        for (const row of found.events) {
          const place = this.#isNewestFirst ? high - 1 - row.sequence : row.sequence - low;
          if (row.sequence < high) rows[place] = row;
        }
        after = found.isDone ? high : found.next ?? high;
      }
      this.#keep(page, rows);
    } catch (error) {
      if (!isAbort(error)) this.#fail(error);
    } finally {
      if (this.#loading.get(page) === request) this.#loading.delete(page);
    }
    if (!request.signal.aborted) { this.#list.refresh(); }
  }

  /** Finds the next page of what the filter says. */
  async #findPage() {
    if (this.#isDone || this.#loading.has(-1)) return;
    const request = this.#search;
    this.#loading.set(-1, request);
    const page = this.#cursors.length - 1;
    try {
      const rows = await this.#readFiltered(page, request.signal);
      if (request.signal.aborted) return;
      this.#keep(page, rows);
      this.#found += rows.length;
      if (rows.length < PAGE) this.#isDone = true; else this.#cursors.push(rows.at(-1)!.sequence);
      this.#list.setCount(this.#found);
    } catch (error) {
      if (isAbort(error)) return;
      this.#isDone = true;
      this.#fail(error);
    } finally {
      if (this.#loading.get(-1) === request) this.#loading.delete(-1);
    }
    if (!request.signal.aborted && this.#list.count > 0) this.#tell();
    else if (!request.signal.aborted && this.#isDone) this.#tell();
  }

  /** Reads those pages again that were read, and forgotten since. */
  #reload() {
    for (let page = Math.floor(this.#sight[0] / PAGE); page * PAGE < Math.min(this.#sight[1], this.#found); page++) {
      if (this.#pages.has(page) || this.#loading.has(page)) continue;
      const request = this.#search;
      this.#loading.set(page, request);
      this.#readFiltered(page, request.signal).then((rows) => {
        if (request.signal.aborted) return;
        this.#keep(page, rows);
        this.#list.refresh();
      }).catch((error) => !isAbort(error) && this.#fail(error)).finally(() => {
        if (this.#loading.get(page) === request) this.#loading.delete(page);
      });
    }
  }

  async #readFiltered(page: number, signal: AbortSignal): Promise<EventRow[]> {
    const { source, filter } = this.#context;
    const rows: EventRow[] = [];
    let after = this.#cursors[page];
    while (rows.length < PAGE) {
      const found = await source.events({
        filter, direction: this.#isNewestFirst ? "backward" : "forward", limit: PAGE - rows.length, signal,
        ...(after === undefined ? {} : { after }),
      });
      signal.throwIfAborted();
      rows.push(...found.events);
      if (page === this.#cursors.length - 1) { this.#lookedAt += found.lookedAt; this.#tell(rows.length); }
      if (found.isDone || found.next === undefined) break;
      after = found.next;
    }
    return rows;
  }

  #keep(page: number, rows: EventRow[]) {
    this.#pages.set(page, rows);
    for (const old of this.#pages.keys()) {
      if (this.#pages.size <= PAGES_MAX) break;
      if (old !== page) this.#pages.delete(old);
    }
  }

  #tell(underWay = 0) {
    const found = grouped(this.#found + underWay);
    if (this.#isDone) this.#count.textContent = this.#found === 0 ? "No event matches the filter" : `${found} ${this.#found === 1 ? "event matches" : "events match"}`;
    else if (underWay > 0 || this.#found === 0) this.#count.textContent = `${found} found, ${grouped(this.#lookedAt)} looked at…`;
    else this.#count.textContent = `${found} and more match`;
  }

  #fail(error: unknown) {
    this.#count.textContent = messageOf(error);
  }

  #jump(text: string) {
    const sequence = Number(text.replace(/[#,\s]/g, ""));
    if (!Number.isSafeInteger(sequence) || text.trim() === "") return this.#context.say("A sequence is a whole number from 0.");
    if (isFiltered(this.#context.filter)) return this.#context.openEvent({ sequence });
    if (sequence >= this.#end) return this.#context.say(`The last event is #${grouped(this.#end - 1)}.`);
    const index = this.#isNewestFirst ? this.#end - 1 - sequence : sequence;
    this.#list.scrollTo(index);
    this.#list.select(index);
    this.focus();
  }

  /** Saves what the filter says, one event a line, the oldest first. */
  async #export(button: HTMLButtonElement) {
    const { source, filter } = this.#context;
    const parts: string[] = [];
    button.disabled = true;
    let count = 0;
    try {
      for (let after: number | undefined, isDone = false; !isDone; ) {
        const page = await source.events({ filter, direction: "forward", limit: 1000, withPayload: true, ...(after === undefined ? {} : { after }) });
        parts.push(page.events.map(lineOf).join(""));
        count += page.events.length;
        button.textContent = `${grouped(count)} events…`;
        ({ next: after, isDone } = page);
      }
      save(this.#context.window, "events.jsonl", parts, "application/x-ndjson");
      this.#context.say(`${counted(count, "event")} saved, ${bytesText(parts.reduce((sum, { length }) => sum + length, 0))}.`);
    } catch (error) {
      this.#context.say(messageOf(error));
    } finally {
      button.disabled = false;
      button.textContent = "Save as JSON Lines";
    }
  }
}

/** An event as a line of JSON. A JSON payload stands in it as it was read, any other in hex, as `payloadHex`. */
function lineOf({ payloadText, preview: _, time, ...row }: EventRow): string {
  const date = new Date(time);
  const head = JSON.stringify({ ...row, time: Number.isNaN(+date) ? time : date.toISOString() }).slice(0, -1);
  if (payloadText === undefined) return `${head}}\n`;
  try {
    JSON.parse(payloadText);
  } catch {
    // It says that it is JSON, and is not.
    return `${head},"payloadText":${JSON.stringify(payloadText)}}\n`;
  }
  // Breaks of lines stand only between the parts of a JSON text.
  return `${head},"payload":${payloadText.replaceAll(/[\r\n]/g, " ")}}\n`;
}

