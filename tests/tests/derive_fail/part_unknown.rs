use annals::EventPayload;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, EventPayload)]
#[event(category = 1, type_id = 2, nmae = "order.placed")]
struct OrderPlaced {
    cents: u64,
}

fn main() {}
