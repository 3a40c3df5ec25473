// A store without a worker and without other tabs: the engine runs where the caller does.

import { AnnalsError } from "./errors.js";
import { type Engine, Server } from "./server.js";
import { type Port, Session, type Welcome } from "./session.js";
import { Store } from "./store.js";
import type { EventStore } from "./types.js";

export function openInProcess(
  engine: Engine,
  storage: Welcome["storage"],
  isRelaxed: boolean,
  loadJobs: () => Promise<void>,
  onclose: () => void = () => {},
): EventStore {
  const session = new Session(0);
  let isClosed = false;
  // A browser's `queueMicrotask` can't be called as a method.
  const soon = (run: () => void) => queueMicrotask(run);
  const server = new Server(engine, { epoch: 1, storage }, isRelaxed, loadJobs, soon, (error) => {
    session.close(new AnnalsError("Internal", `the store can't go on: ${error}`));
  });
  const [near, far] = pair();
  server.connect(far);
  session.attach(near);
  const store = new Store(session, {
    role: () => "alone",
    persisted: () => storage === "files",
    persist: async () => storage === "files",
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      try {
        await server.close();
      } finally {
        onclose();
      }
    },
  });
  return store;
}

/** Two ports, each the other's end. What one posts arrives at the other in a moment. */
function pair(): [Port, Port] {
  const end = (other: () => Port): Port => ({
    onmessage: null,
    postMessage: (data) => queueMicrotask(() => other().onmessage?.({ data })),
  });
  const near: Port = end(() => far);
  const far: Port = end(() => near);
  return [near, far];
}
