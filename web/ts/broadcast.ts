// Ports over a BroadcastChannel, for where there is no SharedWorker. Every tab hears everything
// and drops what is for others, so it is slower, and nothing else differs.

import type { Port } from "./session.js";

type Envelope = { to: string; from: string; message: unknown } | { leader: number; id?: string };

const LEADER = "leader";

export function channelName(name: string): string {
  return `annals:${name}`;
}

/** Calls back whenever a leader says that it is there, whatever way it is asked. */
export function hearLeaders(name: string, onleader: (epoch: number) => void): () => void {
  const channel = new BroadcastChannel(channelName(name));
  channel.onmessage = ({ data }) => "leader" in (data as Envelope) && onleader((data as { leader: number }).leader);
  return () => channel.close();
}

/** The port of a tab that asks. `onleader` is called when a leader says that it is there, and which client it is. */
export function askByBroadcast(name: string, onleader: (port: Port, epoch: number, id?: string) => void): () => void {
  const channel = new BroadcastChannel(channelName(name));
  const self = crypto.randomUUID();
  let port: Port | undefined;
  const begin = (epoch: number, id?: string) => {
    port = { onmessage: null, postMessage: (message) => channel.postMessage({ to: LEADER, from: self, message }) };
    onleader(port, epoch, id);
  };
  channel.onmessage = ({ data }) => {
    const envelope = data as Envelope;
    if ("leader" in envelope) begin(envelope.leader, envelope.id);
    else if (envelope.to === self) port?.onmessage?.({ data: envelope.message });
  };
  // A leader that is there already hears the greeting; one that comes later announces itself.
  begin(0);
  return () => channel.close();
}

/** Announces a leader, by the id that its client has, and gives it a port for each tab that asks. */
export function leadByBroadcast(name: string, epoch: number, id: string | undefined, onclient: (port: Port) => void): () => void {
  const channel = new BroadcastChannel(channelName(name));
  const ports = new Map<string, Port>();
  channel.onmessage = ({ data }) => {
    const envelope = data as Envelope;
    if ("leader" in envelope || envelope.to !== LEADER) return;
    const { from } = envelope;
    let port = ports.get(from);
    if (!port) {
      port = {
        onmessage: null,
        postMessage: (message) => channel.postMessage({ to: from, from: LEADER, message }),
        close: () => ports.delete(from),
      };
      ports.set(from, port);
      onclient(port);
    }
    port.onmessage?.({ data: envelope.message });
  };
  channel.postMessage({ leader: epoch, id });
  return () => channel.close();
}
