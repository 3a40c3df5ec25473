// Where an inspector is shown, and of what: the store that it was mounted for, or a backup that was
// dropped into it, until its reader goes back.

import type { EventStore } from "../types.js";
import { bytesText, messageOf } from "./dom.js";
import { Inspector } from "./index.js";
import type { InspectorSource } from "./source.js";
import { storeSource, type StoreSourceOptions } from "./store-source.js";

/** An inspector at work. */
export interface Mounted {
  /** Takes it away. The store stays open. */
  close(): void;
}

/** Reads a backup, and gives what it holds. */
export type OpenBackup = (file: File, options: {
  onProgress(progress: { bytesDone: number }): void;
  signal: AbortSignal;
}) => Promise<InspectorSource>;

export interface Place {
  /** What reads backups that are dropped; a text says why none are read here. */
  backups: OpenBackup | string;
  /** Back to where the store was chosen. */
  leave?: { words: string; run(): void };
}

export class Mount implements Mounted {
  readonly #element: HTMLElement;
  readonly #source: InspectorSource;
  readonly #place: Place;
  readonly #end = new AbortController();
  #inspector: Inspector;
  #backup: InspectorSource | undefined;
  #reading: AbortController | undefined;

  constructor(element: HTMLElement, source: InspectorSource, place: Place) {
    this.#element = element;
    this.#source = source;
    this.#place = place;
    this.#inspector = this.#show(source);
    const { signal } = this.#end;
    takeDrops(element, (file) => void this.#take(file), (isOver) => this.#inspector.markDrop(isOver), signal);
  }

  close() {
    this.#end.abort();
    this.#reading?.abort();
    this.#inspector.close();
    this.#closeBackup();
  }

  #show(source: InspectorSource): Inspector {
    const { backups, leave } = this.#place;
    const back = source === this.#source ? leave : { words: "Back", run: () => this.#back() };
    return new Inspector(this.#element, source, {
      ...(back ? { back } : {}), ...(typeof backups === "string" ? {} : { takeFile: (file: File) => void this.#take(file) }),
    });
  }

  #replace(source: InspectorSource) {
    this.#inspector.close();
    this.#inspector = this.#show(source);
  }

  #back() {
    this.#replace(this.#source);
    this.#closeBackup();
  }

  #closeBackup() {
    this.#backup?.close?.().catch(() => {});
    this.#backup = undefined;
  }

  async #take(file: File) {
    const { backups } = this.#place;
    if (typeof backups === "string") return this.#inspector.say(backups, true);
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    const say = (words: string) => this.#inspector.say(`${file.name}: ${words}`);
    try {
      say("reading…");
      const onProgress = ({ bytesDone }: { bytesDone: number }) => {
        if (!reading.signal.aborted) say(`${bytesText(bytesDone)} of ${bytesText(file.size)} read`);
      };
      const source = await backups(file, { onProgress, signal: reading.signal });
      if (reading.signal.aborted) return void source.close?.();
      this.#replace(source);
      this.#closeBackup();
      this.#backup = source;
    } catch (error) {
      if (!reading.signal.aborted) this.#inspector.say(`${file.name} can’t be shown: ${messageOf(error)}`, true);
    }
  }
}

/** Takes files that are dropped on an element, and says while one is over it. */
export function takeDrops(element: HTMLElement, take: (file: File) => void, mark: (isOver: boolean) => void, signal: AbortSignal) {
  const options = { signal };
  const hasFile = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
  element.addEventListener("dragover", (event) => {
    if (!hasFile(event)) return;
    // Without this, the browser would leave the page for the file.
    event.preventDefault();
    mark(true);
  }, options);
  element.addEventListener("dragleave", (event) => {
    if (!element.contains(event.relatedTarget as Node | null)) mark(false);
  }, options);
  element.addEventListener("drop", (event) => {
    mark(false);
    if (!hasFile(event)) return;
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) take(file);
  }, options);
}

/** Shows a store in a tab of its own, which closes with this one. */
export function openTab(store: EventStore, name: string | undefined, options: StoreSourceOptions, place: Place): Mounted {
  const tab = open("", "_blank") as (Window & typeof globalThis) | null;
  if (!tab) throw new Error("the browser has blocked the inspector's tab: allow it, or use mountInspector");
  const { document } = tab;
  document.title = name ? `${name} – Annals inspector` : "Annals inspector";
  document.documentElement.lang = "en";
  for (const [name, content] of [["viewport", "width=device-width, initial-scale=1"], ["color-scheme", "light dark"]] as const) {
    const meta = document.createElement("meta");
    document.head.append(Object.assign(meta, { name, content }));
  }
  const element = document.createElement("main");
  element.style.cssText = "position: fixed; inset: 0";
  document.body.append(element);
  const mounted = new Mount(element, storeSource(store, name, options), place);
  const close = () => {
    removeEventListener("pagehide", close);
    mounted.close();
    tab.close();
  };
  // The code runs here: without this page the tab would show what no longer answers.
  addEventListener("pagehide", close);
  tab.addEventListener("pagehide", close);
  return { close };
}
