use annals::EventPayload;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, EventPayload)]
struct OrderPlaced {
    cents: u64,
}

fn main() {}
