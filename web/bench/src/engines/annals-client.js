// Annals as users have it: the packed package, whose client asks a worker of its own through a
// MessagePort.

import { openEventStore } from "annals";
import { Annals } from "./annals.js";

export { destroy } from "./annals.js";

/** The worker that holds the files loads what there is to load. */
export const load = undefined;

export async function open(name, isStrict) {
  return new Annals(await openEventStore({ name, durability: isStrict ? "strict" : "relaxed" }));
}
