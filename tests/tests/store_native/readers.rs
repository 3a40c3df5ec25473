//! Readers beside writers: other threads, other openings, other processes come in `processes`.

use crate::{PLACED, all, assert_holds, at, batch, event};
use annals::{
    FsOptions, FsStorage, LogConfig, MemoryStorage, Payload, ReadOnlyLog, Region, Store,
    StoreConfig, StoreError,
};
use annals_tests::linear::check_log;
use annals_tests::process::without_hanging;
use annals_tests::sim_disk::Random;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// So small that a segment holds a few dozen events.
fn rotating() -> StoreConfig {
    StoreConfig::new("").with_segment_max_bytes(4 * 1024)
}

#[test]
fn b20_a_snapshot_stays_the_same_through_appends_and_rotation() {
    without_hanging(|| {
        let store = Store::open_in(MemoryStorage::new(), rotating()).unwrap();
        let done = AtomicBool::new(false);
        let looks = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        let reader = store.reader();
                        let look = || -> Vec<_> {
                            reader.query(&Region::all()).collect::<Result<_, _>>().unwrap()
                        };
                        let first = look();
                        assert_eq!(first.len() as u64, reader.end().get());
                        assert_eq!(reader.stats().unwrap().events, reader.end().get());
                        std::thread::yield_now();
                        assert_eq!(look(), first, "the same content");
                        let backward = reader.query(&Region::all()).backward();
                        assert_eq!(backward.count(), first.len());
                        if let Some(last) = first.last() {
                            let entity = last.coordinate.entity();
                            let head = reader.head(entity).unwrap().unwrap();
                            assert_eq!(head.sequence, last.sequence());
                            assert_eq!(&reader.get(last.id()).unwrap(), last);
                        }
                        assert!(reader.get_at(reader.end()).is_err(), "nothing newer");
                        looks.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let mut random = Random::new(1);
            let mut appended = 0;
            // Until the log has turned over a few times, and the readers had their look.
            while appended < 600 || looks.load(Ordering::SeqCst) < 20 {
                let entity = format!("order:{}", random.below(7));
                store.append(&at(&entity), PLACED, &appended).unwrap();
                appended += 1;
                if appended >= 600 {
                    std::thread::yield_now();
                    if appended > 1_200 {
                        break;
                    }
                }
            }
            done.store(true, Ordering::SeqCst);
        });
        assert!(store.stats().unwrap().segments.len() > 10);
        check_log(&all(&store));
    });
}

#[test]
fn b07_a_query_never_sees_half_a_batch() {
    without_hanging(|| {
        let store = Store::open_in(MemoryStorage::new(), rotating()).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::SeqCst) {
                        assert_eq!(store.query(&Region::all()).count() % 7, 0);
                        let reader = store.reader();
                        let left = reader.stream("left").count();
                        let right = reader.stream("right").count();
                        assert_eq!(left * 4, right * 3, "three to the left, four to the right");
                    }
                });
            }
            std::thread::scope(|writers| {
                for _ in 0..2 {
                    writers.spawn(|| {
                        for _ in 0..150 {
                            let left = (0..3).map(|_| event("left", "x"));
                            let right = (0..4).map(|_| event("right", "y"));
                            store.append_batch(batch(left.chain(right))).unwrap();
                        }
                    });
                }
            });
            done.store(true, Ordering::SeqCst);
        });
        assert_eq!(store.query(&Region::all()).count(), 2 * 150 * 7);
    });
}

#[test]
fn b35_a_read_only_log_beside_a_writer_sees_what_is_new_when_refreshed() {
    without_hanging(|| {
        let dir = tempfile::tempdir().unwrap();
        let config = rotating().with_data_dir(dir.path().to_path_buf());
        let store = Store::open(config).unwrap();
        let storage = FsStorage::open_read_only(dir.path(), FsOptions::default()).unwrap();
        let mut log = ReadOnlyLog::open(storage, LogConfig::default()).unwrap();
        assert_eq!(log.reader().end().get(), 0);
        let acknowledged = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                for number in 0..400_u64 {
                    let text = Payload::raw("x".repeat(60));
                    let receipt = store.append(&at("order:1"), PLACED, text).unwrap();
                    assert_eq!(receipt.sequence.get(), number);
                    acknowledged.store(number + 1, Ordering::SeqCst);
                }
            });
            let mut finished = false;
            while !finished {
                finished = writing.is_finished();
                let known = acknowledged.load(Ordering::SeqCst);
                log.refresh().unwrap();
                let reader = log.reader();
                assert!(reader.end().get() >= known, "{} of {known}", reader.end());
                let events: Vec<_> =
                    reader.query(&Region::all()).collect::<Result<_, _>>().unwrap();
                assert_eq!(events.len() as u64, reader.end().get());
                check_log(&events);
            }
        });
        assert_eq!(log.reader().end().get(), 400);
        store.close().unwrap();
        log.refresh().unwrap();
        assert_eq!(log.reader().end().get(), 400);
    });
}

#[test]
fn b35_a_second_writer_is_locked_out_until_the_first_is_closed() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::new(dir.path());
    let store = Store::open(config.clone()).unwrap();
    let receipt = store.append(&at("order:1"), PLACED, &1).unwrap();
    let error = Store::open(config.clone()).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    // A reader that is still held keeps nobody out.
    let reader = store.reader();
    store.close().unwrap();
    let store = Store::open(config).unwrap();
    assert_holds(&all(&store), std::slice::from_ref(&receipt));
    store.append(&at("order:1"), PLACED, &2).unwrap();
    assert_eq!(reader.get(receipt.id).unwrap().sequence(), receipt.sequence);
    assert_eq!(reader.query(&Region::all()).count(), 1);
}
