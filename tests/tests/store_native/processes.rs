//! Real processes: killed at random, on a full disk, and two on one directory.

use crate::{PLACED, all, at, batch, event};
use annals::{
    BatchTicket, Durability, Event, FsOptions, FsStorage, LogConfig, Payload, ReadOnlyLog, Region,
    Sequence, Store, StoreConfig, StoreError,
};
use annals_tests::linear::check_log;
use annals_tests::process::{Role, hear, role, say};
use annals_tests::sim_disk::Random;
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

const DIR: &str = "ANNALS_TEST_DIR";
const ROUND: &str = "ANNALS_TEST_ROUND";
const MODES: [&str; 4] = ["durable", "every", "interval", "on-sync"];

fn config(dir: impl AsRef<Path>, mode: &str) -> StoreConfig {
    let durability = match mode {
        "every" => Durability::EveryN(NonZeroU32::new(5).unwrap()),
        "interval" => Durability::Interval(Duration::from_millis(2)),
        "on-sync" => Durability::OnSync,
        _ => Durability::Durable,
    };
    StoreConfig::new(dir).with_segment_max_bytes(8 * 1024).with_durability(durability)
}

fn dir_of_child() -> std::path::PathBuf {
    std::env::var_os(DIR).expect("a child is told its directory").into()
}

/// The child of the tests below; nothing in the tests themselves.
#[test]
fn child() {
    match role().as_deref() {
        None => {}
        Some("holds") => hold(),
        Some("fills") => fill(),
        Some("fills-disk") => fill_disk(),
        Some("knocks") => {
            let opened = Store::open(StoreConfig::new(dir_of_child()));
            let locked = matches!(opened, Err(StoreError::Locked { .. }));
            assert!(say(if locked { "locked" } else { "opened" }));
        }
        Some(mode) => append_until_killed(mode),
    }
}

/// Appends from three threads, one of them batches, one of them tickets, and says what was
/// acknowledged: `thread number first-sequence count`.
fn append_until_killed(mode: &str) {
    let round = std::env::var(ROUND).expect("a child is told its round");
    let store = Store::open(config(dir_of_child(), mode)).expect("it opens after every kill");
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let (store, round) = (&store, &round);
            scope.spawn(move || {
                for number in 0_u64.. {
                    let len = if thread == 1 { 1 + number % 5 } else { 1 };
                    let text =
                        |item| format!("{round} {thread} {number} {item} {len} {}", "x".repeat(90));
                    let items =
                        (0..len).map(|item| event(&format!("writer:{thread}"), &text(item)));
                    let receipts = match thread {
                        2 => store.submit_batch(batch(items)).and_then(BatchTicket::wait),
                        _ => store.append_batch(batch(items)),
                    };
                    let first = receipts.expect("nothing fails").first().map(|r| r.sequence);
                    if !say(&format!("{thread} {number} {} {len}", first.expect("one at least"))) {
                        return;
                    }
                    if mode == "on-sync" && number % 16 == 15 {
                        store.sync().expect("nothing fails");
                    }
                }
            });
        }
    });
}

/// Holds the store open and appends on demand.
fn hold() {
    let store = Store::open(config(dir_of_child(), "durable")).expect("nobody else has it");
    assert!(say("holds"));
    while let Some(text) = hear() {
        let receipt = store.append(&at("order:1"), PLACED, Payload::raw(text)).expect("it fits");
        assert!(say(&receipt.sequence.to_string()));
    }
}

/// Appends until the disk is full, and on.
fn fill() {
    let mut config = config(dir_of_child(), "durable");
    config.segment_max_bytes = 1024 * 1024;
    let store = Store::open(config).expect("an empty store fits");
    let mut random = Random::new(1);
    let mut refused = 0;
    let mut receipts = Vec::new();
    while refused < 50 {
        let before = store.reader().end();
        let text = || "x".repeat(700);
        let len = 1 + random.below(6);
        match store.append_batch(batch((0..len).map(|_| event("order:1", &text())))) {
            Ok(written) => receipts.extend(written),
            Err(StoreError::Storage(error)) => {
                assert_eq!(error.kind(), annals::StorageErrorKind::NoSpace, "{error}");
                assert_eq!(store.reader().end(), before);
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    // What is small still fits where the large one was cut off.
    let small = store.append(&at("order:2"), PLACED, Payload::raw("small"));
    receipts.extend(small.ok());
    crate::assert_holds(&all(&store), &receipts);
    check_log(&all(&store));
    let _ = store.close();
    assert!(say(&receipts.len().to_string()));
}

/// Fills a file system, opens what is there while it is full, and goes on once there is room.
fn fill_disk() {
    let dir = dir_of_child();
    let ballast = dir.join("ballast");
    std::fs::write(&ballast, [7; 128 * 1024]).expect("it fits");
    fill();
    let count = {
        let store = Store::open(StoreConfig::new(&dir)).expect("a full disk can be opened");
        let count = all(&store).len();
        let large = Payload::raw("x".repeat(100 * 1024));
        let refused = store.append(&at("order:1"), PLACED, large).expect_err("there is no room");
        let StoreError::Storage(error) = &refused else { panic!("{refused}") };
        assert_eq!(error.kind(), annals::StorageErrorKind::NoSpace);
        std::fs::remove_file(&ballast).expect("it can be removed");
        let large = Payload::raw("x".repeat(50 * 1024));
        store.append(&at("order:1"), PLACED, large).expect("the same store takes it now");
        count
    };
    let store = Store::open(StoreConfig::new(&dir)).expect("it opens");
    assert_eq!(all(&store).len(), count + 1);
    check_log(&all(&store));
    assert!(say(&count.to_string()));
}

fn start(dir: &Path, as_role: &str, round: usize) -> Role {
    Role::new("processes::child", as_role).with(DIR, dir).with(ROUND, round.to_string())
}

/// A batch, by round, thread and number.
type BatchKey = (usize, u64, u64);

/// An event's sequence, its place in its batch, and the batch's length.
type Place = (u64, u64, u64);

/// What a child had acknowledged: the first sequence and the length of each batch.
type Acknowledged = HashMap<BatchKey, (u64, u64)>;

fn note(acknowledged: &mut Acknowledged, round: usize, line: &str) {
    let numbers: Vec<u64> = line.split(' ').map(|word| word.parse().unwrap()).collect();
    let [thread, number, first, len] = numbers[..] else { panic!("{line}") };
    acknowledged.insert((round, thread, number), (first, len));
}

/// Everything acknowledged is there; every batch is whole; each thread's numbers have no gap.
fn check(events: &[Event], acknowledged: &Acknowledged) {
    check_log(events);
    let mut found: HashMap<BatchKey, Vec<Place>> = HashMap::new();
    for event in events {
        let text = std::str::from_utf8(event.payload.bytes().unwrap()).unwrap();
        let words: Vec<u64> = text.split(' ').take(5).map(|word| word.parse().unwrap()).collect();
        let [round, thread, number, item, len] = words[..] else { panic!("{text}") };
        let key = (usize::try_from(round).unwrap(), thread, number);
        found.entry(key).or_default().push((event.sequence().get(), item, len));
    }
    for (key, items) in &found {
        let (first, _, len) = items[0];
        let whole: Vec<_> = (0..len).map(|item| (first + item, item, len)).collect();
        assert_eq!(*items, whole, "the batch {key:?} is whole");
        let (round, thread, number) = *key;
        if let Some(before) = number.checked_sub(1) {
            assert!(found.contains_key(&(round, thread, before)), "no gap before {key:?}");
        }
    }
    for (key, (first, len)) in acknowledged {
        let items = found.get(key).unwrap_or_else(|| panic!("{key:?} is lost"));
        assert_eq!((items[0].0, items.len() as u64), (*first, *len), "{key:?}");
    }
}

fn read_only(dir: &Path) -> Vec<Event> {
    let storage = FsStorage::open_read_only(dir, FsOptions::default()).unwrap();
    let log = ReadOnlyLog::open(storage, LogConfig::default()).unwrap();
    log.reader().query(&Region::all()).collect::<Result<_, _>>().unwrap()
}

fn kill_rounds(mode: &str) {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(mode.len() as u64);
    let mut acknowledged = Acknowledged::new();
    for round in 0..25 {
        let mut child = start(dir.path(), mode, round).start();
        // The kill comes wherever the child is when it has said so much, at times nothing.
        for _ in 0..random.below(60) {
            let line = child.hear().expect("it goes on until it is killed");
            note(&mut acknowledged, round, &line);
        }
        for line in child.kill() {
            note(&mut acknowledged, round, &line);
        }
        check(&read_only(dir.path()), &acknowledged);
        if random.one_in(3) {
            let store = Store::open(config(dir.path(), mode)).unwrap();
            check(&all(&store), &acknowledged);
            if random.one_in(2) {
                store.close().unwrap();
            }
        }
    }
    assert!(acknowledged.len() > 100, "{} batches", acknowledged.len());
}

#[test]
fn b12_a_killed_process_loses_nothing_acknowledged_as_durable() {
    kill_rounds(MODES[0]);
}

#[test]
fn b12_a_killed_process_loses_nothing_acknowledged_under_every_n() {
    kill_rounds(MODES[1]);
}

#[test]
fn b12_a_killed_process_loses_nothing_acknowledged_under_an_interval() {
    kill_rounds(MODES[2]);
}

#[test]
fn b12_a_killed_process_loses_nothing_acknowledged_before_a_sync() {
    kill_rounds(MODES[3]);
}

#[test]
fn b35_two_processes_are_after_one_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut holder = start(dir.path(), "holds", 0).start();
    assert_eq!(holder.hear().as_deref(), Some("holds"));
    let error = Store::open(StoreConfig::new(dir.path())).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    let mut second = start(dir.path(), "knocks", 0).start();
    assert_eq!(second.hear().as_deref(), Some("locked"));
    second.finish();
    holder.kill();
    // The lock goes with its process.
    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    let mut third = start(dir.path(), "knocks", 0).start();
    assert_eq!(third.hear().as_deref(), Some("locked"));
    third.finish();
    store.close().unwrap();
    let mut fourth = start(dir.path(), "knocks", 0).start();
    assert_eq!(fourth.hear().as_deref(), Some("opened"));
    fourth.finish();
}

#[test]
fn b35_a_reader_beside_another_process_sees_each_event_once_refreshed() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = start(dir.path(), "holds", 0).start();
    assert_eq!(writer.hear().as_deref(), Some("holds"));
    let storage = FsStorage::open_read_only(dir.path(), FsOptions::default()).unwrap();
    let mut log = ReadOnlyLog::open(storage, LogConfig::default()).unwrap();
    for number in 0..150_u64 {
        writer.say(&format!("event {number} {}", "x".repeat(100)));
        assert_eq!(writer.hear(), Some(number.to_string()));
        assert_eq!(log.reader().end().get(), number, "a snapshot until it is refreshed");
        log.refresh().unwrap();
        let event = log.reader().get_at(Sequence::new(number)).unwrap();
        assert!(event.payload.bytes().unwrap().starts_with(format!("event {number} ").as_bytes()));
    }
    assert!(log.reader().stats().unwrap().segments.len() > 2);
    writer.finish();
    log.refresh().unwrap();
    assert_eq!(log.reader().query(&Region::all()).count(), 150);
}

#[cfg(unix)]
#[test]
fn b11_a_disk_that_is_really_full_loses_nothing_and_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    // Of 512 bytes: no file beyond 50 KiB.
    let child = Role::with_file_size_max("processes::child", "fills", 100);
    let mut child = child.with(DIR, dir.path()).start();
    let acknowledged: usize = child.hear().expect("it ends well").parse().unwrap();
    child.finish();
    assert!(acknowledged > 20);
    let store = Store::open(StoreConfig::new(dir.path())).unwrap();
    assert_eq!(all(&store).len(), acknowledged);
    store.append(&at("order:1"), PLACED, Payload::raw("x".repeat(100_000))).unwrap();
    check_log(&all(&store));
}

#[cfg(target_os = "linux")]
#[test]
fn b11_a_file_system_that_is_really_full_loses_nothing_and_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let child = Role::on_small_disk("processes::child", "fills-disk", dir.path(), "768k");
    let Some(child) = child else {
        println!("skipped: this machine lets nobody mount a file system");
        return;
    };
    let mut child = child.with(DIR, dir.path()).start();
    let mut numbers = || -> usize { child.hear().expect("it goes well").parse().unwrap() };
    let (acknowledged, found) = (numbers(), numbers());
    assert!(acknowledged > 20);
    assert_eq!(found, acknowledged);
    child.finish();
}
