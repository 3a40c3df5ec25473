mod orders {
    use annals::EventPayload;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, EventPayload)]
    #[event(category = 1, type_id = 2)]
    struct OrderPlaced {
        cents: u64,
    }
}

mod parcels {
    use annals::EventPayload;
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize, EventPayload)]
    #[event(category = 0x1, type_id = 0x002, version = 7)]
    struct ParcelSent {
        grams: u64,
    }
}

fn main() {}
