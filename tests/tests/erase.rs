//! Behaviour 37: erasure. The bytes of every file are searched for what was erased, in memory, on a
//! simulated disk whose power is cut after each operation, and in a directory.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals::{
    Append, AppendOptions, CheckpointName, CompactionProgress, Coordinate, ErasureRecord,
    ErasureReport, ErasureTarget, Event, EventId, EventKind, FileId, Host, Log, LogConfig,
    MemoryStorage, MetaSync, Payload, ReadOnlyLog, Region, Storage, StorageFile, Store,
    StoreConfig, StoreError, VerifyOptions, verify,
};
use annals_tests::conformance::TestHost;
use annals_tests::fixture::{MemoryLog, open_small};
use annals_tests::sim_disk::SimDisk;
use std::ops::ControlFlow;

const NOTED: EventKind = EventKind::new(1, 1);
const SECRET: &[u8] = b"secret-of-ada";
const EVENTS: u64 = 240;

fn at(entity: &str) -> Coordinate {
    Coordinate::new(entity, "crm").unwrap()
}

/// Every third event is of Ada, with a secret in the payload, and one in the metadata.
fn append_to<S: Storage, H: Host>(log: &mut Log<S, H>, events: u64) {
    for number in 0..events {
        let secret = String::from_utf8_lossy(SECRET);
        let (entity, text) = match number % 3 {
            0 => ("person:ada", format!("{secret}-{number}")),
            _ => ("person:ben", format!("harmless-{number}")),
        };
        let mut options = AppendOptions::default()
            .with_idempotency_key(EventId::from_key(&format!("event {number}")));
        if number % 3 == 0 {
            options = options.with_metadata(SECRET);
        }
        log.append(&Append::new(at(entity), NOTED, Payload::raw(text)).with_options(options))
            .unwrap();
    }
}

fn ada() -> ErasureTarget {
    Region::entity("person:ada").into()
}

fn go_on(_: &CompactionProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The files that hold the secret.
fn leaks<S: Storage>(storage: &S) -> Vec<FileId> {
    let holds = |id: &FileId| {
        let file = storage.open(*id).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET)
    };
    storage.list().unwrap().into_iter().filter(holds).collect()
}

fn all<S: Storage, H: Host>(log: &Log<S, H>) -> Vec<Event> {
    log.reader().query(&Region::all()).collect::<Result<_, _>>().unwrap()
}

fn records(events: &[Event]) -> Vec<ErasureRecord> {
    let records = events.iter().filter(|event| event.kind() == EventKind::ERASURE);
    records.map(|event| event.decode().unwrap()).collect()
}

fn assert_whole<S: Storage, H: Host>(log: &Log<S, H>) {
    let report = verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()));
    assert!(report.is_whole(), "{report:#?}");
    assert_eq!(report.pruned_runs, 0);
}

fn filled() -> (MemoryStorage, MemoryLog) {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    append_to(&mut log, EVENTS);
    (storage, log)
}

#[test]
fn b37_no_byte_of_what_was_erased_is_left_in_any_file() {
    let (storage, mut log) = filled();
    let before = all(&log);
    assert!(leaks(&storage).len() > 3, "the active segment among them");
    let plan = log.reader().plan_erasure(&ada(), || ControlFlow::Continue(())).unwrap();
    let report = log.erase(&ada(), go_on).unwrap();
    assert_eq!((report.erased, report.erased_before, report.complete), (EVENTS / 3, 0, true));
    assert_eq!((plan.events, plan.segments), (report.erased, report.segments));
    assert_eq!(report.waiting_files, []);
    assert_eq!(leaks(&storage), []);
    assert_whole(&log);
    let after = all(&log);
    assert_eq!(after.len(), before.len() + 1);
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((&old.header, &old.coordinate), (&new.header, &new.coordinate));
        assert_eq!(old.event_hash(), new.event_hash());
        assert_eq!(new.payload.is_erased(), old.coordinate.entity() == "person:ada");
        assert_eq!(new.metadata.is_none(), old.metadata.is_none() || new.payload.is_erased());
    }
    drop(log);
    assert_eq!(all(&open_small(&storage, 2)), after);
}

#[test]
fn b37_a_record_says_when_and_how_many_and_not_what() {
    let (_, mut log) = filled();
    let report = log.erase(&ada(), go_on).unwrap();
    let receipt = report.record.unwrap();
    assert!(receipt.durable);
    let event = log.reader().get(receipt.id).unwrap();
    assert_eq!(event.coordinate, ErasureRecord::coordinate());
    assert_eq!(event.kind(), EventKind::ERASURE);
    let record: ErasureRecord = event.decode().unwrap();
    assert_eq!((record.erased, record.erased_before, record.interrupted), (80, 0, false));
    assert!(record.begun_us <= event.header.timestamp_us);
    assert!(!String::from_utf8_lossy(event.payload.bytes().unwrap()).contains("ada"));
    // Once more: there is nothing to do, and nothing to be said.
    let report = log.erase(&ada(), go_on).unwrap();
    assert_eq!((report.erased, report.erased_before, report.record), (0, 80, None));
    // Not even everything takes the record in.
    let report = log.erase(&Region::all().into(), go_on).unwrap();
    assert_eq!((report.erased, report.erased_before), (160, 80));
    let events = all(&log);
    let kept = events.iter().filter(|event| !event.payload.is_erased());
    assert_eq!(kept.count(), 2, "the two records");
    assert_eq!(records(&events).len(), 2);
}

#[test]
fn b37_one_event_is_erased_by_its_id() {
    let (_, mut log) = filled();
    let id = EventId::from_key("event 3");
    assert_eq!(log.erase(&id.into(), go_on).unwrap().erased, 1);
    let erased = all(&log).iter().filter(|event| event.payload.is_erased()).count();
    assert_eq!(erased, 1);
    assert!(log.reader().get(id).unwrap().payload.is_erased());
    let unknown = EventId::from_key("nobody");
    let error = log.erase(&unknown.into(), go_on).unwrap_err();
    assert!(matches!(error, StoreError::NotFound(id) if id == unknown));
}

#[test]
fn b37_an_idempotency_key_outlives_the_payload() {
    let (_, mut log) = filled();
    log.erase(&ada(), go_on).unwrap();
    let end = log.reader().end();
    let options = || {
        AppendOptions::default()
            .with_idempotency_key(EventId::from_key("event 3"))
            .with_metadata(SECRET)
    };
    let same = Append::new(at("person:ada"), NOTED, Payload::raw("secret-of-ada-3"));
    let receipt = log.append(&same.with_options(options())).unwrap();
    assert_eq!((receipt.sequence.get(), log.reader().end()), (3, end));
    let other = Append::new(at("person:ada"), NOTED, Payload::raw("another"));
    let error = log.append(&other.with_options(options())).unwrap_err();
    assert!(matches!(error, StoreError::IdempotencyConflict { .. }), "{error}");
}

#[test]
fn b37_what_projections_keep_in_the_store_goes_too_and_consumers_stay() {
    let (storage, mut log) = filled();
    let (balance, mailer) =
        (CheckpointName::projection(b"balance"), CheckpointName::consumer("mailer"));
    log.set_checkpoint(balance, SECRET, MetaSync::Now).unwrap();
    log.set_checkpoint(balance, b"newer", MetaSync::Now).unwrap();
    log.set_checkpoint(mailer, b"42", MetaSync::Now).unwrap();
    assert!(leaks(&storage).iter().any(|id| id.to_string().ends_with(".meta")));
    log.erase(&ada(), go_on).unwrap();
    assert_eq!(leaks(&storage), []);
    assert_eq!(log.checkpoint(balance), None);
    assert_eq!(log.checkpoint(mailer).as_deref(), Some(&b"42"[..]));
}

#[test]
fn b37_a_reader_keeps_the_files_that_it_sees_and_the_report_says_which() {
    let (storage, mut log) = filled();
    let reader = log.reader();
    let report = log.erase(&ada(), go_on).unwrap();
    assert_eq!(report.waiting_files.len() as u64, report.segments);
    assert_eq!(leaks(&storage), report.waiting_files);
    let seen = reader.stream("person:ada").next().unwrap().unwrap();
    assert!(!seen.payload.is_erased(), "it sees what it saw");
    drop(reader);
    assert_eq!(leaks(&storage), []);
}

#[test]
fn b37_an_erasure_that_is_stopped_goes_on_when_it_is_repeated() {
    let storage = MemoryStorage::new();
    let config = LogConfig::default().with_segment_max_bytes(1024 * 1024);
    let mut log = Log::open(storage.clone(), TestHost::new(1), config).unwrap();
    for _ in 0..3 {
        for _ in 0..400 {
            let text = [SECRET, &[7; 2_000]].concat();
            log.append(&Append::new(at("person:ada"), NOTED, Payload::raw(text))).unwrap();
        }
        log.seal().unwrap();
    }
    let mut calls = 0;
    let report = log
        .erase(&ada(), |_| {
            calls += 1;
            if calls < 6 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .unwrap();
    assert!(!report.complete && report.record.is_none());
    assert!(report.erased > 0 && report.erased < 1_200, "{report:?}");
    assert!(log.is_erasure_pending().unwrap());
    drop(log);
    let mut log = Log::open(storage.clone(), TestHost::new(2), LogConfig::default()).unwrap();
    assert!(log.is_erasure_pending().unwrap(), "also for those who come later");
    let rest = log.erase(&ada(), go_on).unwrap();
    assert_eq!((rest.erased_before, rest.erased), (report.erased, 1_200 - report.erased));
    let record = records(&all(&log))[0];
    assert_eq!((record.erased, record.interrupted), (rest.erased, true));
    assert!(!log.is_erasure_pending().unwrap());
    assert_eq!(leaks(&storage), []);
    assert_whole(&log);
}

fn open(disk: &SimDisk) -> Log<SimDisk, TestHost> {
    let config = LogConfig::default().with_segment_max_bytes(8 * 1024);
    Log::open(disk.clone(), TestHost::new(3), config).unwrap()
}

#[test]
fn b37_a_power_cut_at_any_point_of_an_erasure_leaves_it_to_be_repeated() {
    let disk = SimDisk::new(1);
    let mut log = open(&disk);
    append_to(&mut log, 120);
    let projection = CheckpointName::projection(b"balance");
    log.set_checkpoint(projection, SECRET, MetaSync::Now).unwrap();
    let headers: Vec<_> = all(&log).into_iter().map(|event| event.header).collect();
    disk.record_checkpoints();
    log.erase(&ada(), go_on).unwrap();
    drop(log);
    let checkpoints = disk.take_checkpoints();
    assert!(checkpoints.len() > 20, "{}", checkpoints.len());
    let (mut interrupted, mut finished) = (0, 0);
    for checkpoint in checkpoints {
        for seed in 0..12 {
            let cut = checkpoint.disk.fork();
            cut.power_cut(seed);
            let mut log = open(&cut);
            let place = format!("after {} with seed {seed}", checkpoint.operation);
            let events = all(&log);
            assert!(events[..120].iter().map(|event| &event.header).eq(&headers), "{place}");
            let gone = events.iter().filter(|event| event.payload.is_erased()).count();
            let known = records(&events);
            if known.is_empty() {
                interrupted += u32::from(gone > 0);
                assert!(gone == 0 || log.is_erasure_pending().unwrap(), "{place}");
            } else {
                finished += 1;
                assert_eq!((gone, known.len(), known[0].erased), (40, 1, 40), "{place}");
                assert_eq!(leaks(&cut), [], "a record never says what is not so, {place}");
            }
            let report = log.erase(&ada(), go_on).unwrap();
            assert_eq!(report.erased + report.erased_before, 40, "{place}");
            assert_eq!(leaks(&cut), [], "{place}");
            assert_eq!(records(&all(&log)).len(), 1, "one record, {place}");
            assert!(!log.is_erasure_pending().unwrap(), "{place}");
            assert_whole(&log);
        }
    }
    assert!(interrupted > 0 && finished > 0, "{interrupted} and {finished}");
}

#[test]
fn b37_no_byte_is_left_in_a_directory_after_it_was_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::new(dir.path()).with_segment_max_bytes(8 * 1024);
    let store = Store::open(config.clone()).unwrap();
    for number in 0..120 {
        let text = format!("{}-{number}", String::from_utf8_lossy(SECRET));
        store.append(&at("person:ada"), NOTED, Payload::raw(text)).unwrap();
    }
    store.close().unwrap();
    let store = Store::open(config.clone()).unwrap();
    let report: ErasureReport = store.erase(Region::entity("person:ada")).unwrap();
    assert_eq!((report.erased, report.waiting_files.len()), (120, 0));
    let holds = |path: &std::path::Path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(SECRET.len()).any(|window| window == SECRET)
    };
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        assert!(!holds(&path), "{}", path.display());
    }
    store.append(&at("person:ada"), NOTED, "a new one").unwrap();
    assert!(store.verify(&VerifyOptions::default(), |_| ControlFlow::Continue(())).is_whole());
    store.close().unwrap();
    let log: ReadOnlyLog<_> = Store::open_read_only(config).unwrap();
    let newest = log.reader().stream("person:ada").last().unwrap().unwrap();
    assert!(!newest.payload.is_erased(), "what came later is not erased");
}
