// The page: one store, one live projection, and what is shown of it.

import { AnnalsError, type EventStore, openEventStore } from "annals";
import { type Change, change, FOLD, money, openSale, REGION, type Till, totalOf } from "./till";

const MENU = [
  { name: "Espresso", cents: 240, hue: 60 },
  { name: "Flat white", cents: 380, hue: 75 },
  { name: "Green tea", cents: 310, hue: 155 },
  { name: "Lemonade", cents: 350, hue: 105 },
  { name: "Croissant", cents: 260, hue: 85 },
  { name: "Rye toast", cents: 590, hue: 65 },
  { name: "Lentil soup", cents: 720, hue: 40 },
  { name: "Carrot cake", cents: 450, hue: 50 },
  { name: "Apple", cents: 90, hue: 135 },
];

const LOG_STEP = 40;

const at = <E extends HTMLElement>(id: string) => document.getElementById(id) as E;

function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Partial<HTMLElementTagNameMap[K]> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

let toastTimer: ReturnType<typeof setTimeout> | undefined;

function say(text: string) {
  const toast = at("toast");
  toast.textContent = text;
  toast.classList.add("is-shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => toast.classList.remove("is-shown"), 5000);
}

/** Shows the products and says which was chosen. */
function showMenu(onchoice: (product: (typeof MENU)[number]) => void) {
  const buttons = MENU.map((product, index) => {
    const button = make("button", { type: "button", className: "product" },
      make("span", { className: "name" }, product.name),
      make("span", { className: "price" }, money(product.cents)),
      make("kbd", {}, String(index + 1)));
    button.style.setProperty("--hue", String(product.hue));
    button.setAttribute("aria-keyshortcuts", String(index + 1));
    button.onclick = () => onchoice(product);
    return button;
  });
  document.querySelector("#products .grid")!.replaceChildren(...buttons);
}

/** Makes the children of a list those of `items`, and leaves those alone that are there already. */
function showList<T>(list: HTMLElement, items: readonly T[], keyOf: (item: T) => string, make: (item: T) => HTMLElement) {
  const known = new Map([...list.children].map((child) => [(child as HTMLElement).dataset.key!, child as HTMLElement]));
  const wanted = items.map((item) => {
    const key = keyOf(item);
    const element = known.get(key) ?? make(item);
    element.dataset.key = key;
    known.delete(key);
    return element;
  });
  for (const gone of known.values()) gone.remove();
  wanted.forEach((element, index) => {
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
  });
}

let logShown = LOG_STEP;

function show(till: Till, act: (change: Change) => void) {
  const sale = openSale(till);
  const total = totalOf(sale);
  at("sale-title").textContent = `Sale ${sale.number}`;
  showList(at("lines"), sale.lines, ({ id }) => id, ({ id, name, cents }) => {
    const remove = make("button", { type: "button", className: "remove", title: `Take ${name} off` }, "×");
    remove.setAttribute("aria-label", `Take ${name} off`);
    remove.onclick = () => {
      act({ type: "item.removed", payload: { line: id } });
      at("undo").focus();
    };
    return make("li", {}, make("span", { className: "name" }, name), make("span", { className: "price" }, money(cents)), remove);
  });
  at("hint").hidden = sale.lines.length > 0;
  at("total").textContent = money(total);
  at<HTMLButtonElement>("pay").disabled = sale.lines.length === 0;
  at<HTMLButtonElement>("undo").disabled = till.undo.length === 0;

  const paid = till.sales.length - 1;
  at("takings").textContent = money(till.takings);
  at("count").textContent = paid === 0 ? "no sales yet" : paid === 1 ? "1 sale" : `${paid} sales`;
  const newest = till.log.slice(-logShown).reverse();
  showList(at("log"), newest, ({ id, isUndone }) => `${id}${isUndone}`, ({ time, text, isUndone }) => {
    const when = new Date(time);
    const shown = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const words = isUndone ? [make("s", {}, text), " ", make("small", {}, "undone")] : [text];
    return make("li", {}, make("time", { dateTime: when.toISOString() }, shown), make("span", {}, ...words));
  });
  at("more").hidden = till.log.length <= logShown;
}

const ROLES = {
  leader: ["leads", "This tab holds the files; others ask it."],
  follower: ["follows", "Another tab holds the files; this one asks it."],
  alone: ["in memory", "Nothing is kept: this browser has no private file system here."],
  waiting: ["waits", "Another tab is taking over."],
  closed: ["closed", "The store is closed."],
} as const;

function showChips(store: EventStore) {
  const { role, persisted, storage } = store.status;
  const [text, title] = ROLES[role];
  const chips = [make("li", { title, className: role }, `This tab ${text}`)];
  chips.push(make("li", { className: navigator.onLine ? "online" : "offline" }, navigator.onLine ? "Online" : "Offline"));
  if (storage === "opfs" && persisted) chips.push(make("li", { title: "The browser won't evict the files." }, "Kept for good"));
  if (storage === "opfs" && !persisted) {
    const keep = make("button", { type: "button", title: "Ask the browser not to evict the files" }, "Keep for good");
    keep.onclick = async () => {
      if (!(await store.persist())) say("The browser does not promise it yet. Add the page to your bookmarks or install it, and ask again.");
    };
    chips.push(make("li", { className: "ask" }, keep));
  }
  at("chips").replaceChildren(...chips);
}

function listenToKeys(act: { choose(index: number): void; undo(): void; pay(): void }) {
  addEventListener("keydown", (event) => {
    if (event.repeat || event.altKey) return;
    const key = event.key.toLowerCase();
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && key === "z" && !event.shiftKey) act.undo();
    else if (!isCommand && key === "p") act.pay();
    else if (!isCommand && /^[1-9]$/.test(key)) act.choose(Number(key) - 1);
    else return;
    event.preventDefault();
  });
}

async function start() {
  const store = await openEventStore({ name: "till", onUnavailable: "memory" });
  const live = store.liveProjection({ ...FOLD, region: REGION });
  await live.ready;

  // One change after the other, each decided on the state that the one before has left.
  let last = Promise.resolve();
  const act = (decide: (till: Till) => Change | undefined) => {
    last = last.then(async () => {
      const wanted = decide(live.getSnapshot());
      if (!wanted) return;
      const before = live.sequence;
      await change(store, live, wanted);
      await changed(before);
    }).catch((error) => {
      const isOvertaken = error instanceof AnnalsError && error.code === "ConditionFailed";
      say(isOvertaken ? "Something has changed in another tab. Look again, nothing was done." : String(error.message ?? error));
    });
  };
  const changed = (before: bigint | undefined) => new Promise<void>((resolve) => {
    if (live.sequence !== before || live.error) return resolve();
    const stop = live.subscribe(() => { stop(); resolve(); });
  });

  const actions = {
    choose: (index: number) => {
      const product = MENU[index];
      if (product) act(() => ({ type: "item.added", payload: { name: product.name, cents: product.cents } }));
    },
    undo: () => act(({ undo }) => {
      const change = undo.at(-1)?.id;
      return change === undefined ? undefined : { type: "change.undone", payload: { change } };
    }),
    pay: () => act((till) => {
      const cents = totalOf(openSale(till));
      return cents === 0 ? undefined : { type: "sale.paid", payload: { cents } };
    }),
  };
  const render = () => {
    if (live.error) say(`The till has stopped: ${live.error}`);
    show(live.getSnapshot(), (change) => act(() => change));
  };
  live.subscribe(render);
  store.onStatus(() => showChips(store));
  for (const event of ["online", "offline"]) addEventListener(event, () => showChips(store));
  showMenu((product) => actions.choose(MENU.indexOf(product)));
  at("undo").onclick = actions.undo;
  at("pay").onclick = actions.pay;
  at("more").onclick = () => { logShown += LOG_STEP; render(); };
  listenToKeys(actions);
  render();
  showChips(store);
  document.body.classList.add("is-ready");
}

start().catch((error) => say(`The till can't open: ${error.message ?? error}`));
