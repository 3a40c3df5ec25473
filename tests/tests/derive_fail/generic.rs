use annals::EventPayload;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, EventPayload)]
#[event(category = 1, type_id = 2)]
struct OrderPlaced<T> {
    cents: T,
}

fn main() {}
