//! The native `Store` under threads, faults, panics and kills.
#![cfg(not(target_arch = "wasm32"))]

#[cfg(test)]
mod ahead;
#[cfg(test)]
mod durability;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod held;
#[cfg(test)]
mod linear;
#[cfg(test)]
mod panics;
#[cfg(test)]
mod probe;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod readers;
#[cfg(test)]
mod threads;
#[cfg(test)]
mod tickets;

#[cfg(test)]
use annals::{Append, AppendReceipt, Batch, Coordinate, Event, EventKind, Payload, Storage, Store};

#[cfg(test)]
const PLACED: EventKind = EventKind::new(1, 1);

#[cfg(test)]
fn at(entity: &str) -> Coordinate {
    Coordinate::new(entity, "shop").expect("a valid coordinate")
}

/// An event of this entity with this text.
#[cfg(test)]
fn event(entity: &str, text: &str) -> Append {
    Append::new(at(entity), PLACED, Payload::raw(text))
}

#[cfg(test)]
fn batch(appends: impl IntoIterator<Item = Append>) -> Batch {
    appends.into_iter().collect()
}

/// Every event of a store.
#[cfg(test)]
fn all<S: Storage>(store: &Store<S>) -> Vec<Event> {
    let events = store.query(&annals::Region::all());
    events.collect::<Result<_, _>>().expect("a store that can be read")
}

/// The log begins with these, as they were acknowledged.
#[cfg(test)]
fn assert_holds(events: &[Event], receipts: &[AppendReceipt]) {
    for receipt in receipts {
        let place = usize::try_from(receipt.sequence.get()).expect("a small store");
        let event = events.get(place).unwrap_or_else(|| panic!("{place} is lost"));
        assert_eq!((event.id(), event.version()), (receipt.id, receipt.version));
        assert_eq!(event.event_hash(), receipt.event_hash);
    }
}
