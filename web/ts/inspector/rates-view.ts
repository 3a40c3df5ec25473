// How many events there were, and when. What is marked with the mouse becomes the filter's time.

import uPlot from "uplot";
import type { Context, View } from "./context.js";
import { counted, grouped, h, isAbort, messageOf, timeText } from "./dom.js";
import { Histogram } from "./histogram.js";
import type { Rates } from "./source.js";

const PART_WIDTH = 6;
const PARTS = { least: 40, most: 400 };

export class RatesView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #said = h("p", { class: "count", role: "status" });
  readonly #place = h("div", { class: "plot" });
  #plot: uPlot | undefined;
  #rates: Rates | undefined;
  #request = new AbortController();
  #shown = "";
  #isHeard = false;

  constructor(context: Context) {
    this.#context = context;
    this.element = h("section", { class: "view rates-view", "aria-label": "Rates", tabindex: 0 },
      h("div", { class: "bar" }, this.#said), this.#place,
      h("p", { class: "hint" }, "Mark a part with the mouse to filter by its time."));
    new context.window.ResizeObserver(() => this.#draw()).observe(this.#place);
    context.window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  onshow() {
    const shown = JSON.stringify([this.#context.filter, this.#context.stats?.end]);
    if (shown !== this.#shown) void this.#load(shown);
  }

  onfilter() { this.onshow(); }

  async #load(shown: string) {
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    this.#shown = shown;
    this.#said.textContent = "Counting…";
    try {
      this.#rates = await this.#count(signal);
      if (signal.aborted) return;
      this.#said.textContent = this.#rates ? wordsOf(this.#rates) : "No event matches the filter";
      this.#draw();
    } catch (error) {
      if (!isAbort(error)) this.#said.textContent = messageOf(error);
    }
  }

  /** The plot hears of a mouse that is let go only in the window that its code runs in. */
  #hearMouse() {
    const { document: shown } = this.#context.window;
    if (shown === document || this.#isHeard) return;
    this.#isHeard = true;
    shown.addEventListener("mouseup", (event) => document.dispatchEvent(new MouseEvent("mouseup", event)));
  }

  async #count(signal: AbortSignal): Promise<Rates | undefined> {
    const { source, filter } = this.#context;
    const parts = Math.max(PARTS.least, Math.min(PARTS.most, Math.floor((this.#place.clientWidth || 800) / PART_WIDTH)));
    const sum = new Histogram(parts);
    let lookedAt = 0;
    for (let after: number | undefined; ;) {
      const page = await source.rates({ filter, parts, signal, ...(after === undefined ? {} : { after }) });
      signal.throwIfAborted();
      if (page.rates) sum.merge(page.rates);
      if (page.isDone || page.next === undefined) return sum.rates();
      after = page.next;
      lookedAt += page.lookedAt;
      this.#said.textContent = `Counting… ${grouped(lookedAt)} events`;
    }
  }

  #draw() {
    this.#plot?.destroy();
    this.#plot = undefined;
    const width = this.#place.clientWidth;
    if (!this.#rates || width === 0) return;
    const { stepUs, part, counts } = this.#rates;
    const times = counts.map((_, at) => (part + at + 0.5) * stepUs / 1e6);
    const color = (name: string) => getComputedStyle(this.#place).getPropertyValue(name).trim();
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } };
    const paths = uPlot.paths.bars?.({ size: [0.9, 60, 1] });
    this.#plot = new uPlot({
      width, height: Math.max(200, Math.min(420, this.#place.clientHeight || 320)),
      legend: { show: true, live: true }, cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
      // To the ends of the outer parts, so that none is cut.
      scales: { x: { range: () => [part * stepUs / 1e6, (part + counts.length) * stepUs / 1e6] } },
      axes: [axis, { ...axis, size: 60, values: (_, values) => values.map((value) => (Number.isInteger(value) ? grouped(value) : "")) }],
      series: [{ label: "Time", value: (_, value) => (value === null ? "" : timeText(value * 1000)) }, {
        label: "Events", stroke: color("--accent"), fill: color("--accent"), width: 0, points: { show: false }, ...(paths ? { paths } : {}),
        value: (_, value) => (value === null ? "" : grouped(value)),
      }],
      hooks: { setSelect: [(plot) => {
        const { left, width } = plot.select;
        if (width < 2) return;
        const at = (x: number) => Math.round(plot.posToVal(x, "x") * 1000);
        this.#context.setFilter({ ...this.#context.filter, since: at(left), until: at(left + width) });
      }] },
    }, [times, counts], this.#place);
    this.#hearMouse();
    this.#plot.root.querySelector("canvas")?.setAttribute("role", "img");
    this.#plot.root.querySelector("canvas")?.setAttribute("aria-label", wordsOf(this.#rates));
  }
}

function wordsOf({ firstUs, lastUs, stepUs, part, counts }: Rates): string {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const most = counts.reduce((most, count) => Math.max(most, count), 0);
  const at = (part + counts.indexOf(most)) * stepUs;
  return `${counted(total, "event")} from ${timeText(firstUs / 1000)} to ${timeText(lastUs / 1000)}, at most ${grouped(most)} within ${spanText(stepUs / 1000)}, from ${timeText(at / 1000)}`;
}

function spanText(ms: number): string {
  const units: [number, string][] = [[86_400_000, "day"], [3_600_000, "hour"], [60_000, "minute"], [1000, "second"]];
  const [size, name] = units.find(([size]) => ms >= size) ?? [1, "ms"];
  const count = ms / size;
  return name === "ms" ? `${count} ms` : counted(count, name);
}
