use annals::EventPayload;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, EventPayload)]
#[event(category = 16, type_id = 2)]
struct OrderPlaced {
    cents: u64,
}

fn main() {}
