//! The first things to know about a store, run for real.
//!
//! ```text
//! cargo run --release --example quickstart [DIRECTORY]
//! ```
//!
//! Without a directory the store lives in a temporary one. With one it stays, and a second run
//! goes on where the first ended. The first run prints:
//!
//! ```text
//! 1. Opened the store: 0 events.
//! 2. Appended version 0 of order:5: tea for 450 cents. It is on disk.
//!    Appended version 1 of order:5: bread for 380 cents. It is on disk.
//! 3. A writer that had seen only version 0 was refused:
//!    order:5 is at version 1, but version 0 was expected
//! 4. The events of the scope "shop":
//!    sequence 0, order:5 version 0: ItemAdded { item: "tea", cents: 450 }
//!    sequence 1, order:5 version 1: ItemAdded { item: "bread", cents: 380 }
//! 5. Their projection: 2 items, 830 cents.
//! 6. Closed the store and opened it again: 2 events.
//! 7. Verified every byte and the hash chain: 2 events, 1 stream, no fault.
//! ```

use annals::{
    AppendOptions, CodecError, Coordinate, EventKind, EventPayload, EventSourced, ExpectedVersion,
    Freshness, Region, SourceEvent, Store, StoreConfig, VerifyOptions,
};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// What happened. Its kind is a number of the application's own; the name is for people.
#[derive(Debug, Serialize, Deserialize)]
struct ItemAdded {
    item: String,
    cents: u64,
}

impl EventPayload for ItemAdded {
    const KIND: EventKind = EventKind::new(1, 1);
    const NAME: Option<&'static str> = Some("order.item-added");
}

/// A state that is made from events, by taking in one after the other.
#[derive(Default, Serialize, Deserialize)]
struct Total {
    items: u64,
    cents: u64,
}

impl EventSourced for Total {
    const NAME: &'static str = "order-total";
    const KINDS: Option<&'static [EventKind]> = Some(&[ItemAdded::KIND]);

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        self.items += 1;
        self.cents += event.decode::<ItemAdded>()?.cents;
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let temporary = tempfile::tempdir()?;
    let dir = std::env::args_os().nth(1).map_or(temporary.path().join("shop"), PathBuf::from);

    // A store is a directory with one writer, which may be shared by any number of threads.
    let store = Store::open(StoreConfig::new(&dir))?;
    println!("1. Opened the store: {} events.", store.stats()?.events);

    // An event happens to somebody (the entity) somewhere (the scope). The events of one entity
    // are its stream; each has a version there. Appending returns when the event is on disk.
    let order = Coordinate::new("order:5", "shop")?;
    let tea = ItemAdded { item: "tea".into(), cents: 450 };
    let first = store.append_typed(&order, &tea)?;
    println!("2. Appended version {} of order:5: tea for 450 cents. It is on disk.", first.version);
    let bread = ItemAdded { item: "bread".into(), cents: 380 };
    let second = store.append_typed(&order, &bread)?;
    println!(
        "   Appended version {} of order:5: bread for 380 cents. It is on disk.",
        second.version
    );

    // Whoever decides on what was read says which version that was. Somebody else got in between?
    // Then nothing is written: read again and decide anew.
    let decided_on = ExpectedVersion::Exact(first.version);
    let options = AppendOptions::default().with_expected_version(decided_on);
    let late = ItemAdded { item: "jam".into(), cents: 290 };
    match store.append_typed_with_options(&order, &late, options) {
        Ok(_) => return Err("an append with a stale version must be refused".into()),
        Err(refused) => {
            println!("3. A writer that had seen only version {} was refused:", first.version);
            println!("   {refused}");
        }
    }

    // A region says which events: by entity, scope, kind, time and more. Queries are lazy.
    println!("4. The events of the scope \"shop\":");
    for event in store.query(&Region::all().scope("shop")) {
        let event = event?;
        println!(
            "   sequence {}, {} version {}: {:?}",
            event.sequence(),
            event.coordinate.entity(),
            event.version(),
            event.decode::<ItemAdded>()?
        );
    }

    let total = store.project::<Total>("order:5", Freshness::Consistent)?;
    let Total { items, cents } = total.ok_or("the order is known")?.state;
    println!("5. Their projection: {items} items, {cents} cents.");

    // Closing is polite, not necessary: what was acknowledged survives a crash, too.
    store.close()?;
    let store = Store::open(StoreConfig::new(&dir))?;
    println!("6. Closed the store and opened it again: {} events.", store.stats()?.events);

    // Every event carries the hash of the one before it in its stream, so that history can't be
    // changed unnoticed. Verifying reads all there is and checks each link.
    let report = store.verify(&VerifyOptions::default(), |_| ControlFlow::Continue(()));
    if !report.is_whole() {
        return Err(format!("the store is damaged: {:?}", report.faults).into());
    }
    println!(
        "7. Verified every byte and the hash chain: {} events, {} stream, no fault.",
        report.events, report.streams
    );
    Ok(())
}
