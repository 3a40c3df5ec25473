// The inspector as a page of its own: it opens a store of the origin that it is served from, by name,
// or a backup. Tabs find each other by broadcast, since another page's broker can't be named.

import { openEventStore } from "../ts/inline.js";
import { backupOpener } from "../ts/inspector/backup.js";
import { bytesText, data, h, messageOf } from "../ts/inspector/dom.js";
import { Mount, type Mounted, takeDrops } from "../ts/inspector/mount.js";
import type { InspectorSource } from "../ts/inspector/source.js";
import { storeSource } from "../ts/inspector/store-source.js";
import type { EventStore } from "../ts/types.js";

/** Beside this page, because what a page writes into a frame has the page's own policy. */
const REDUCER = "reducer.html";
const FOLDER = "annals";

const main = document.querySelector("main")!;
const openBackup = backupOpener(openEventStore, REDUCER);

let mounted: Mounted | undefined;
let store: EventStore | undefined;

/** The names of the stores of this origin; none where it has no private files. */
async function storeNames(): Promise<string[]> {
  const names: string[] = [];
  try {
    const root = await navigator.storage.getDirectory();
    const folder = await root.getDirectoryHandle(FOLDER);
    for await (const [name, { kind }] of folder.entries()) if (kind === "directory") names.push(name);
  } catch {
    // No folder, or no private files: there are no stores.
  }
  return names.sort();
}

async function start(message?: string) {
  document.title = "Annals inspector";
  const names = await storeNames();
  const said = h("p", { class: message ? "error" : "soft", role: "status" }, message && data(message));
  const file = h("input", { type: "file", hidden: true, "aria-label": "A backup", onchange: () => file.files?.[0] && void showBackup(file.files[0], said) });
  const drop = h("div", { class: "drop" }, h("p", {}, "Drop a backup here"),
    h("button", { type: "button", onclick: () => file.click() }, "Choose a backup"), file);
  const list = names.length > 0
    ? h("ul", {}, ...names.map((name) => h("li", {}, h("button", { type: "button", onclick: () => { location.hash = encodeURIComponent(name); } }, data(name)))))
    : h("p", { class: "soft" }, "There are none. A page sees only the stores of the site that it is served from.");
  main.replaceChildren(h("div", { class: "start" }, h("h1", {}, "Annals inspector"),
    h("h2", {}, "Stores of this site"), list, h("h2", {}, "A backup"), drop,
    h("p", { class: "soft" }, "It is read here, in memory. Nothing is changed, and no request leaves this page."), said));
  dropping.abort();
  dropping = new AbortController();
  takeDrops(main, (file) => void showBackup(file, said), (isOver) => drop.classList.toggle("is-over", isOver), dropping.signal);
}

let dropping = new AbortController();

async function leave() {
  mounted?.close();
  mounted = undefined;
  await store?.close();
  store = undefined;
}

function show(source: InspectorSource, name: string) {
  dropping.abort();
  main.replaceChildren();
  document.title = `${name} – Annals inspector`;
  mounted = new Mount(main, source, { backups: openBackup, leave: { words: "Stores", run: () => { if (location.hash) location.hash = ""; else void leave().then(() => start()); } } });
}

async function showBackup(file: File, said: HTMLElement) {
  try {
    said.className = "soft";
    const onProgress = ({ bytesDone }: { bytesDone: number }) => { said.textContent = `${bytesText(bytesDone)} of ${bytesText(file.size)} read`; };
    const source = await openBackup(file, { onProgress, signal: dropping.signal });
    show(source, file.name);
  } catch (error) {
    said.className = "error";
    said.replaceChildren(data(`${file.name} can’t be shown: ${messageOf(error)}`));
  }
}

/** The store that the address names, behind its `#`. */
async function follow() {
  await leave();
  const name = nameInAddress();
  if (!name) return start();
  try {
    // Opening a name that is not there would begin a store.
    if (!(await storeNames()).includes(name)) throw new Error(`this site has no store ${JSON.stringify(name)}`);
    store = await openEventStore({ name, tabs: "broadcast" });
    show(storeSource(store, name, { reducerUrl: REDUCER }), name);
  } catch (error) {
    await start(messageOf(error));
  }
}

function nameInAddress(): string {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return ""; }
}

addEventListener("hashchange", () => void follow());
void follow();
