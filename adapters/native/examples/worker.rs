//! A worker that sends a letter for each order, and goes on where it was when it comes back.
//!
//! Run it with `cargo run --release --example worker`. It prints:
//!
//! ```text
//! 1. Appended 5 orders.
//! 2. The worker "letters" begins:
//!    a letter to ada about 2 x tea: sent, and committed
//!    a letter to bob about 1 x jam: sent, and committed
//!    a letter to cyd about 3 x tea: sent, but the process ends before it commits
//! 3. Opened the store again. The worker is behind by 3 orders.
//! 4. The worker goes on. What it had not committed comes again:
//!    a letter to cyd about 3 x tea: sent, and committed
//!    a letter to dan about 1 x bread: sent, and committed
//!    a letter to eve about 2 x jam: sent, and committed
//! 5. An order that comes now wakes the worker:
//!    a letter to fay about 1 x tea: sent, and committed
//! 6. The worker is behind by 0 orders. Closing the store ends it.
//! ```

use annals::{
    Coordinate, EventKind, EventPayload, FollowError, Region, Store, StoreConfig, StoreError,
};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::path::PathBuf;

#[derive(Debug, Serialize, Deserialize)]
struct OrderPlaced {
    customer: String,
    item: String,
    count: u32,
}

impl EventPayload for OrderPlaced {
    const KIND: EventKind = EventKind::new(1, 1);
    const NAME: Option<&'static str> = Some("order.placed");
}

fn place(store: &Store, customer: &str, item: &str, count: u32) -> Result<(), StoreError> {
    let order = Coordinate::new(format!("order:{customer}"), "shop")
        .map_err(|error| StoreError::InvalidInput(error.to_string()))?;
    let placed = OrderPlaced { customer: customer.into(), item: item.into(), count };
    store.append_typed(&order, &placed).map(drop)
}

fn send(order: &OrderPlaced) -> String {
    format!("a letter to {} about {} x {}: sent", order.customer, order.count, order.item)
}

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let dir = std::env::args_os().nth(1).map_or(temporary.path().join("shop"), PathBuf::from);
    let store = Store::open(StoreConfig::new(&dir))?;
    let orders = [("ada", "tea", 2), ("bob", "jam", 1), ("cyd", "tea", 3), ("dan", "bread", 1)];
    for (customer, item, count) in orders.into_iter().chain([("eve", "jam", 2)]) {
        place(&store, customer, item, count)?;
    }
    println!("1. Appended 5 orders.");

    // A consumer is a place in the log that the store keeps under a name. One at a time holds it.
    println!("2. The worker \"letters\" begins:");
    let placed = Region::all().kind(OrderPlaced::KIND);
    let mut letters = store.consumer("letters", &placed)?;
    for _ in 0..2 {
        let order: OrderPlaced = letters.recv()?.decode()?;
        println!("   {}, and committed", send(&order));
        letters.commit()?;
    }
    let order: OrderPlaced = letters.recv()?.decode()?;
    println!("   {}, but the process ends before it commits", send(&order));
    // As after a crash: nothing is committed by dropping it.
    drop((letters, store));

    let store = Store::open(StoreConfig::new(&dir))?;
    let lag = store.consumers()?.first().map_or(0, |worker| worker.lag);
    println!("3. Opened the store again. The worker is behind by {lag} orders.");

    // Committing behind the work means at least once: the letter to Cyd is sent again. Where that
    // matters, the work needs a key of its own, as an append has.
    println!("4. The worker goes on. What it had not committed comes again:");
    let mut letters = store.consumer("letters", &placed)?;
    while let Some(event) = letters.try_recv()? {
        println!("   {}, and committed", send(&event.decode()?));
        letters.commit()?;
    }

    // Usually it has a thread of its own, and waits there.
    println!("5. An order that comes now wakes the worker:");
    let (done, sent) = std::sync::mpsc::channel();
    let worker = std::thread::spawn(move || -> Result<(), FollowError> {
        loop {
            let event = letters.recv()?;
            let line = event.decode().map(|order| send(&order)).map_err(StoreError::from)?;
            letters.commit()?;
            let _ = done.send(line);
        }
    });
    place(&store, "fay", "tea", 1)?;
    println!("   {}, and committed", sent.recv()?);

    let lag = store.consumers()?.first().map_or(0, |worker| worker.lag);
    println!("6. The worker is behind by {lag} orders. Closing the store ends it.");
    store.close()?;
    match worker.join() {
        Ok(Err(FollowError::Closed)) => Ok(()),
        other => Err(format!("the worker must end with its store: {other:?}").into()),
    }
}
