//! An order that can only go the ways that its state machine declares, in the code and in the log.
//!
//! ```text
//! cargo run --release --example order_state_machine
//! ```
//!
//! It prints:
//!
//! ```text
//! The machine "order" starts in Draft and has these edges:
//!   Draft -> Open, Open -> Paid, Paid -> Sent, Draft -> Cancelled, Open -> Cancelled
//!
//! Placed: order:5 is Open
//! Paid: order:5 is Paid
//! A customer who still sees an open order cancels it:
//!   order:5 is in the state Paid of the machine order, but the transition to Cancelled leaves Open
//! Two packers send the order at once: 1 of them did
//!
//! After a restart order:5 is Sent. How it got there:
//!   version 0: Draft -> Open
//!   version 1: a note, no transition
//!   version 2: Open -> Paid
//!   version 3: Paid -> Sent
//! ```

use annals::{
    Coordinate, EventKind, EventPayload, MachineState, PolicyError, StateMachine, Store,
    StoreConfig, Transition, TransitionRecord, define_state_machine, define_typestate,
};
use serde::{Deserialize, Serialize};

/// Declares an event type: what it holds, and its kind.
macro_rules! event {
    ($name:ident { $($field:ident : $type:ty),* }, $kind:literal) => {
        #[derive(Debug, Serialize, Deserialize)]
        struct $name {
            $($field: $type,)*
        }

        impl EventPayload for $name {
            const KIND: EventKind = EventKind::new(1, $kind);
        }
    };
}

event!(Placed { items: Vec<String> }, 1);
event!(Paid { cents: u64 }, 2);
event!(Sent { parcel: String }, 3);
event!(Cancelled { why: String }, 4);

/// An event that is no transition: streams hold those too.
const NOTE: EventKind = EventKind::new(1, 9);

define_state_machine! {
    /// The life of an order.
    machine order {
        states { Draft, Open, Paid, Sent, Cancelled }
        edges {
            Draft -> Open: Placed,
            Open -> Paid: Paid,
            Paid -> Sent: Sent,
            Draft | Open -> Cancelled: Cancelled,
        }
    }
}

define_typestate! {
    /// An order whose state the compiler knows.
    struct Order in order {
        at: Coordinate,
    }
}

impl Order<order::Paid> {
    /// Only a paid order can be sent: for any other this does not compile.
    fn send(self, parcel: &str) -> (Coordinate, Transition<order::Paid, order::Sent, Sent>) {
        let at = self.at.clone();
        let (_, transition) = self.advance(Sent { parcel: parcel.into() });
        (at, transition)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(StoreConfig::new(dir.path()))?;
    let at = Coordinate::new("order:5", "shop")?;

    let initial = <<order::Machine as StateMachine>::Initial as MachineState>::NAME;
    println!("The machine \"{}\" starts in {initial} and has these edges:", order::Machine::NAME);
    let edges = order::Machine::EDGES.iter().map(|edge| format!("{} -> {}", edge.from, edge.to));
    println!("  {}", edges.collect::<Vec<_>>().join(", "));
    println!();

    // The type says which way it goes. Only declared edges compile:
    // Transition::<order::Draft, order::Sent, _>::new(..) is an error at compile time.
    type Place = Transition<order::Draft, order::Open, Placed>;
    type Pay = Transition<order::Open, order::Paid, Paid>;
    type Cancel = Transition<order::Open, order::Cancelled, Cancelled>;

    store
        .apply_transition(&at, Place::new(Placed { items: vec!["tea".into(), "bread".into()] }))?;
    println!("Placed: order:5 is {}", store.state_of::<order::Machine>("order:5")?);
    store.append(&at, NOTE, "rings twice")?;
    store.apply_transition(&at, Pay::new(Paid { cents: 830 }))?;
    println!("Paid: order:5 is {}", store.state_of::<order::Machine>("order:5")?);

    // The compiler knows the edges, the store knows where this order stands. It checks that in
    // the same step as it writes.
    println!("A customer who still sees an open order cancels it:");
    let cancel = Cancel::new(Cancelled { why: "changed my mind".into() });
    match store.apply_transition(&at, cancel) {
        Err(refused @ PolicyError::WrongState { .. }) => println!("  {refused}"),
        other => return Err(format!("a paid order can't be cancelled, but {other:?}").into()),
    }

    let sent = std::thread::scope(|scope| {
        let packers: Vec<_> = ["DE-1", "DE-2"]
            .into_iter()
            .map(|parcel| {
                let (at, transition) = Order::<order::Paid>::restore(at.clone()).send(parcel);
                let store = &store;
                scope.spawn(move || store.apply_transition(&at, transition).is_ok())
            })
            .collect();
        packers.into_iter().filter_map(|packer| packer.join().ok()).filter(|sent| *sent).count()
    });
    println!("Two packers send the order at once: {sent} of them did");
    println!();

    store.close()?;
    let store = Store::open(StoreConfig::new(dir.path()))?;
    let state = store.state_of::<order::Machine>("order:5")?;
    println!("After a restart order:5 is {state}. How it got there:");
    for event in store.stream("order:5") {
        let event = event?;
        match TransitionRecord::of(&event) {
            Some(edge) => println!("  version {}: {} -> {}", event.version(), edge.from, edge.to),
            None => println!("  version {}: a note, no transition", event.version()),
        }
    }
    Ok(())
}
