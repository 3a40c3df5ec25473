// The declarations suffice where nothing knows of a DOM.

import { type EventStore, openEventStore } from "annals/node";
import { expectTypeOf } from "expect-type";

await using store = await openEventStore({ directory: "./data" });
expectTypeOf(store).toEqualTypeOf<EventStore>();
expectTypeOf(store.append({ entity: "order:5", scope: "shop", type: "order.placed" })).resolves.toHaveProperty("sequence");
