// The SharedWorker that brings tabs together: it hands a port to whoever leads and its other end
// to whoever asks. It carries no events, and forgetting everything would cost it only that.

/** Tab to broker. */
export type ToBroker = ["find", string] | ["lead", string, number, string] | ["leave", string];
/** Broker to tab: a port comes with each, and with a leader's its epoch and its client's id. */
export type FromBroker = ["leader", number, string] | ["client"];

interface Group { leader?: MessagePort; epoch: number; id: string; clients: Set<MessagePort> }

const groups = new Map<string, Group>();

function join(leader: MessagePort, client: MessagePort, { epoch, id }: Group) {
  const { port1, port2 } = new MessageChannel();
  leader.postMessage(["client"] satisfies FromBroker, [port1]);
  client.postMessage(["leader", epoch, id] satisfies FromBroker, [port2]);
}

addEventListener("connect", (event) => {
  const port = (event as MessageEvent).ports[0]!;
  port.onmessage = ({ data }) => {
    const message = data as ToBroker;
    const name = message[1];
    let group = groups.get(name);
    if (!group) groups.set(name, group = { epoch: 0, id: "", clients: new Set() });
    switch (message[0]) {
      case "find":
        group.clients.add(port);
        if (group.leader) join(group.leader, port, group);
        break;
      case "lead":
        if (message[2] <= group.epoch) break;
        group.leader = port;
        group.epoch = message[2];
        group.id = message[3];
        for (const client of group.clients) join(port, client, group);
        break;
      case "leave":
        group.clients.delete(port);
        if (group.leader === port) delete group.leader;
        break;
    }
  };
});
