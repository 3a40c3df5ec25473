//! A chain of reactors: an order is paid, packed and sent, or called off, each step by a reactor of
//! its own that knows only the event before. What caused what is in the log, and is drawn from it.
//!
//! Run it with `cargo run --release --example saga`. It prints:
//!
//! ```text
//! 1. Three reactors wait for orders.
//! 2. Order 1, of 900 cents, ends with parcel.sent.
//! 3. Order 2, of 99000 cents, ends with order.called-off.
//! 4. The reactors gave 6 answers: payment 2, packing 3, post 1.
//! 5. Why order 1 was sent, as a Mermaid chart:
//! flowchart LR
//!   n0["order.placed<br/>order:1@shop<br/>sequence 0"]
//!   n1["payment.taken<br/>payment:1@bank<br/>sequence 1"]
//!   n2["parcel.packed<br/>parcel:1@stock<br/>sequence 2"]
//!   n3["stock.booked<br/>stock:tea@stock<br/>sequence 3"]
//!   n4["parcel.sent<br/>parcel:1@post<br/>sequence 4"]
//!   n0 --> n1
//!   n1 --> n2
//!   n2 --> n3
//!   n2 --> n4
//!   classDef outside stroke-dasharray:4
//! ```

use annals::{
    Append, Batch, CausalGraph, Coordinate, Event, EventId, EventKind, Payload, ReactConfig,
    Reactor, Region, Store, StoreConfig,
};
use std::error::Error;
use std::path::PathBuf;

const PLACED: EventKind = EventKind::new(1, 1);
const CALLED_OFF: EventKind = EventKind::new(1, 2);
const PAID: EventKind = EventKind::new(2, 1);
const REFUSED: EventKind = EventKind::new(2, 2);
const PACKED: EventKind = EventKind::new(3, 1);
const BOOKED: EventKind = EventKind::new(3, 2);
const SENT: EventKind = EventKind::new(3, 3);

type Reacted = Result<Batch, Box<dyn Error + Send + Sync>>;

/// An event of the same order, somewhere else.
fn next(
    of: &Event,
    entity: &str,
    scope: &str,
    kind: EventKind,
) -> Result<Append, Box<dyn Error + Send + Sync>> {
    let number = of.coordinate.entity().split(':').next_back().unwrap_or_default();
    let at = Coordinate::new(format!("{entity}:{number}"), scope)?;
    Ok(Append::new(at, kind, Payload::postcard(&())?))
}

/// Takes the money for an order; the bank refuses large sums.
fn payment(placed: &Event) -> Reacted {
    let cents: u64 = placed.decode()?;
    let kind = if cents <= 10_000 { PAID } else { REFUSED };
    Ok(Batch::new().push(next(placed, "payment", "bank", kind)?))
}

/// Packs what is paid and takes it off the stock, both or neither; calls off what is not.
fn packing(payment: &Event) -> Reacted {
    if payment.kind() == REFUSED {
        return Ok(Batch::new().push(next(payment, "order", "shop", CALLED_OFF)?));
    }
    let tea = Coordinate::new("stock:tea", "stock")?;
    Ok(Batch::new()
        .push(next(payment, "parcel", "stock", PACKED)?)
        .push(Append::new(tea, BOOKED, Payload::postcard(&-1)?).caused_by_item(0)))
}

/// Sends what is packed.
fn post(packed: &Event) -> Reacted {
    Ok(Batch::new().push(next(packed, "parcel", "post", SENT)?))
}

/// Starts a reactor that goes on from its own checkpoint whenever the store is opened.
fn start(
    store: &Store,
    name: &str,
    on: &[EventKind],
    react: fn(&Event) -> Reacted,
) -> Result<Reactor, Box<dyn Error>> {
    let events = store.consumer(name, &Region::all().kinds(on.iter().copied()))?;
    Ok(store.react_loop(events, ReactConfig::new(name), react)?)
}

fn place(store: &Store, number: u64, cents: u64) -> Result<EventId, Box<dyn Error>> {
    let at = Coordinate::new(format!("order:{number}"), "shop")?;
    Ok(store.append(&at, PLACED, &cents)?.id)
}

fn main() -> Result<(), Box<dyn Error>> {
    let temporary = tempfile::tempdir()?;
    let dir = std::env::args_os().nth(1).map_or(temporary.path().join("shop"), PathBuf::from);
    let store = Store::open(StoreConfig::new(&dir))?;
    for (kind, name) in [
        (PLACED, "order.placed"),
        (CALLED_OFF, "order.called-off"),
        (PAID, "payment.taken"),
        (REFUSED, "payment.refused"),
        (PACKED, "parcel.packed"),
        (BOOKED, "stock.booked"),
        (SENT, "parcel.sent"),
    ] {
        store.name_kind(kind, name)?;
    }
    let name = |kind| store.kind_name(kind).map(|name| name.to_string());

    let reactors = [
        ("payment", start(&store, "payment", &[PLACED], payment)?),
        ("packing", start(&store, "packing", &[PAID, REFUSED], packing)?),
        ("post", start(&store, "post", &[PACKED], post)?),
    ];
    println!("1. Three reactors wait for orders.");

    // What ends an order is followed as it happens.
    let mut ends = store.subscribe(&Region::all().kinds([SENT, CALLED_OFF]));
    let first = place(&store, 1, 900)?;
    let end = ends.recv()?;
    println!("2. Order 1, of 900 cents, ends with {}.", name(end.kind()).unwrap_or_default());
    place(&store, 2, 99_000)?;
    let end = ends.recv()?;
    println!("3. Order 2, of 99000 cents, ends with {}.", name(end.kind()).unwrap_or_default());

    let mut answers = Vec::new();
    for (name, reactor) in reactors {
        reactor.stop();
        answers.push((name, reactor.join()?.reactions));
    }
    let all: u64 = answers.iter().map(|(_, answers)| answers).sum();
    let answers: Vec<String> =
        answers.iter().map(|(name, answers)| format!("{name} {answers}")).collect();
    println!("4. The reactors gave {all} answers: {}.", answers.join(", "));

    // Every answer carries the correlation of its trigger, so the order's own id finds them all.
    let graph = CausalGraph::of_correlation(&store.reader(), first, 100)?;
    println!("5. Why order 1 was sent, as a Mermaid chart:");
    print!("{}", graph.to_mermaid(&name));
    store.close()?;
    Ok(())
}
