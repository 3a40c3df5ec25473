// How many events there were, and when. What is marked with the mouse becomes the filter's time.

import uPlot from "uplot";
import type { Context, View } from "./context.js";
import { counted, grouped, h, isAbort, messageOf, timeText } from "./dom.js";
import type { Rates } from "./source.js";

const BUCKET_WIDTH = 6;

export class RatesView implements View {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #said = h("p", { class: "count", role: "status" });
  readonly #place = h("div", { class: "plot" });
  #plot: uPlot | undefined;
  #rates: Rates | undefined;
  #request = new AbortController();
  #shown = "";

  constructor(context: Context) {
    this.#context = context;
    this.element = h("section", { class: "view rates-view", "aria-label": "Rates", tabindex: 0 },
      h("div", { class: "bar" }, this.#said), this.#place,
      h("p", { class: "hint" }, "Mark a part with the mouse to filter by its time."));
    new ResizeObserver(() => this.#draw()).observe(this.#place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
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
      const buckets = Math.max(20, Math.min(400, Math.floor((this.#place.clientWidth || 800) / BUCKET_WIDTH)));
      this.#rates = await this.#context.source.rates(this.#context.filter, buckets, signal);
      if (signal.aborted) return;
      this.#said.textContent = this.#rates ? wordsOf(this.#rates) : "No event matches the filter";
      this.#draw();
    } catch (error) {
      if (!isAbort(error)) this.#said.textContent = messageOf(error);
    }
  }

  #draw() {
    this.#plot?.destroy();
    this.#plot = undefined;
    const width = this.#place.clientWidth;
    if (!this.#rates || width === 0) return;
    const { first, last, counts } = this.#rates;
    const step = (last - first) / counts.length || 1000;
    const times = counts.map((_, at) => (first + (at + 0.5) * step) / 1000);
    const color = (name: string) => getComputedStyle(this.#place).getPropertyValue(name).trim();
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { stroke: color("--line"), width: 1 } };
    const paths = uPlot.paths.bars?.({ size: [0.9, 60, 1] });
    this.#plot = new uPlot({
      width, height: Math.max(200, Math.min(420, this.#place.clientHeight || 320)),
      legend: { show: true, live: true }, cursor: { drag: { x: true, y: false, setScale: false }, points: { show: false } },
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
    this.#plot.root.querySelector("canvas")?.setAttribute("role", "img");
    this.#plot.root.querySelector("canvas")?.setAttribute("aria-label", wordsOf(this.#rates));
  }
}

function wordsOf({ first, last, counts }: Rates): string {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const most = counts.reduce((most, count) => Math.max(most, count), 0);
  const step = (last - first) / counts.length;
  const at = first + counts.indexOf(most) * step;
  return `${counted(total, "event")} from ${timeText(first)} to ${timeText(last)}, at most ${grouped(most)} within ${spanText(step)}, at ${timeText(at)}`;
}

function spanText(ms: number): string {
  const units: [number, string][] = [[86_400_000, "day"], [3_600_000, "hour"], [60_000, "minute"], [1000, "second"]];
  for (const [size, name] of units) {
    if (ms < size) continue;
    const count = Math.round(ms / size * 10) / 10;
    return `${count} ${name}${count === 1 ? "" : "s"}`;
  }
  return `${Math.round(ms * 1000) / 1000} ms`;
}
