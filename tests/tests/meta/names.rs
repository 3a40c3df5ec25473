//! Behaviour 47: a kind may have a name, unique in the store.

use annals_core::{
    EventKind, KindNameError, Log, LogConfig, MemoryStorage, StoreError, StoreError::NameConflict,
};
use annals_tests::sim_disk::{Fault, SimDisk};

use crate::store::{TestHost, append, meta_files, open, open_read_only};

const PLACED: EventKind = EventKind::new(1, 1);
const SHIPPED: EventKind = EventKind::new(1, 2);

#[test]
fn b47_a_name_is_seen_by_every_reader_and_after_reopening() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    let early_reader = log.reader();
    let mut beside = open_read_only(&disk);
    log.name_kind(PLACED, "order.placed").unwrap();
    log.name_kind(SHIPPED, "order.shipped").unwrap();
    log.name_kind(PLACED, "order.placed").unwrap();
    for reader in [early_reader, log.reader()] {
        assert_eq!(reader.kind_name(PLACED).as_deref(), Some("order.placed"));
        assert_eq!(reader.kind_named("order.shipped"), Some(SHIPPED));
        assert_eq!(reader.kind_named("order.lost"), None);
        assert_eq!(reader.kind_name(EventKind::new(2, 1)), None);
    }
    assert_eq!(beside.reader().kind_names(), []);
    beside.refresh().unwrap();
    assert_eq!(beside.reader().kind_named("order.placed"), Some(PLACED));

    // Acknowledged is durable, without any close.
    disk.power_cut(1);
    let log = open(&disk);
    let names: Vec<_> = log.reader().kind_names();
    let names: Vec<_> = names.iter().map(|(kind, name)| (*kind, &**name)).collect();
    assert_eq!(names, [(PLACED, "order.placed"), (SHIPPED, "order.shipped")]);
}

#[test]
fn b47_a_second_name_for_a_kind_and_a_second_kind_for_a_name_are_errors() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    log.name_kind(PLACED, "order.placed").unwrap();
    let before = log.meta_stats();

    let second_name = log.name_kind(PLACED, "order.created").unwrap_err();
    assert!(matches!(&second_name, NameConflict { known, .. } if known == "order.placed"));
    let second_kind = log.name_kind(SHIPPED, "order.placed").unwrap_err();
    assert!(matches!(&second_kind, NameConflict { known, .. } if known == "0x1001"));
    assert_eq!(
        second_kind.to_string(),
        "the kind 0x1002 can't be named order.placed: one of them belongs to 0x1001 already"
    );
    assert_eq!(log.meta_stats(), before, "nothing was written");
    assert_eq!(log.reader().kind_names().len(), 1);
}

#[test]
fn b47_what_is_no_name_and_the_stores_own_kinds_are_refused() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    for (name, why) in [
        ("", KindNameError::Length { actual: 0 }),
        (&"n".repeat(129), KindNameError::Length { actual: 129 }),
        ("order placed", KindNameError::Character { character: ' ' }),
    ] {
        let refused = log.name_kind(PLACED, name).unwrap_err();
        assert!(matches!(refused, StoreError::KindName(found) if found == why));
        let refused = log.kind_for_name(name).unwrap_err();
        assert!(matches!(refused, StoreError::KindName(found) if found == why));
    }
    let reserved = log.name_kind(EventKind::ERASURE, "erased").unwrap_err();
    assert!(matches!(reserved, StoreError::ReservedKind { .. }));
    assert_eq!(meta_files(&disk), []);
}

#[test]
fn b47_a_new_name_gets_the_smallest_kind_without_a_name_or_an_event() {
    let disk = SimDisk::new(0);
    let mut log = open(&disk);
    log.name_kind(EventKind::new(1, 2), "taken.by-name").unwrap();
    append(&mut log, EventKind::new(1, 3)).unwrap();
    log.seal().unwrap();
    append(&mut log, EventKind::new(1, 5)).unwrap();
    let kinds = ["a", "b", "c", "a"].map(|name| log.kind_for_name(name).unwrap());
    assert_eq!(kinds, [1, 4, 6, 1].map(|type_id| EventKind::new(1, type_id)));
    disk.power_cut(1);

    let mut log = open(&disk);
    let kinds = ["c", "b", "a", "d"].map(|name| log.kind_for_name(name).unwrap());
    assert_eq!(kinds, [6, 4, 1, 7].map(|type_id| EventKind::new(1, type_id)));
}

#[test]
fn b47_kinds_are_assigned_past_the_end_of_a_category_and_past_the_reserved_ones() {
    let mut log = Log::open(MemoryStorage::new(), TestHost::new(1), LogConfig::default()).unwrap();
    for category in (1..=0xC).chain([0xE]) {
        for type_id in 1..=0xFFF {
            let kind = EventKind::new(category, type_id);
            log.name_kind(kind, &format!("k{kind}")).unwrap();
        }
        let next = match category {
            0xC => EventKind::new(0xE, 1),
            _ => EventKind::new(category + 1, 1),
        };
        assert_eq!(log.kind_for_name(&format!("k{next}")).unwrap(), next);
    }
    assert_eq!(log.kind_for_name("beyond").unwrap(), EventKind::new(0xF, 2));
}

#[test]
fn b47_a_name_whose_write_failed_is_not_registered_and_may_be_tried_again() {
    let disk = SimDisk::new(3);
    let mut log = open(&disk);
    log.name_kind(PLACED, "order.placed").unwrap();
    let next = disk.operation_count();
    disk.fail_at(next, Fault::NoSpace);
    assert!(matches!(log.name_kind(SHIPPED, "order.shipped"), Err(StoreError::Storage(_))));
    assert_eq!(log.reader().kind_name(SHIPPED), None);
    assert_eq!(log.reader().kind_named("order.shipped"), None);
    log.name_kind(SHIPPED, "order.shipped").unwrap();
    disk.power_cut(0);
    assert_eq!(open(&disk).reader().kind_named("order.shipped"), Some(SHIPPED));
}
