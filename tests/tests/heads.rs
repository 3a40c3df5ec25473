//! Heads of streams: found newest segment first, then kept, and never older than what a reader
//! sees.

use annals_core::{
    CompactionStrategy, EventKind, EventRef, LogConfig, MemoryStorage, Reader, Sequence,
    VerifyOptions, Version, verify,
};
use annals_tests::fixture::{MemoryLog, append, compact, open_small, open_with};
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::sync::Arc;

const NOTED: EventKind = EventKind::new(1, 1);

fn note(log: &mut MemoryLog, entity: &str) {
    append(log, entity, "diary", NOTED);
}

/// Appends to other streams until the active segment has none of `entity`.
fn roll_on(log: &mut MemoryLog, events: u64) {
    for at in 0..events {
        note(log, &format!("other:{}", at % 5));
    }
}

fn page_look_ups(reader: &Reader<MemoryStorage>) -> u64 {
    let diagnostics = reader.diagnostics();
    diagnostics.index_cache_hits + diagnostics.index_cache_misses
}

#[test]
fn a_head_that_was_found_is_not_searched_again() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    note(&mut log, "seldom");
    roll_on(&mut log, 200);
    let reader = log.reader();
    assert!(reader.stats().unwrap().segments.len() > 3);
    let head = reader.head("seldom").unwrap().unwrap();
    assert_eq!((head.version, head.sequence), (Version::ZERO, Sequence::ZERO));

    let before = page_look_ups(&reader);
    assert_eq!(reader.head("seldom").unwrap(), Some(head));
    assert_eq!(page_look_ups(&reader), before);
    assert!(reader.diagnostics().cached_heads >= 1);
}

#[test]
fn the_heads_of_a_segment_that_was_sealed_are_known_without_a_search() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    for entity in ["one", "two", "one"] {
        note(&mut log, entity);
    }
    log.seal().unwrap();
    let reader = log.reader();
    let before = page_look_ups(&reader);
    assert_eq!(reader.diagnostics().cached_heads, 2);
    for (entity, version, sequence) in [("one", 1, 2), ("two", 0, 1)] {
        let head = reader.head(entity).unwrap().unwrap();
        assert_eq!((head.version.get(), head.sequence.get()), (version, sequence));
    }
    note(&mut log, "one");
    note(&mut log, "two");
    assert_eq!(page_look_ups(&log.reader()), before);
    let report = verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()));
    assert!(report.is_whole(), "{:?}", report.faults);
}

#[test]
fn b05_a_stream_that_slept_for_many_segments_goes_on_at_its_version() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    for version in 0..6 {
        note(&mut log, "seldom");
        let mut log_events = 0;
        while log_events < 120 {
            roll_on(&mut log, 40);
            // Asked in between, so that what is kept is from before the stream's next event.
            assert_eq!(log.reader().head("seldom").unwrap().unwrap().version.get(), version);
            log_events += 40;
        }
    }
    let versions: Vec<u64> =
        log.reader().stream("seldom").map(|event| event.unwrap().version().get()).collect();
    assert_eq!(versions, [0, 1, 2, 3, 4, 5]);
}

#[test]
fn b20_a_reader_of_an_older_view_is_not_told_of_a_newer_head() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    note(&mut log, "seldom");
    roll_on(&mut log, 100);
    let old = log.reader();
    note(&mut log, "seldom");
    roll_on(&mut log, 100);
    assert_eq!(log.reader().head("seldom").unwrap().unwrap().version, Version::new(1));
    assert_eq!(old.head("seldom").unwrap().unwrap().version, Version::ZERO);
}

#[test]
fn b37_a_stream_whose_head_retention_dropped_goes_on_behind_it() {
    for asked_before in [false, true] {
        let mut log = open_small(&MemoryStorage::new(), 1);
        note(&mut log, "seldom");
        note(&mut log, "seldom");
        roll_on(&mut log, 100);
        if asked_before {
            assert_eq!(log.reader().head("seldom").unwrap().unwrap().version, Version::new(1));
        }
        let others = Arc::new(|event: &EventRef<'_>| event.header().entity() != "seldom");
        compact(&mut log, CompactionStrategy::Retention(others));
        assert_eq!(log.reader().head("seldom").unwrap().unwrap().version, Version::new(1));
        note(&mut log, "seldom");
        let last = log.reader().stream("seldom").last().unwrap().unwrap();
        assert_eq!(last.version(), Version::new(2));
        let report =
            verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()));
        assert!(report.is_whole(), "{:?}", report.faults);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However small the memory, every reader's heads are those of the events that it sees.
    #[test]
    fn heads_are_those_of_a_naive_model(
        entities in prop::collection::vec(0_u8..12, 1..300),
        asked in prop::collection::vec((0_usize..300, 0_u8..12), 0..60),
        budget in prop::sample::select(vec![0_usize, 104 * 8 * 2, 1 << 20]),
    ) {
        let config = LogConfig::default().with_segment_max_bytes(4096).with_index_cache_bytes(budget);
        let mut log = open_with(&MemoryStorage::new(), 1, config);
        let mut held: Vec<(usize, Reader<MemoryStorage>)> = Vec::new();
        for (at, entity) in entities.iter().enumerate() {
            note(&mut log, &format!("entity:{entity}"));
            for (_, asked) in asked.iter().filter(|(when, _)| *when == at) {
                held.push((at + 1, log.reader()));
                for (end, reader) in &held {
                    let name = format!("entity:{asked}");
                    let seen = &entities[..*end];
                    let last = seen.iter().rposition(|entity| entity == asked);
                    let count = seen.iter().filter(|entity| *entity == asked).count();
                    let expected = last.map(|last| (last as u64, count as u64 - 1));
                    let head = reader.head(&name).unwrap();
                    prop_assert_eq!(
                        head.map(|head| (head.sequence.get(), head.version.get())), expected
                    );
                }
            }
        }
    }
}
