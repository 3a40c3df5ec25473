//! A read model: how many orders each shop has open, kept up to date by the new events alone.
//!
//! ```text
//! cargo run --release --example read_model
//! ```
//!
//! It prints:
//!
//! ```text
//! 1. Projected 1000 events: north has 167 open orders, south has 167. 1000 events were taken in.
//! 2. Nothing has changed since: no state was made.
//! 3. Opened again after 1 more event: north has 166 open orders, south has 167. 1 event was taken in.
//! 4. A watch saw order:2000 open, and nobody asked: north has 167 open orders, south has 167.
//! 5. An event of version 1 was lifted: order:2001 is open in the shop "unknown".
//! 6. A merge leaves the cache good: 0 events were taken in.
//! ```

use annals::{
    CheckpointCache, CodecError, CompactionConfig, CompactionStrategy, Coordinate, Durability,
    EventKind, EventPayload, EventSourced, Freshness, Payload, Region, SourceEvent, Store,
    StoreConfig, StoreError, Upcasts,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Version 1 did not say which shop.
#[derive(Serialize, Deserialize)]
struct OpenedV1 {}

#[derive(Serialize, Deserialize)]
struct Opened {
    shop: String,
}

impl EventPayload for Opened {
    const KIND: EventKind = EventKind::new(1, 1);
    const NAME: Option<&'static str> = Some("order.opened");
    const VERSION: u16 = 2;
}

#[derive(Serialize, Deserialize)]
struct Closed {}

impl EventPayload for Closed {
    const KIND: EventKind = EventKind::new(1, 2);
    const NAME: Option<&'static str> = Some("order.closed");
}

/// The read model. Raise `VERSION` when it or `apply` changes: then it is made anew.
#[derive(Debug, Default, Serialize, Deserialize)]
struct OpenOrders {
    by_shop: BTreeMap<String, BTreeSet<String>>,
}

/// How many events were taken in since somebody asked.
static TAKEN_IN: AtomicU64 = AtomicU64::new(0);

impl EventSourced for OpenOrders {
    const NAME: &'static str = "open-orders";
    const KINDS: Option<&'static [EventKind]> = Some(&[Opened::KIND, Closed::KIND]);

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        let order = event.header().entity();
        if event.kind() == Opened::KIND {
            let Opened { shop } = event.decode()?;
            self.by_shop.entry(shop).or_default().insert(order.into());
        } else {
            for orders in self.by_shop.values_mut() {
                orders.remove(order);
            }
        }
        TAKEN_IN.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl OpenOrders {
    fn told(&self) -> String {
        let open = |shop: &str| self.by_shop.get(shop).map_or(0, BTreeSet::len);
        format!("north has {} open orders, south has {}", open("north"), open("south"))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = open(dir.path())?;
    for number in 0..667 {
        let shop = if number % 2 == 0 { "north" } else { "south" };
        store.append_typed(&order(number)?, &Opened { shop: shop.into() })?;
    }
    for number in 0..333 {
        store.append_typed(&order(number * 2 + number % 2)?, &Closed {})?;
    }

    // A projection of a region; one of a single entity is `store.project(entity, ..)`.
    let all = Region::entity("order");
    let model = store.project_region::<OpenOrders>(&all, Freshness::Consistent)?;
    println!("1. Projected 1000 events: {}. {}.", model.state.told(), taken_in());

    // Who has the newest already asks only for what is newer.
    if store.project_region_if_changed::<OpenOrders>(&all, model.position())?.is_none() {
        println!("2. Nothing has changed since: no state was made.");
    }

    // The store keeps the state itself, so the next process takes in only what came after it.
    store.append_typed(&order(662)?, &Closed {})?;
    store.close()?;
    let store = open(dir.path())?;
    let model = store.project_region::<OpenOrders>(&all, Freshness::Consistent)?;
    let told = model.state.told();
    println!("3. Opened again after 1 more event: {told}. {}.", taken_in());

    // A watch follows the log on its own; it ends when the store is closed.
    let mut watch = store.watch_region::<OpenOrders>(&all)?;
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| watch.changed().map(|model| model.state.told()));
        store.append_typed(&order(2_000)?, &Opened { shop: "north".into() })?;
        let told = waits.join().expect("it does not panic")?;
        println!("4. A watch saw order:2000 open, and nobody asked: {told}.");
        Ok::<(), Box<dyn Error>>(())
    })?;

    // What an older program appended is lifted as it is read.
    let old = Payload::postcard(&OpenedV1 {})?.with_version(1);
    store.append(&order(2_001)?, Opened::KIND, old)?;
    let model = store.project_region::<OpenOrders>(&all, Freshness::Consistent)?;
    let lifted = model.state.by_shop.iter().find(|(_, orders)| orders.contains("order:2001"));
    let (shop, _) = lifted.ok_or("the order is open")?;
    println!("5. An event of version 1 was lifted: order:2001 is open in the shop {shop:?}.");

    taken_in();
    let merge = CompactionConfig::new(CompactionStrategy::Merge).with_seal_active(true);
    store.compact(&merge, |_| ControlFlow::Continue(()))?;
    store.project_region::<OpenOrders>(&all, Freshness::Consistent)?;
    println!("6. A merge leaves the cache good: {}.", taken_in());
    Ok(())
}

/// A store that keeps states among its own files, within a budget, and lifts older payloads.
fn open(dir: &Path) -> Result<Store, StoreError> {
    let upcasts =
        Upcasts::new().with(Opened::KIND, 1, |_: OpenedV1| Opened { shop: "unknown".into() });
    // Many small segments and no sync for each event, to be done soon.
    let config = StoreConfig::new(dir)
        .with_upcasts(upcasts)
        .with_segment_max_bytes(16 * 1024)
        .with_durability(Durability::OnSync);
    Store::open_with_cache(config, CheckpointCache::new(4 * 1024 * 1024))
}

fn order(number: u64) -> Result<Coordinate, annals::CoordinateError> {
    Coordinate::new(format!("order:{number}"), "web")
}

fn taken_in() -> String {
    match TAKEN_IN.swap(0, Ordering::Relaxed) {
        1 => "1 event was taken in".into(),
        events => format!("{events} events were taken in"),
    }
}
