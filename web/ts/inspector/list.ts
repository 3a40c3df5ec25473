// A list of any number of rows, of which only those in sight exist. Rows are drawn relative to what
// is in sight, and not to the whole: so nothing is ever blank, and a list may be higher than what a
// browser can make an element (17 million pixels in one of them, 33 in another). Beyond that, a turn
// of the wheel moves by rows, and the scrollbar by shares.

import { h } from "./dom.js";

const HEIGHT_MAX = 10_000_000;
const SPARE_ROWS = 3;

export interface ListOptions {
  label: string;
  /** Where the list is shown. */
  window: Window & typeof globalThis;
  rowHeight: number;
  /** Makes a row. */
  render(index: number): HTMLElement;
  /** A row was chosen. */
  onopen(index: number): void;
  /** Other rows are in sight. */
  onrange?(first: number, last: number): void;
}

let lists = 0;

export class VirtualList {
  readonly element: HTMLElement;
  readonly #options: ListOptions;
  readonly #layer = h("div", { class: "layer", role: "presentation" });
  readonly #spacer = h("div", { class: "spacer", role: "presentation" });
  readonly #rows = new Map<number, HTMLElement>();
  readonly #id = `list${lists++}`;
  #count = 0;
  #top = 0;
  #lastScroll = 0;
  #current = -1;
  #frame = 0;
  #settle = 0;

  constructor(options: ListOptions) {
    this.#options = options;
    this.element = h("div", {
      class: "list", tabindex: 0, role: "listbox", "aria-label": options.label,
      onscroll: () => this.#scrolled(), onkeydown: (event: KeyboardEvent) => this.#key(event),
    }, this.#layer, this.#spacer);
    new options.window.ResizeObserver(() => this.#draw()).observe(this.element);
  }

  get count() { return this.#count; }
  /** The row that the keys have moved to. */
  get current() { return this.#current; }
  /** The first row in sight. */
  get top() { return this.#top; }

  /** How many rows there are now. Those that exist are made anew. */
  setCount(count: number) {
    this.#count = count;
    if (this.#current >= count) this.#current = count - 1;
    this.#spacer.style.height = `${this.#height}px`;
    this.#moveTo(Math.min(this.#top, this.#topMax));
    this.refresh();
  }

  /** Makes the rows in sight anew: their data has come. */
  refresh() {
    this.#rows.clear();
    this.#layer.replaceChildren();
    this.#draw();
  }

  /** Marks a row, and brings it in sight. */
  select(index: number) {
    if (this.#count === 0) return;
    this.#current = Math.max(0, Math.min(index, this.#count - 1));
    if (this.#current < this.#top) this.#moveTo(this.#current);
    else if (this.#current + 1 > this.#top + this.#fit) this.#moveTo(this.#current + 1 - this.#fit);
    this.#later();
  }

  /** Brings a row to the top. */
  scrollTo(index: number) {
    this.#moveTo(Math.max(0, Math.min(index, this.#topMax)));
    this.#later();
  }

  get #height() { return Math.min(this.#count * this.#options.rowHeight, HEIGHT_MAX); }
  get #isScaled() { return this.#count * this.#options.rowHeight > HEIGHT_MAX; }
  get #fit() { return this.element.clientHeight / this.#options.rowHeight; }
  get #topMax() { return Math.max(0, this.#count - this.#fit); }
  get #scrollMax() { return Math.max(1, this.#height - this.element.clientHeight); }

  #moveTo(top: number) {
    this.#top = top;
    const share = this.#isScaled ? top / Math.max(1, this.#topMax) * this.#scrollMax : top * this.#options.rowHeight;
    this.element.scrollTop = share;
    this.#lastScroll = this.element.scrollTop;
  }

  #scrolled() {
    const { scrollTop } = this.element;
    const moved = scrollTop - this.#lastScroll;
    if (moved === 0) return;
    this.#lastScroll = scrollTop;
    if (!this.#isScaled) {
      this.#top = scrollTop / this.#options.rowHeight;
    } else if (scrollTop <= 0 || scrollTop >= this.#scrollMax - 1 || Math.abs(moved) > this.element.clientHeight * 3) {
      this.#top = scrollTop / this.#scrollMax * this.#topMax;
    } else {
      this.#top = Math.max(0, Math.min(this.#top + moved / this.#options.rowHeight, this.#topMax));
      // The scrollbar shows shares again once the wheel rests.
      const { window } = this.#options;
      window.clearTimeout(this.#settle);
      this.#settle = window.setTimeout(() => this.#moveTo(this.#top), 200);
    }
    this.#draw();
  }

  #later() {
    if (this.#frame) return;
    this.#frame = this.#options.window.requestAnimationFrame(() => { this.#frame = 0; this.#draw(); });
  }

  #draw() {
    const { rowHeight, render, onopen, onrange } = this.#options;
    const first = Math.max(0, Math.floor(this.#top) - SPARE_ROWS);
    const end = Math.min(this.#count, Math.ceil(this.#top + this.#fit) + SPARE_ROWS);
    for (const [index, row] of this.#rows) {
      if (index >= first && index < end) continue;
      row.remove();
      this.#rows.delete(index);
    }
    for (let index = first; index < end; index++) {
      let row = this.#rows.get(index);
      if (!row) {
        row = render(index);
        row.setAttribute("role", "option");
        row.id = `${this.#id}-${index}`;
        row.setAttribute("aria-posinset", String(index + 1));
        row.setAttribute("aria-setsize", String(this.#count));
        row.addEventListener("click", () => { this.select(index); onopen(index); });
        row.style.height = `${rowHeight}px`;
        this.#rows.set(index, row);
        this.#layer.append(row);
      }
      row.setAttribute("aria-selected", String(index === this.#current));
      row.style.transform = `translateY(${(index - this.#top) * rowHeight}px)`;
    }
    if (this.#rows.has(this.#current)) this.element.setAttribute("aria-activedescendant", `${this.#id}-${this.#current}`);
    else this.element.removeAttribute("aria-activedescendant");
    onrange?.(first, end);
  }

  #key(event: KeyboardEvent) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#fit) - 1);
    const steps: Record<string, number> = {
      ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity,
    };
    const step = steps[event.key];
    if (step !== undefined) this.select(this.#current < 0 && step > 0 && step < Infinity ? Math.ceil(this.#top) : this.#current + step);
    else if (event.key === "Enter" && this.#current >= 0) this.#options.onopen(this.#current);
    else return;
    event.preventDefault();
  }
}
