// The inspector over any number of events that are made when they are asked for, and what the tests
// look at in its page.

import { Histogram } from "../ts/inspector/histogram.js";
import { Mount } from "../ts/inspector/mount.js";
import type { EventRow, EventsRequest, InspectorSource, RatesRequest } from "../ts/inspector/source.js";

const STREAMS = 100;
const LOOKED_AT_MAX = 20_000;
/** An event causes so many. */
const EFFECTS = 3;
const CAUSAL = 13;

function event(at: number, withPayload: boolean): EventRow {
  const payloadText = JSON.stringify({ at, word: at % 450_000 === 1 ? "Needle" : "hay" });
  const row: EventRow = {
    sequence: at, id: idOf(at), entity: `stream:${at % STREAMS}`, scope: "many", version: Math.floor(at / STREAMS), kind: 0x1001, type: "made.up",
    time: 1_700_000_000_000 + at * 1000, correlation: idOf(at), format: "json", bytes: payloadText.length, preview: payloadText,
  };
  if (at > 0 && at < CAUSAL) row.causation = idOf(Math.floor((at - 1) / EFFECTS));
  if (withPayload) row.payloadText = payloadText;
  return row;
}

const idOf = (at: number) => `00000000-0000-7000-8000-${at.toString(16).padStart(12, "0")}`;
const atOf = (id: string) => parseInt(id.slice(-12), 16);
/** As an answer of another thread comes. */
const later = () => new Promise<void>((resolve) => { setTimeout(resolve); });

class Many implements InspectorSource {
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  async stats() {
    return { name: "many", events: this.#count, entities: STREAMS, bytes: this.#count * 100, segmentCount: 1, end: this.#count, facts: [] };
  }

  async streams({ offset, limit }: { offset: number; limit: number }) {
    const streams = Array.from({ length: STREAMS }, (_, at) => ({ ...event(at, false), events: this.#count / STREAMS }));
    return { total: STREAMS, streams: streams.slice(offset, offset + limit) };
  }

  async events({ filter, after, direction, limit, withPayload = false, signal }: EventsRequest) {
    await later();
    signal?.throwIfAborted();
    const step = direction === "forward" ? 1 : -1;
    const events: EventRow[] = [];
    let at = (after ?? (step > 0 ? -1 : this.#count)) + step;
    let lookedAt = 0;
    for (; at >= 0 && at < this.#count && events.length < limit && lookedAt < LOOKED_AT_MAX; at += step, lookedAt++) {
      const made = event(at, withPayload);
      const isOf = filter.entity === undefined || made.entity === filter.entity;
      if (isOf && (filter.text === undefined || made.preview!.toLowerCase().includes(filter.text))) events.push(made);
    }
    return { events, next: at - step, isDone: at < 0 || at >= this.#count, lookedAt };
  }

  async event(which: { id: string } | { sequence: number }) {
    const at = "id" in which ? atOf(which.id) : which.sequence;
    return at < this.#count ? { ...event(at, true), payloadVersion: 1, isErased: false, flags: 0, position: "" } : undefined;
  }

  async payload() { return new Uint8Array(); }

  async chain(id: string) { return { events: [event(atOf(id), false)], end: "genesis" as const }; }

  async graph() { return { events: Array.from({ length: CAUSAL }, (_, at) => event(at, false)), isCut: false }; }

  async rates({ parts }: RatesRequest) {
    const sum = new Histogram(parts);
    for (let at = 0; at < this.#count; at++) sum.add(event(at, false).time);
    return { rates: sum.rates()!, isDone: true, lookedAt: this.#count };
  }
}

const page = window as unknown as Record<string, unknown>;

/** Mounts the inspector, and gives the page what the tests ask it. */
export function mountMany(element: HTMLElement, count: number) {
  new Mount(element, new Many(count), { backups: "no backups here" });
  const root = element.querySelector("div")!.shadowRoot!;
  const many = () => {
    const list = root.querySelector(".view:not([hidden]) .list")!;
    const { top, bottom } = list.getBoundingClientRect();
    const rows = [...list.querySelectorAll<HTMLElement>(".row")].map((row) => ({ row, box: row.getBoundingClientRect() }));
    const inSight = rows.filter(({ box }) => box.top >= top - 1 && box.bottom <= bottom + 1).sort((a, b) => a.box.top - b.box.top);
    return { list, rows: rows.length, shown: inSight.map(({ row }) => row) };
  };
  page.many = many;
  page.watchFrames = () => {
    const seen = { frames: 0, blank: 0, rowsMax: 0 };
    page.frames_ = seen;
    const look = () => {
      if (page.frames_ !== seen) return;
      const { list, rows, shown } = many();
      seen.frames++;
      seen.rowsMax = Math.max(seen.rowsMax, rows);
      if (shown.length < Math.floor(list.clientHeight / 34) - 1 && Number(list.querySelector(".row")?.getAttribute("aria-setsize") ?? 0) > 40) seen.blank++;
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  };
}
