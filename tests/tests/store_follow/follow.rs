//! Follows: past and present, no gap, nothing twice.

use crate::{MemoryStore, PAID, PLACED, SENT, at, event, numbers, put, small_segments};
use annals::{
    Batch, CompactionConfig, CompactionStrategy, Durability, Event, EventKind, Follow, FollowError,
    MemoryStorage, Payload, Region, Sequence, Store, StoreConfig,
};
use annals_tests::process::without_hanging;
use proptest::prelude::*;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

/// Everything up to the end of the store, which must be closed.
fn drain(follow: Follow<MemoryStorage>) -> Vec<Event> {
    follow.collect::<Result<_, _>>().unwrap()
}

fn merge(store: &MemoryStore) {
    let merge = CompactionConfig::new(CompactionStrategy::Merge).with_seal_active(true);
    store.compact(&merge, |_| ControlFlow::Continue(())).unwrap();
}

#[test]
fn b31_the_past_comes_first_and_then_what_is_appended() {
    let store = small_segments(|config| config);
    for _ in 0..100 {
        put(&store, "order:1", PLACED);
        put(&store, "order:1", PAID);
    }
    let mut follow = store.follow(&Region::all().kind(PAID), Some(Sequence::new(101)));
    for expected in (103..200).step_by(2) {
        assert_eq!(follow.recv().unwrap().sequence().get(), expected);
        let position = follow.position().unwrap().get();
        assert!((expected..expected + 2).contains(&position), "{position} behind {expected}");
    }
    assert!(follow.try_recv().unwrap().is_none());
    put(&store, "order:2", PLACED);
    assert!(follow.recv_timeout(Duration::ZERO).unwrap().is_none());
    let paid = put(&store, "order:2", PAID);
    assert_eq!(follow.try_recv().unwrap().unwrap().sequence(), paid);
    assert!(follow.try_recv().unwrap().is_none());
}

#[test]
fn b31_where_a_follow_was_is_all_that_another_needs_to_go_on() {
    let store = small_segments(|config| config);
    for _ in 0..1_000 {
        put(&store, "order:1", PLACED);
    }
    let mut seen = Vec::new();
    let mut position = None;
    for taken in [1, 255, 1, 300, 443] {
        let mut follow = store.follow(&Region::all(), position);
        for _ in 0..taken {
            seen.push(follow.recv().unwrap().sequence().get());
        }
        position = follow.position();
    }
    assert_eq!(seen, (0..1_000).collect::<Vec<_>>());
}

#[test]
fn b31_large_events_are_not_all_read_ahead_and_none_is_lost() {
    let store = Store::in_memory().unwrap();
    for _ in 0..20 {
        store.append(&at("order:1"), PLACED, Payload::raw(vec![7; 400_000])).unwrap();
    }
    let follow = store.follow(&Region::all(), None);
    store.close().unwrap();
    assert_eq!(numbers(&drain(follow)), (0..20).collect::<Vec<_>>());
}

#[test]
fn b31_compaction_moves_no_follow() {
    let store = small_segments(|config| config);
    let mut follow = store.follow(&Region::all().kind(PLACED), None);
    let mut seen = Vec::new();
    for round in 0..6 {
        for number in 0..100 {
            put(&store, "order:1", if number % 2 == 0 { PLACED } else { PAID });
        }
        if round % 2 == 0 {
            merge(&store);
        }
        for _ in 0..30 {
            seen.push(follow.recv().unwrap().sequence().get());
        }
    }
    store.close().unwrap();
    seen.extend(numbers(&drain(follow)));
    assert_eq!(seen, (0..600).step_by(2).collect::<Vec<_>>());
}

#[test]
fn b31_what_was_committed_before_the_close_is_still_given() {
    for by_drop in [true, false] {
        let store = small_segments(|config| config);
        let mut follow = store.follow(&Region::all(), None);
        for _ in 0..300 {
            put(&store, "order:1", PLACED);
        }
        assert!(follow.recv().is_ok());
        if by_drop {
            drop(store);
        } else {
            store.close().unwrap();
        }
        for expected in 1..300 {
            assert_eq!(follow.recv().unwrap().sequence().get(), expected);
        }
        assert!(matches!(follow.recv(), Err(FollowError::Closed)));
        assert!(matches!(follow.try_recv(), Err(FollowError::Closed)));
        assert!(matches!(follow.recv_timeout(Duration::MAX), Err(FollowError::Closed)));
        assert!(follow.next().is_none());
    }
}

#[test]
fn b31_closing_wakes_every_follow_that_waits() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        put(&store, "order:1", PLACED);
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let follow = store.follow(&Region::all(), None);
                std::thread::spawn(move || drain(follow).len())
            })
            .collect();
        put(&store, "order:1", PLACED);
        store.close().unwrap();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 2);
        }
    });
}

#[test]
fn b31_the_record_of_an_erasure_wakes_who_waits_for_it() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        put(&store, "order:1", PLACED);
        let mut follow = store.follow(&Region::all().kind(EventKind::ERASURE), None);
        let waiting = std::thread::spawn(move || follow.recv().unwrap().sequence());
        store.erase(Region::entity("order:1")).unwrap();
        assert_eq!(waiting.join().unwrap(), Sequence::new(1));
    });
}

#[test]
fn b31_a_follow_that_is_held_keeps_nobody_from_opening_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let config = || {
        StoreConfig::new(dir.path())
            .with_segment_max_bytes(4096)
            .with_durability(Durability::OnSync)
    };
    let store = Store::open(config()).unwrap();
    for _ in 0..100 {
        store.append(&at("order:1"), PLACED, Payload::raw("x".repeat(100))).unwrap();
    }
    let mut follow = store.follow(&Region::all(), None);
    let mut live = store.subscribe(&Region::all());
    assert!(follow.recv().is_ok());
    drop(store);
    let again = Store::open(config()).unwrap();
    again.append(&at("order:1"), PLACED, Payload::raw("x")).unwrap();
    assert_eq!(follow.by_ref().count(), 99);
    assert!(matches!(live.recv(), Err(FollowError::Closed)));
}

#[test]
fn b31_a_batch_is_followed_whole() {
    without_hanging(|| {
        let store = Arc::new(small_segments(|config| config));
        let mut follow = store.follow(&Region::all(), None);
        let writer = {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for len in (1..40).cycle().take(400) {
                    let batch: Batch = (0..len).map(|_| event("order:1", PLACED, "x")).collect();
                    store.append_batch(batch).unwrap();
                }
            })
        };
        for len in (1..40).cycle().take(400) {
            follow.recv().unwrap();
            for _ in 1..len {
                assert!(follow.try_recv().unwrap().is_some(), "the rest of the batch is there");
            }
        }
        writer.join().unwrap();
    });
}

/// What one writer appends: events a batch, and which kind.
type Plan = Vec<(usize, usize)>;

fn write(store: &MemoryStore, writer: usize, plan: &Plan) {
    for (len, kind) in plan {
        let kind = [PLACED, PAID, SENT][*kind];
        let entity = format!("order:{writer}");
        let batch: Batch = (0..*len).map(|_| event(&entity, kind, "some text")).collect();
        store.append_batch(batch).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn b31_follows_beside_writers_and_compaction_give_what_the_log_holds(
        before in proptest::collection::vec((1..6_usize, 0..3_usize), 0..30),
        plans in proptest::collection::vec(
            proptest::collection::vec((1..6_usize, 0..3_usize), 1..40), 1..4),
        after in proptest::option::of(0..60_u64),
        entity in proptest::option::of(0..3_usize),
        kind in proptest::option::of(0..3_usize),
    ) {
        let mut region = Region::all();
        if let Some(entity) = entity {
            region = region.with_entity_exact(format!("order:{entity}"));
        }
        if let Some(kind) = kind {
            region = region.kind([PLACED, PAID, SENT][kind]);
        }
        let after = after.map(Sequence::new);
        let (followed, held) = without_hanging(move || {
            let store = small_segments(|config| config);
            write(&store, 0, &before);
            let threads: Vec<_> = (0..2)
                .map(|_| {
                    let follow = store.follow(&region, after);
                    std::thread::spawn(move || numbers(&drain(follow)))
                })
                .collect();
            std::thread::scope(|scope| {
                for (writer, plan) in plans.iter().enumerate() {
                    let store = &store;
                    scope.spawn(move || write(store, writer, plan));
                }
                scope.spawn(|| merge(&store));
            });
            let first = after.map_or(Sequence::ZERO, |after| after.checked_next().unwrap());
            let held: Vec<Event> =
                store.query(&region).starting_at(first).collect::<Result<_, _>>().unwrap();
            store.close().unwrap();
            let followed: Vec<_> =
                threads.into_iter().map(|thread| thread.join().unwrap()).collect();
            (followed, numbers(&held))
        });
        for followed in followed {
            prop_assert_eq!(&followed, &held);
        }
    }
}
