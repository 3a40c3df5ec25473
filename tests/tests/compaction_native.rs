//! Compaction of a running store: beside appends and readers, in the background, slowly, called off.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals::{
    Cancel, CompactionConfig, CompactionStrategy, Coordinate, Event, EventKind, FileKind,
    MemoryStorage, Payload, Region, Storage, Store, StoreConfig, StoreError, VerifyOptions,
};
use annals_tests::process::without_hanging;
use std::collections::HashMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

const NOTED: EventKind = EventKind::new(1, 1);
const WRITERS: u64 = 4;

fn at(entity: &str) -> Coordinate {
    Coordinate::new(entity, "shop").unwrap()
}

fn config() -> StoreConfig {
    StoreConfig::new("").with_segment_max_bytes(8 * 1024)
}

fn merge() -> CompactionConfig {
    CompactionConfig::new(CompactionStrategy::Merge)
}

fn filled(storage: &MemoryStorage, events: u64) -> Store<MemoryStorage> {
    let store = Store::open_in(storage.clone(), config()).unwrap();
    for number in 0..events {
        store.append(&at("order:1"), NOTED, Payload::raw(number.to_le_bytes())).unwrap();
    }
    store
}

fn segments(storage: &MemoryStorage) -> usize {
    storage.list().unwrap().iter().filter(|id| id.kind == FileKind::Segment).count()
}

#[test]
fn b37_what_was_there_when_the_store_opened_is_freed_once_it_is_replaced() {
    let storage = MemoryStorage::new();
    filled(&storage, 600).close().unwrap();
    assert!(segments(&storage) > 5);
    let store = Store::open_in(storage.clone(), config()).unwrap();
    store.compact(&merge().with_seal_active(true), |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(segments(&storage), 1);
    assert_eq!(store.stream("order:1").count(), 600);
}

#[test]
fn b37_a_compaction_in_the_background_ends_by_itself() {
    without_hanging(|| {
        let storage = MemoryStorage::new();
        let store = filled(&storage, 600);
        let compaction = store.compact_in_background(merge()).unwrap();
        let done = compaction.clone().join().unwrap();
        assert!(compaction.is_finished() && done.kept_events > 500);
        assert_eq!(compaction.progress().read_bytes, done.read_bytes);
        assert_eq!(segments(&storage), 2, "the output and the active one");
    });
}

/// Each step of the compaction seals two segments more, so there is always something to merge.
#[test]
fn b37_a_compaction_ends_though_appends_go_on() {
    without_hanging(|| {
        let storage = MemoryStorage::new();
        let store = filled(&storage, 600);
        let end = store.reader().end();
        let done = store
            .compact(&merge(), |_| {
                for number in 0..300_u64 {
                    let payload = Payload::raw(number.to_le_bytes());
                    store.append(&at("order:2"), NOTED, payload).unwrap();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert!(done.kept_events >= 500, "{done:?}");
        assert!(store.reader().end() > end);
        assert_eq!(store.stream("order:1").count(), 600);
    });
}

/// A limit that no test lives to see the end of.
fn never() -> CompactionConfig {
    merge().with_bytes_per_second(NonZeroU64::MIN)
}

#[test]
fn b37_calling_a_slow_compaction_off_wakes_it() {
    without_hanging(|| {
        let storage = MemoryStorage::new();
        let store = filled(&storage, 600);
        let compaction = store.compact_in_background(never()).unwrap();
        compaction.cancel();
        compaction.join().unwrap();
        // Another store: in the first one the merge may have been done before it was called off.
        let store = filled(&MemoryStorage::new(), 600);
        let cancel = Cancel::new();
        let (tell, told) = mpsc::channel();
        std::thread::scope(|scope| {
            let (store, pulled) = (&store, cancel.clone());
            let slow = scope.spawn(move || {
                store.compact_until(&never(), &pulled, |_| {
                    tell.send(()).unwrap();
                    ControlFlow::Continue(())
                })
            });
            told.recv().unwrap();
            cancel.cancel();
            slow.join().unwrap().unwrap();
        });
        assert_eq!(store.stream("order:1").count(), 600);
    });
}

#[test]
fn b37_closing_the_store_stops_what_runs_in_the_background() {
    without_hanging(|| {
        let storage = MemoryStorage::new();
        let store = filled(&storage, 600);
        let compaction = store.compact_in_background(never()).unwrap();
        store.close().unwrap();
        assert!(compaction.is_finished());
        let store = Store::open_in(storage.clone(), config()).unwrap();
        let compaction = store.compact_in_background(never()).unwrap();
        drop(store);
        assert!(compaction.is_finished());
        assert_eq!(Store::open_in(storage, config()).unwrap().stream("order:1").count(), 600);
    });
}

#[test]
fn b37_a_predicate_that_panics_ends_its_compaction_and_nothing_else() {
    without_hanging(|| {
        let store = filled(&MemoryStorage::new(), 600);
        let keep = Arc::new(|_: &annals::EventRef<'_>| -> bool { panic!("no idea") });
        let config = CompactionConfig::new(CompactionStrategy::Retention(keep));
        let error = store.compact_in_background(config).unwrap().join().unwrap_err();
        assert!(matches!(&error, StoreError::Interrupted { message } if message == "no idea"));
        store.compact(&merge(), |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(store.stream("order:1").count(), 600);
    });
}

#[test]
fn b37_a_step_is_told_also_where_nothing_is_left_to_write() {
    let store = Store::open_in(MemoryStorage::new(), StoreConfig::new("")).unwrap();
    for _ in 0..1_000 {
        store.append(&at("order:1"), NOTED, Payload::raw(vec![7; 4_000])).unwrap();
    }
    let config = CompactionConfig::new(CompactionStrategy::Retention(Arc::new(|_| false)));
    let mut calls = 0;
    store
        .compact(&config.with_seal_active(true), |_| {
            calls += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(calls > 10, "{calls} calls for 4 MB");
}

/// What one writer appends: its own stream, and one that all share.
fn append(store: &Store<MemoryStorage>, writer: u64, number: u64) {
    let own = at(&format!("writer:{writer}"));
    let body = Payload::raw([writer.to_le_bytes(), number.to_le_bytes()].concat());
    store.append(&own, NOTED, body.clone()).unwrap();
    store.append(&at("all"), NOTED, body).unwrap();
}

/// Gapless sequences, gapless versions, and in each stream what each writer wrote, in its order.
fn check(events: impl Iterator<Item = Event>, end: u64) {
    let mut next_version: HashMap<String, u64> = HashMap::new();
    let mut next_number: HashMap<(String, u64), u64> = HashMap::new();
    let mut place = 0;
    for event in events {
        assert_eq!(event.sequence().get(), place);
        place += 1;
        let entity = event.coordinate.entity();
        let version = next_version.entry(entity.into()).or_default();
        assert_eq!(event.version().get(), *version, "{entity}");
        *version += 1;
        let (writer, number) = event.payload.bytes().unwrap().split_at(8);
        let writer = u64::from_le_bytes(writer.try_into().unwrap());
        let next = next_number.entry((entity.into(), writer)).or_default();
        assert_eq!(u64::from_le_bytes(number.try_into().unwrap()), *next, "{entity}");
        *next += 1;
    }
    assert_eq!(place, end, "none is missing, none is doubled");
}

/// Appends, readers and compactions beside each other, until `go_on` says no.
fn soak(rounds_of_each: impl Fn(u64) -> bool + Sync) -> (u64, u64, u64) {
    let storage = MemoryStorage::new();
    let store = Store::open_in(storage.clone(), config().with_segment_max_bytes(32 * 1024));
    let store = store.unwrap();
    let done = AtomicBool::new(false);
    let (looks, merges) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let (store, done) = (&store, &done);
        for reader in 0..4 {
            let looks = &looks;
            scope.spawn(move || {
                // Half of them follow with a cursor, half look at all of it.
                let mut cursor = store.cursor(&Region::all());
                let mut followed = 0;
                while !done.load(Ordering::SeqCst) {
                    let view = store.reader();
                    if reader % 2 == 0 {
                        for event in cursor.poll(&view, 10_000).unwrap() {
                            assert_eq!(event.sequence().get(), followed);
                            followed += 1;
                        }
                    } else {
                        let first = view.end().get().saturating_sub(4_000);
                        let region = Region::all().sequences(annals::Sequence::new(first)..);
                        let mut next = first;
                        for event in view.query(&region) {
                            assert_eq!(event.unwrap().sequence().get(), next);
                            next += 1;
                        }
                        assert_eq!(next, view.end().get());
                    }
                    looks.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let merging = &merges;
        scope.spawn(move || {
            while !done.load(Ordering::SeqCst) {
                let config = merge().with_output_max_bytes(256 * 1024);
                let made = store.compact(&config, |_| ControlFlow::Continue(())).unwrap();
                merging.fetch_add(u64::from(made.read_bytes > 0), Ordering::SeqCst);
                std::thread::yield_now();
            }
        });
        std::thread::scope(|writers| {
            for writer in 0..WRITERS {
                let go_on = &rounds_of_each;
                writers.spawn(move || {
                    let mut number = 0;
                    while go_on(number) {
                        append(store, writer, number);
                        number += 1;
                    }
                });
            }
        });
        done.store(true, Ordering::SeqCst);
    });
    let end = store.reader().end().get();
    let check_all = |store: &Store<MemoryStorage>| {
        check(store.query(&Region::all()).map(Result::unwrap), end);
    };
    check_all(&store);
    let report = store.verify(&VerifyOptions::default(), |_| ControlFlow::Continue(()));
    assert!(report.is_whole(), "{report:#?}");
    store.close().unwrap();
    check_all(&Store::open_in(storage, config()).unwrap());
    (end, merges.into_inner(), looks.into_inner())
}

#[test]
fn b37_beside_appends_and_readers_no_event_is_missing_doubled_or_reordered() {
    without_hanging(|| {
        let (end, merges, looks) = soak(|number| number < 1_000);
        assert_eq!(end, 2 * WRITERS * 1_000);
        assert!(merges > 0 && looks > 0, "{merges} merges, {looks} looks");
    });
}

/// As above, for as many seconds as `ANNALS_SOAK_SECONDS` says: a minute without it.
#[test]
#[ignore = "it takes a minute"]
fn b37_a_minute_beside_appends_and_readers_loses_nothing() {
    let seconds = std::env::var("ANNALS_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(60));
    let (events, merges, looks) = soak(|_| Instant::now() < end);
    println!("{events} events, {merges} rounds of merges, {looks} looks of readers");
    assert!(merges > 0);
}

#[test]
fn b39_threads_find_what_one_finds() {
    let storage = MemoryStorage::new();
    let store = filled(&storage, 2_000);
    let damaged = [(2, 500), (5, 900), (5, 1_700), (9, 300)];
    for (segment, place) in damaged {
        use annals::StorageFile;
        let file = storage.open(storage.list().unwrap()[segment]).unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, place).unwrap();
        file.write_all_at(&[byte[0] ^ 4], place).unwrap();
    }
    let (reader, options) = (store.reader(), VerifyOptions::default());
    let expected = annals::verify(&reader, &options, |_| ControlFlow::Continue(()));
    assert!(!expected.faults.is_empty());
    for jobs in [1, 2, 3, 16, 500] {
        let jobs = NonZeroUsize::new(jobs).unwrap();
        let mut seen = Vec::new();
        let report = annals::verify_parallel(&reader, &options, jobs, |progress| {
            seen.push((progress.segments_done, progress.bytes_done));
            ControlFlow::Continue(())
        });
        assert_eq!(report, expected, "{jobs} jobs");
        assert!(seen.is_sorted());
        assert_eq!(seen.last(), Some(&(report.segments, report.bytes)));
    }
}

#[test]
fn b39_threads_stop_when_they_are_told_to() {
    without_hanging(|| {
        let store = filled(&MemoryStorage::new(), 2_000);
        let jobs = NonZeroUsize::new(3).unwrap();
        let options = VerifyOptions::default();
        for stop_at in 1..6 {
            let mut calls = 0;
            let report = annals::verify_parallel(&store.reader(), &options, jobs, |_| {
                calls += 1;
                if calls == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert_eq!(calls, stop_at, "it is not asked again");
            assert!(!report.complete && !report.is_whole());
        }
    });
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    /// Whatever is wrong, and however many threads look: the report is the same.
    #[test]
    fn b39_reports_of_threads_equal_that_of_one(
        patches in proptest::collection::vec(
            (proptest::prelude::any::<proptest::sample::Index>(),
             proptest::prelude::any::<proptest::sample::Index>(),
             1_u8..),
            0..6,
        ),
        jobs in 2_usize..6,
    ) {
        use annals::StorageFile;
        let storage = MemoryStorage::new();
        let store = filled(&storage, 400);
        let ids = storage.list().unwrap();
        for (segment, place, mask) in patches {
            let file = storage.open(*segment.get(&ids)).unwrap();
            let place = place.index(usize::try_from(file.len().unwrap()).unwrap()) as u64;
            let mut byte = [0];
            file.read_exact_at(&mut byte, place).unwrap();
            file.write_all_at(&[byte[0] ^ mask], place).unwrap();
        }
        let (reader, options) = (store.reader(), VerifyOptions::default());
        let one = annals::verify(&reader, &options, |_| ControlFlow::Continue(()));
        let jobs = NonZeroUsize::new(jobs).unwrap();
        let many =
            annals::verify_parallel(&reader, &options, jobs, |_| ControlFlow::Continue(()));
        proptest::prop_assert_eq!(one, many);
    }
}
