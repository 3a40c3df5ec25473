//! `#[derive(EventPayload)]`: what it implements, and what does not compile.

use annals::{Coordinate, EventKind, EventPayload, PayloadFormat, Store};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, EventPayload)]
#[event(category = 1, type_id = 2, version = 3, name = "order.placed", format = "json")]
struct OrderPlaced {
    cents: u64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, EventPayload)]
#[event(category = 0xF, type_id = 0xFFF)]
enum OrderClosed {
    Paid(u64),
    Cancelled { why: String },
}

mod parcels {
    use super::{Deserialize, EventPayload, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize, EventPayload)]
    #[event(category = 1, type_id = 3, name = "order.placed-2", crate = "annals_core")]
    pub(crate) struct ParcelSent(pub(crate) u64);
}

#[test]
fn the_derive_says_what_the_attribute_says() {
    assert_eq!(OrderPlaced::KIND, EventKind::new(1, 2));
    assert_eq!((OrderPlaced::NAME, OrderPlaced::VERSION), (Some("order.placed"), 3));
    assert_eq!(OrderPlaced::FORMAT, PayloadFormat::Json);
    assert_eq!(OrderClosed::KIND, EventKind::new(15, 0xFFF));
    assert_eq!((OrderClosed::NAME, OrderClosed::VERSION), (None, 1));
    assert_eq!(OrderClosed::FORMAT, PayloadFormat::Postcard);
    assert_eq!(parcels::ParcelSent::NAME, Some("order.placed-2"));
}

#[test]
fn a_derived_payload_is_appended_named_and_read() {
    let store = Store::in_memory().unwrap();
    let order = Coordinate::new("order:5", "shop").unwrap();
    let placed = store.append_typed(&order, &OrderPlaced { cents: 995 }).unwrap();
    let cancelled = OrderClosed::Cancelled { why: "changed my mind".into() };
    let closed = store.append_typed(&order, &cancelled).unwrap();
    assert_eq!(store.kind_named("order.placed"), Some(OrderPlaced::KIND));
    let event = store.get(placed.id).unwrap();
    assert_eq!(
        (event.payload.version(), event.payload.bytes().unwrap()),
        (3, &b"{\"cents\":995}"[..])
    );
    assert_eq!(event.decode::<OrderPlaced>().unwrap(), OrderPlaced { cents: 995 });
    assert_eq!(store.get(closed.id).unwrap().decode::<OrderClosed>().unwrap(), cancelled);
    let error = store.get(closed.id).unwrap().decode_as::<OrderPlaced>(&annals::Upcasts::new());
    assert!(error.is_err(), "of another kind");
}

/// The messages beside the programs are those of one compiler. After a change of the compiler,
/// run the test with `TRYBUILD=overwrite` and read the difference.
#[test]
fn what_is_wrong_with_an_attribute_is_told_where_it_stands() {
    trybuild::TestCases::new().compile_fail("tests/derive_fail/*.rs");
}
