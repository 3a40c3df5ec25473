//! Behaviour 46: entity ids.

use std::collections::{BTreeMap, BTreeSet};

use annals_core::{Coordinate, define_entity_id};

use super::both_formats;

define_entity_id! {
    /// Names one order.
    pub struct OrderId = "order";
}

define_entity_id! { struct CustomerId = "shop:customer"; }

const ID_TEXT: &str = "order:01020304-0506-0708-090a-0b0c0d0e0f10";
const ID: OrderId = OrderId::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);

pub fn b46_an_entity_id_is_its_namespace_and_a_uuid() {
    assert_eq!(ID.to_string(), ID_TEXT);
    assert_eq!(format!("{ID:?}"), format!("OrderId({ID_TEXT})"));
    assert_eq!(ID_TEXT.parse(), Ok(ID));
    assert_eq!(ID_TEXT.to_uppercase().replace("ORDER", "order").parse(), Ok(ID));
    assert_eq!(OrderId::NAMESPACE, "order");
    assert!(OrderId::v7(1_000, [0; 10]) < OrderId::v7(2_000_000, [0; 10]));
    assert_eq!(OrderId::from_key("5"), OrderId::from_key("5"));
    assert_ne!(OrderId::from_key("5").to_bytes(), CustomerId::from_key("5").to_bytes());
}

pub fn b46_an_entity_id_of_another_namespace_does_not_parse() {
    let uuid = &ID_TEXT["order:".len()..];
    for wrong in [
        uuid.to_owned(),
        format!("customer:{uuid}"),
        format!("orders:{uuid}"),
        format!("order:event:{}", uuid.replace('-', "")),
        format!("order:{}", uuid.replace('-', "")),
        format!("order:{uuid}:line:1"),
        format!(" {ID_TEXT}"),
        "order:".to_owned(),
        String::new(),
    ] {
        let error = wrong.parse::<OrderId>().unwrap_err();
        assert_eq!((error.namespace, &error.found), ("order", &wrong));
    }
    let customer = format!("shop:customer:{uuid}");
    assert_eq!(customer.parse::<CustomerId>().unwrap().to_string(), customer);
}

pub fn b46_an_entity_id_survives_serde_and_maps() {
    assert_eq!(serde_json::to_string(&ID).unwrap(), format!("\"{ID_TEXT}\""));
    assert_eq!(postcard::to_allocvec(&ID).unwrap(), ID.to_bytes());
    assert_eq!(both_formats(&ID), ID);
    let map = BTreeMap::from([(ID, 1)]);
    assert_eq!(both_formats(&map), map, "an id is a key of a JSON object too");
    assert!(serde_json::from_str::<OrderId>("\"shop:customer:x\"").is_err());
    assert_eq!(BTreeSet::from([ID, ID]).len(), 1);
}

pub fn b46_an_entity_id_leads_to_a_coordinate_and_back() {
    let coordinate = ID.coordinate("shop").unwrap();
    assert_eq!(coordinate.to_string(), format!("{ID_TEXT}@shop"));
    assert_eq!(OrderId::of(&coordinate), Ok(ID));
    assert!(CustomerId::of(&coordinate).is_err());
    assert!(ID.coordinate("").is_err());
    // Another stream, though its text parses to the same id.
    let shouted = Coordinate::new(ID_TEXT.replace('a', "A"), "shop").unwrap();
    assert!(OrderId::of(&shouted).is_err());
}
