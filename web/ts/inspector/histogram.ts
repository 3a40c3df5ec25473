// How many events there were, and when, however many are looked at: counts of equal parts of time.
// The lengths of parts are a ladder on which each is a multiple of the one before, so parts become
// longer ones without being counted again, counts of different pages add up, and a part begins at a
// full second, hour or day of UTC. The Rust side is `adapters/cli/src/inspect/histogram.rs`.

import type { Rates } from "./source.js";

const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;
/** Microseconds; behind the last, each is twice the one before. */
const STEPS = [
  1, 10, 100, 1000, 2000, 10_000, 20_000, 100_000, 200_000, SECOND, 2 * SECOND, 10 * SECOND, 30 * SECOND, 60 * SECOND,
  120 * SECOND, 600 * SECOND, 1800 * SECOND, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, 24 * HOUR,
];
/** With fewer, parts on both sides of 1970 would never become few enough. */
const PARTS_MIN = 4;

export class Histogram {
  readonly #partsMax: number;
  #step = STEPS[0]!;
  /** The counts, by the number of their parts: the one from 0 to `#step` has 0. */
  #counts = new Map<number, number>();
  #first = Infinity;
  #last = -Infinity;
  #lowest = Infinity;
  #highest = -Infinity;

  constructor(partsMax: number) {
    this.#partsMax = Math.max(PARTS_MIN, partsMax);
  }

  /** Counts an event, by its time in milliseconds. */
  add(time: number) {
    const us = Math.round(time * 1000);
    this.#reach(us, us);
    this.#count(Math.floor(us / this.#step), 1);
  }

  /** Adds what was counted elsewhere. */
  merge({ firstUs, lastUs, stepUs, part, counts }: Rates) {
    while (this.#step < stepUs) this.#coarsen();
    this.#reach(firstUs, lastUs);
    const share = this.#step / stepUs;
    counts.forEach((count, at) => { if (count > 0) this.#count(Math.floor((part + at) / share), count); });
  }

  /** What was counted; `undefined` where nothing was. */
  rates(): Rates | undefined {
    if (this.#counts.size === 0) return undefined;
    const counts = Array.from({ length: this.#highest - this.#lowest + 1 }, (_, at) => this.#counts.get(this.#lowest + at) ?? 0);
    return { firstUs: this.#first, lastUs: this.#last, stepUs: this.#step, part: this.#lowest, counts };
  }

  #count(part: number, count: number) {
    this.#counts.set(part, (this.#counts.get(part) ?? 0) + count);
  }

  /** Takes a span of time in, with parts that are long enough for all. */
  #reach(first: number, last: number) {
    this.#first = Math.min(this.#first, first);
    this.#last = Math.max(this.#last, last);
    for (;;) {
      this.#lowest = Math.floor(this.#first / this.#step);
      this.#highest = Math.floor(this.#last / this.#step);
      if (this.#highest - this.#lowest < this.#partsMax) return;
      this.#coarsen();
    }
  }

  #coarsen() {
    const step = STEPS.find((step) => step > this.#step) ?? this.#step * 2;
    const share = step / this.#step;
    const counts = this.#counts;
    this.#step = step;
    this.#counts = new Map();
    for (const [part, count] of counts) this.#count(Math.floor(part / share), count);
  }
}
