//! An outbox: events are handed to a message broker, at least once, also where the program or the
//! broker goes away in between.
//!
//! ```text
//! cargo run --release --example outbox
//! ```
//!
//! It prints:
//!
//! ```text
//! 1. Three orders are in the log, whatever the broker does.
//! 2. The outbox runs:
//!    order:1 published
//!    order:2 not published (the broker is away), tried again
//!    order:2 published
//!    order:3 published, and the program ends before it says so
//! 3. Opened again. The outbox is behind by 1 event.
//!    order:3 published
//! 4. The broker was given 4 messages, one of them twice.
//! 5. By the event's id in each message, whoever receives them saw order:1, order:2, order:3.
//! ```

use annals::{
    Coordinate, Event, EventId, EventKind, EventPayload, PayloadFormat, Region, Store, StoreConfig,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::error::Error;

#[derive(Serialize, Deserialize)]
struct OrderPlaced {
    cents: u64,
}

impl EventPayload for OrderPlaced {
    const KIND: EventKind = EventKind::new(1, 1);
    const NAME: Option<&'static str> = Some("order.placed");
    // What leaves the program is read by others.
    const FORMAT: PayloadFormat = PayloadFormat::Json;
}

/// A message: where to, whose key tells two of the same apart, and what.
#[derive(Clone)]
struct Message {
    topic: String,
    id: EventId,
    entity: String,
    body: Vec<u8>,
}

/// In its place stands the client of a broker. This one is away once.
#[derive(Default)]
struct Broker {
    given: Vec<Message>,
    calls: usize,
}

impl Broker {
    fn publish(&mut self, message: Message) -> Result<(), String> {
        self.calls += 1;
        if self.calls == 2 {
            return Err("the broker is away".into());
        }
        self.given.push(message);
        Ok(())
    }
}

fn message(store: &Store, event: &Event) -> Message {
    Message {
        topic: store.kind_name(event.kind()).as_deref().unwrap_or("events").to_owned(),
        id: event.id(),
        entity: event.coordinate.entity().to_owned(),
        body: event.payload.bytes().unwrap_or_default().to_vec(),
    }
}

/// Publishes until the broker has it. A real one waits a little longer each time.
fn publish(store: &Store, broker: &mut Broker, event: &Event) -> String {
    let entity = event.coordinate.entity();
    while let Err(error) = broker.publish(message(store, event)) {
        println!("   {entity} not published ({error}), tried again");
    }
    format!("   {entity} published")
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let mut broker = Broker::default();
    let store = Store::open(StoreConfig::new(dir.path()))?;

    // One write: the event. There is no second table that a crash could leave without its row.
    for number in 1..=3 {
        let order = Coordinate::new(format!("order:{number}"), "shop")?;
        store.append_typed(&order, &OrderPlaced { cents: 995 })?;
    }
    println!("1. Three orders are in the log, whatever the broker does.");

    println!("2. The outbox runs:");
    let mut outbox = store.consumer("outbox", &Region::all().kind(OrderPlaced::KIND))?;
    for number in 1..=3 {
        let event = outbox.recv()?;
        let line = publish(&store, &mut broker, &event);
        if number == 3 {
            println!("{line}, and the program ends before it says so");
            break;
        }
        println!("{line}");
        // Behind the work. The other way round an event could be lost.
        outbox.commit()?;
    }
    drop((outbox, store));

    let store = Store::open(StoreConfig::new(dir.path()))?;
    let lag = store.consumers()?.first().map_or(0, |outbox| outbox.lag);
    println!("3. Opened again. The outbox is behind by {lag} event.");
    let mut outbox = store.consumer("outbox", &Region::all().kind(OrderPlaced::KIND))?;
    while let Some(event) = outbox.try_recv()? {
        println!("{}", publish(&store, &mut broker, &event));
        outbox.commit()?;
    }

    println!("4. The broker was given {} messages, one of them twice.", broker.given.len());
    let mut seen = BTreeSet::new();
    let new = broker.given.iter().filter(|message| {
        let is_whole = message.topic == "order.placed" && message.body == br#"{"cents":995}"#;
        is_whole && seen.insert(message.id)
    });
    let entities: Vec<&str> = new.map(|message| message.entity.as_str()).collect();
    println!(
        "5. By the event's id in each message, whoever receives them saw {}.",
        entities.join(", ")
    );
    Ok(())
}
