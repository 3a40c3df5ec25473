//! An edge is taken by the event that it declares.

include!("order.in");

#[derive(serde::Serialize, serde::Deserialize)]
struct Moved;

impl EventPayload for Moved {
    const KIND: EventKind = EventKind::new(1, 2);
}

fn main() {
    let _ = annals_core::Transition::<order::Open, order::Done, _>::new(Moved);
}
