//! Cursors: every match once, in order, at the cost of a seek.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_core::{
    Append, CompactionStrategy, Coordinate, Cursor, Event, EventKind, MemoryStorage, Payload,
    Reader, Region, Sequence, Storage, StorageFile, StoreError,
};
use annals_tests::fixture::{MemoryLog, append, compact, open_small};
use proptest::prelude::*;
use std::sync::Arc;

const PLACED: EventKind = EventKind::new(1, 1);
const PAID: EventKind = EventKind::new(1, 2);
const SENT: EventKind = EventKind::new(2, 1);

fn sequences(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.sequence().get()).collect()
}

/// Orders in two shops, over many segments.
fn orders(log: &mut MemoryLog, events: u64) {
    for at in 0..events {
        let (entity, scope) = (format!("order:{}", at % 7), format!("shop{}", at % 2));
        append(log, &entity, &scope, [PLACED, PAID, SENT][usize::try_from(at % 3).unwrap()]);
    }
}

#[test]
fn b28_a_cursor_delivers_every_match_once_in_order() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    orders(&mut log, 300);
    let region = Region::entity_prefix("order:").scope("shop1").kind(PAID);
    let expected: Vec<u64> = (0..300).filter(|at| at % 2 == 1 && at % 3 == 1).collect();
    for max in [1, 2, 7, 300] {
        let mut cursor = Cursor::new(region.clone());
        let mut delivered = Vec::new();
        loop {
            let polled = cursor.poll(&log.reader(), max).unwrap();
            assert!(polled.len() <= max);
            if polled.is_empty() {
                break;
            }
            delivered.extend(sequences(&polled));
        }
        assert_eq!(delivered, expected, "{max} a poll");
    }
}

#[test]
fn b28_a_cursor_sees_later_appends_and_reopened_stores() {
    let storage = MemoryStorage::new();
    let mut cursor = Cursor::new(Region::all().kind(SENT));
    let mut delivered = Vec::new();
    for round in 0..6 {
        let mut log = open_small(&storage, round);
        orders(&mut log, 50);
        while let Some(event) = cursor.next(&log.reader()).unwrap() {
            delivered.push(event.sequence().get());
        }
        if round % 2 == 0 {
            log.close().unwrap();
        }
        cursor = Cursor::at(cursor.region().clone(), cursor.position());
    }
    let expected: Vec<u64> = (0..300).filter(|at| at % 50 % 3 == 2).collect();
    assert_eq!(delivered, expected);
}

#[test]
fn b28_a_cursor_survives_compaction() {
    let keep = |event: &annals_core::EventRef<'_>| event.header().kind() != PAID;
    for strategy in [CompactionStrategy::Merge, CompactionStrategy::Retention(Arc::new(keep))] {
        for first in [0, 1, 50, 299, 300] {
            let mut log = open_small(&MemoryStorage::new(), 1);
            orders(&mut log, 300);
            let mut cursor = Cursor::new(Region::all().scope("shop1"));
            let mut delivered = sequences(&cursor.poll(&log.reader(), first).unwrap());
            let before = cursor.position();
            compact(&mut log, strategy.clone());
            orders(&mut log, 10);
            cursor = Cursor::at(cursor.region().clone(), cursor.position());
            delivered.extend(sequences(&cursor.poll(&log.reader(), 1_000).unwrap()));
            let dropped = matches!(strategy, CompactionStrategy::Retention(_));
            let is_left = |at: &u64| {
                let done = before.is_some_and(|before| *at <= before.get());
                *at >= 300 || done || !dropped || at % 3 != 1
            };
            let all = (0..310).filter(|at| at % 2 == 1);
            assert_eq!(delivered, all.filter(is_left).collect::<Vec<u64>>());
        }
    }
}

#[test]
fn b28_polling_where_nothing_matches_moves_to_the_end_and_reads_nothing_twice() {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    orders(&mut log, 2_000);
    log.seal().unwrap();
    let reader = log.reader();
    let mut cursor = Cursor::new(Region::all().kind(EventKind::new(9, 9)));
    assert_eq!(cursor.lag(&reader), 2_000);
    assert_eq!(cursor.poll(&reader, 10).unwrap(), []);
    assert_eq!(cursor.position(), Some(Sequence::new(1_999)));
    assert_eq!(cursor.lag(&reader), 0);
    // Without a file left to read, a second poll still answers.
    for id in storage.list().unwrap() {
        storage.open(id).unwrap().set_len(0).unwrap();
    }
    assert_eq!(cursor.poll(&reader, 10).unwrap(), []);
}

#[test]
fn b28_a_poll_near_the_end_of_a_long_log_touches_few_pages() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    orders(&mut log, 5_000);
    log.seal().unwrap();
    let reader = log.reader();
    let mut cursor = Cursor::at(Region::all().scope("shop1"), Some(Sequence::new(4_996)));
    let looked_up = |reader: &Reader<MemoryStorage>| {
        let diagnostics = reader.diagnostics();
        diagnostics.index_cache_hits + diagnostics.index_cache_misses
    };
    let before = looked_up(&reader);
    assert_eq!(sequences(&cursor.poll(&reader, 10).unwrap()), [4_997, 4_999]);
    let pages = looked_up(&reader) - before;
    assert!(pages <= 20, "{pages} pages were looked up");
    assert!(reader.stats().unwrap().segments.len() > 100);
}

#[test]
fn b18_the_filters_of_a_region_and_together_in_a_cursor() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    orders(&mut log, 200);
    let region = Region::stream("order:3")
        .category(1)
        .sequences(Sequence::new(20)..=Sequence::new(150))
        .scope("shop0");
    let wanted =
        |at: &u64| at % 7 == 3 && at % 3 != 2 && at.is_multiple_of(2) && (20..=150).contains(at);
    let expected: Vec<u64> = (0..200).filter(wanted).collect();
    let mut cursor = Cursor::new(region);
    assert_eq!(sequences(&cursor.poll(&log.reader(), 1_000).unwrap()), expected);
}

#[test]
fn b28_an_older_reader_moves_a_cursor_neither_back_nor_on() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    orders(&mut log, 10);
    let old = log.reader();
    orders(&mut log, 10);
    let mut cursor = Cursor::new(Region::all());
    assert_eq!(cursor.poll(&log.reader(), 15).unwrap().len(), 15);
    assert_eq!(cursor.poll(&old, 15).unwrap(), []);
    assert_eq!(cursor.position(), Some(Sequence::new(14)));
    assert_eq!(cursor.poll(&log.reader(), 0).unwrap(), []);
    assert_eq!(sequences(&cursor.poll(&log.reader(), 15).unwrap()), [15, 16, 17, 18, 19]);
}

#[test]
fn an_event_that_is_refused_is_the_first_of_the_next_poll() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    orders(&mut log, 10);
    let mut cursor = Cursor::new(Region::all());
    let refused = cursor.poll_with(&log.reader(), 100, |event| match event.sequence().get() {
        4 => Err(StoreError::InvalidInput("not today".into())),
        _ => Ok(()),
    });
    assert!(matches!(refused, Err(StoreError::InvalidInput(_))));
    assert_eq!(cursor.position(), Some(Sequence::new(3)));
    assert_eq!(cursor.next(&log.reader()).unwrap().unwrap().sequence().get(), 4);
}

#[test]
fn what_stands_before_damage_is_delivered_before_the_damage_is_told() {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    orders(&mut log, 10);
    let marked = Append::new(
        Coordinate::new("order:1", "shop1").unwrap(),
        PAID,
        Payload::raw("the-damaged-one"),
    );
    log.append(&marked).unwrap();
    let file = storage.open(storage.list().unwrap()[0]).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    let at = bytes.windows(15).position(|window| window == b"the-damaged-one").unwrap();
    file.write_all_at(b"X", at as u64).unwrap();

    let mut cursor = Cursor::new(Region::all());
    assert_eq!(cursor.poll(&log.reader(), 100).unwrap().len(), 10);
    let error = cursor.poll(&log.reader(), 100).unwrap_err();
    assert!(matches!(error, StoreError::Corruption(_)), "{error}");
    assert_eq!(cursor.position(), Some(Sequence::new(9)));
}

#[test]
fn the_last_sequence_of_all_is_a_position_like_any_other() {
    let log = open_small(&MemoryStorage::new(), 1);
    let mut cursor = Cursor::at(Region::all(), Some(Sequence::MAX));
    assert_eq!(cursor.poll(&log.reader(), 10).unwrap(), []);
    assert_eq!(Cursor::new(Region::all()).position(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Appends, polls of any size, seals and reopenings in any order.
    #[test]
    fn b28_whatever_happens_between_polls_nothing_is_missed_or_doubled(
        steps in prop::collection::vec((0..5_u8, 1..30_usize), 1..25),
    ) {
        let storage = MemoryStorage::new();
        let mut log = open_small(&storage, 0);
        let mut cursor = Cursor::new(Region::all().scope("shop1"));
        let mut delivered = Vec::new();
        for (seed, (step, size)) in steps.into_iter().enumerate() {
            match step {
                0 | 1 => orders(&mut log, size as u64),
                2 => delivered.extend(sequences(&cursor.poll(&log.reader(), size).unwrap())),
                3 => log.seal().unwrap(),
                _ => {
                    drop(log);
                    log = open_small(&storage, seed as u64 + 1);
                    cursor = Cursor::at(cursor.region().clone(), cursor.position());
                }
            }
        }
        delivered.extend(sequences(&cursor.poll(&log.reader(), usize::MAX).unwrap()));
        let expected: Vec<_> = log.reader().query(cursor.region()).map(Result::unwrap).collect();
        prop_assert_eq!(delivered, sequences(&expected));
    }
    /// What a query passes over is what it would have given, in both directions.
    #[test]
    fn b18_matches_are_counted_and_passed_over_as_they_would_be_read(
        events in 0..200_u64,
        reopened in any::<bool>(),
        region in region(),
        first in 0..150_u64,
        skip in 0..60_u64,
        backward in any::<bool>(),
    ) {
        let storage = MemoryStorage::new();
        let mut log = open_small(&storage, 0);
        orders(&mut log, events);
        if reopened {
            log.close().unwrap();
            log = open_small(&storage, 1);
        }
        let reader = log.reader();
        let query = || {
            let query = reader.query(&region).starting_at(Sequence::new(first));
            if backward { query.backward() } else { query }
        };
        let expected: Vec<Event> = query().collect::<Result<_, _>>().unwrap();
        let all = query().skip_matches(u64::MAX).unwrap();
        let last = expected.last().map(Event::sequence);
        prop_assert_eq!((all.events, all.last), (expected.len() as u64, last));

        let mut rest = query();
        let skipped = rest.skip_matches(skip).unwrap().events;
        prop_assert_eq!(skipped, skip.min(expected.len() as u64));
        let rest: Vec<Event> = rest.collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(sequences(&rest), sequences(&expected[usize::try_from(skipped).unwrap()..]));
    }
}

fn region() -> impl Strategy<Value = Region> {
    let entity = prop_oneof![
        Just(Region::all()),
        Just(Region::entity("order")),
        Just(Region::entity("order:3")),
        Just(Region::entity_exact("order:4")),
        Just(Region::entity_prefix("or")),
        Just(Region::entity("nobody")),
    ];
    let kinds = prop::collection::vec(prop::sample::select(vec![PLACED, PAID, SENT]), 0..3);
    (entity, prop::option::of(0..2_u8), prop::option::of(kinds), prop::option::of(0..200_u64))
        .prop_map(|(mut region, scope, kinds, last)| {
            if let Some(scope) = scope {
                region = region.scope(format!("shop{scope}"));
            }
            if let Some(kinds) = kinds {
                region = region.kinds(kinds);
            }
            if let Some(last) = last {
                region = region.sequences(..=Sequence::new(last));
            }
            region
        })
}
