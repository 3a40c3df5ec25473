//! Following a native `Store`: follows, subscriptions, consumers, reactors.
#![cfg(not(target_arch = "wasm32"))]

#[cfg(test)]
mod asynchronous;
#[cfg(test)]
mod consume;
#[cfg(test)]
mod follow;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod react;
#[cfg(test)]
mod subscribe;

#[cfg(test)]
use annals::{
    Append, Coordinate, Event, EventKind, MemoryStorage, Payload, Sequence, Store, StoreConfig,
};

#[cfg(test)]
const PLACED: EventKind = EventKind::new(1, 1);
#[cfg(test)]
const PAID: EventKind = EventKind::new(1, 2);
#[cfg(test)]
const SENT: EventKind = EventKind::new(2, 1);

#[cfg(test)]
type MemoryStore = Store<MemoryStorage>;

#[cfg(test)]
fn at(entity: &str) -> Coordinate {
    Coordinate::new(entity, "shop").expect("a valid coordinate")
}

#[cfg(test)]
fn event(entity: &str, kind: EventKind, text: &str) -> Append {
    Append::new(at(entity), kind, Payload::raw(text))
}

/// A store in memory whose segments are full after some dozen events.
#[cfg(test)]
fn small_segments(config: impl FnOnce(StoreConfig) -> StoreConfig) -> MemoryStore {
    let config = config(StoreConfig::new("").with_segment_max_bytes(4096));
    Store::open_in(MemoryStorage::new(), config).expect("memory opens")
}

#[cfg(test)]
fn put(store: &MemoryStore, entity: &str, kind: EventKind) -> Sequence {
    let receipt = store.append(&at(entity), kind, Payload::raw("x".repeat(60)));
    receipt.expect("memory takes it").sequence
}

#[cfg(test)]
fn numbers(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.sequence().get()).collect()
}
