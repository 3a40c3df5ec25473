// The inspector over the till's store: another tab that shares it.

import { openEventStore } from "annals";
import { mountInspector, storeSource } from "annals/inspector";
import { FOLD, REGION } from "./till";

const main = document.querySelector("main")!;

async function start() {
  const store = await openEventStore({ name: "till", onUnavailable: "memory" });
  mountInspector(main, storeSource(store, "till", { projections: { till: { ...FOLD, region: REGION } } }));
}

start().catch((error) => { main.textContent = `The till's store can't be opened: ${error.message ?? error}`; });
