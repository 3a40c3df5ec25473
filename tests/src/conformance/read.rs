//! Behaviours 15, 20, 21 and 22: single events, what a reader holds on to, the hash chain.

use annals_core::{AncestorsEnd, EventId, Hash, Region, Sequence, StoreError};

use super::Backend;
use super::store::{PAID, PLACED, all, event, fill, open_small, put};

/// An unknown id or sequence is an error of its own.
pub fn b15_an_unknown_id_is_not_found(backend: impl Backend) {
    let log = open_small(&backend);
    let unknown = EventId::from_key("nobody");
    let missing = |log: &super::store::TestLog<_>, sequence| {
        let by_id = log.reader().get(unknown);
        assert!(matches!(by_id, Err(StoreError::NotFound(id)) if id == unknown));
        let by_sequence = log.reader().get_at(Sequence::new(sequence));
        assert!(
            matches!(by_sequence, Err(StoreError::SequenceNotFound(found)) if found.get() == sequence)
        );
    };
    missing(&log, 0);
    drop(log);
    let mut log = open_small(&backend);
    let end = fill(&mut log, 2).len() as u64;
    missing(&log, end);
    missing(&log, u64::MAX);
    drop(log);
    missing(&open_small(&backend), end);
}

/// A reader sees the prefix it was made with, through appends, rotation and a close.
pub fn b20_a_reader_keeps_its_prefix(backend: impl Backend) {
    let mut log = open_small(&backend);
    let empty = log.reader();
    put(&mut log, &event("order:1", PLACED, "first"));
    let mut reader = log.reader();
    let before = all(&reader);
    let mut half_read = reader.query(&Region::all());
    let late = put(&mut log, &event("order:1", PAID, "late"));
    let check = |reader: &annals_core::Reader<_>| {
        assert_eq!(all(reader), before);
        assert_eq!(reader.end(), Sequence::new(1));
        assert!(matches!(reader.get(late.id), Err(StoreError::NotFound(_))));
        assert!(reader.get_at(late.sequence).is_err());
        assert_eq!(reader.head("order:1").expect("an index").expect("there").sequence.get(), 0);
        assert_eq!(reader.stream("order:1").count(), 1);
        assert_eq!(reader.stream("order:1").backward().count(), 1);
        assert_eq!(reader.stats().expect("numbers").end, Sequence::new(1));
    };
    check(&reader);
    fill(&mut log, 3);
    check(&reader);
    check(&reader.clone());
    assert_eq!(empty.query(&Region::all()).count(), 0);
    assert_eq!(half_read.next().expect("one").expect("readable").sequence(), Sequence::ZERO);
    assert!(half_read.next().is_none());
    log.close().expect("the store closes");
    check(&reader);
    reader.refresh();
    assert!(reader.get(late.id).is_ok());
    assert!(reader.end() > late.sequence);
}

/// Newest first along the chain, over segments, up to a limit.
pub fn b21_ancestors_are_walked_newest_first(backend: impl Backend) {
    let mut log = open_small(&backend);
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(put(&mut log, &event("order:1", PLACED, &number.to_string())).id);
        fill(&mut log, 1);
    }
    put(&mut log, &event("order:10", PLACED, "a stranger"));
    drop(log);
    let reader = open_small(&backend).reader();
    for (from, id) in ids.iter().enumerate() {
        for limit in 0..8 {
            let walk = reader.walk_ancestors(*id, limit).expect("the chain is whole");
            let found: Vec<_> = walk.events.iter().map(annals_core::Event::id).collect();
            let expected: Vec<_> = ids[..=from].iter().rev().take(limit).copied().collect();
            assert_eq!(found, expected, "from {from}, limit {limit}");
            let end = if limit > from { AncestorsEnd::Genesis } else { AncestorsEnd::Limit };
            assert_eq!(walk.end, end, "from {from}, limit {limit}");
        }
    }
    let unknown = reader.walk_ancestors(EventId::from_key("nobody"), 3);
    assert!(matches!(unknown, Err(StoreError::NotFound(_))));
}

/// Zero at genesis, else the previous event's hash, which anyone can compute again.
pub fn b22_every_event_names_the_hash_of_the_one_before(backend: impl Backend) {
    let mut log = open_small(&backend);
    let mut hashes = std::collections::BTreeMap::new();
    for number in 0..40_u32 {
        let entity = format!("order:{}", number % 3);
        let receipt = put(&mut log, &event(&entity, PLACED, &"x".repeat(300)));
        let read = log.reader().get(receipt.id).expect("there");
        let prev: Option<Hash> = hashes.insert(entity, receipt.event_hash);
        assert_eq!(read.header.prev_hash, prev.unwrap_or(Hash::ZERO));
        assert_eq!(read.event_hash(), receipt.event_hash);
        assert!(!receipt.event_hash.is_zero());
        if number % 13 == 12 {
            drop(log);
            log = open_small(&backend);
        }
    }
    let hashes = all(&log.reader()).into_iter().map(|event| event.event_hash());
    let distinct: std::collections::BTreeSet<_> = hashes.map(|hash| *hash.as_bytes()).collect();
    assert_eq!(distinct.len(), 40, "equal payloads are different events");
}
