use annals::EventPayload;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, EventPayload)]
#[event(category = 1)]
struct OrderPlaced {
    cents: u64,
}

fn main() {}
