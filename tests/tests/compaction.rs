//! Compaction over the log: what it keeps, what it drops, what it leaves on storage.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals_core::{
    AncestorsEnd, Append, AppendOptions, CompactionConfig, CompactionProgress, CompactionStrategy,
    Coordinate, Event, EventKind, ExpectedVersion, FileId, FileKind, MemoryStorage, Payload,
    Region, Sequence, Storage, StorageFile, StoreError, VerifyOptions, Version, verify,
};
use annals_tests::fixture::{MemoryLog, open_small};
use std::ops::ControlFlow;
use std::sync::Arc;

const PLACED: EventKind = EventKind::new(1, 1);
const NOTED: EventKind = EventKind::new(1, 2);
const ENTITIES: u64 = 7;

/// 600 events of 7 entities over many small segments, every third one a note.
fn filled(storage: &MemoryStorage) -> MemoryLog {
    let mut log = open_small(storage, 1);
    for number in 0..600_u64 {
        let at = Coordinate::new(format!("order:{}", number % ENTITIES), "shop").unwrap();
        let kind = if number % 3 == 0 { NOTED } else { PLACED };
        let payload = Payload::raw(format!("secret-{number:04}"));
        log.append(&Append::new(at, kind, payload)).unwrap();
    }
    log
}

fn all(log: &MemoryLog) -> Vec<Event> {
    log.reader().query(&Region::all()).collect::<Result<_, _>>().unwrap()
}

fn compact(log: &mut MemoryLog, config: &CompactionConfig) -> CompactionProgress {
    let mut sum = CompactionProgress::default();
    let mut from = Sequence::ZERO;
    while let Some(compaction) = log.begin_compaction(config, from).unwrap() {
        from = compaction.end();
        let Some(done) = compaction.run(|_| ControlFlow::Continue(())).unwrap() else { continue };
        let done = log.finish_compaction(&done).unwrap();
        sum.kept_events += done.kept_events;
        sum.dropped_events += done.dropped_events;
        sum.erased_events += done.erased_events;
    }
    sum
}

/// The log proven whole, and how many marks of pruned events it holds.
fn proven(log: &MemoryLog) -> u64 {
    let report = verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()));
    assert!(report.is_whole(), "{report:#?}");
    report.pruned_runs
}

fn segment_count(storage: &MemoryStorage) -> usize {
    storage.list().unwrap().iter().filter(|id| id.kind == FileKind::Segment).count()
}

fn bytes_of(storage: &MemoryStorage, id: FileId) -> Vec<u8> {
    let file = storage.open(id).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn b37_merge_loses_nothing_and_frees_what_it_replaced() {
    let storage = MemoryStorage::new();
    let mut log = filled(&storage);
    let before = all(&log);
    let old_reader = log.reader();
    let segments = segment_count(&storage);
    assert!(segments > 10, "{segments} segments");
    compact(&mut log, &CompactionConfig::new(CompactionStrategy::Merge).with_seal_active(true));
    assert_eq!(all(&log), before);
    let old: Vec<Event> = old_reader.query(&Region::all()).collect::<Result<_, _>>().unwrap();
    assert_eq!(old, before, "a reader from before sees what it saw");
    drop(old_reader);
    assert_eq!(segment_count(&storage), 1);
    assert_eq!(proven(&log), 0);
    let at = Coordinate::new("order:3", "shop").unwrap();
    let expected = ExpectedVersion::Exact(Version::new(85));
    let options = AppendOptions::default().with_expected_version(expected);
    log.append(&Append::new(at, PLACED, Payload::raw("more")).with_options(options)).unwrap();
    drop(log);
    let log = open_small(&storage, 2);
    assert_eq!(all(&log)[..600], before);
    for event in &before {
        assert_eq!(log.reader().get(event.id()).unwrap(), *event);
    }
}

#[test]
fn b37_retention_drops_what_it_refuses_and_marks_the_gap() {
    let storage = MemoryStorage::new();
    let mut log = filled(&storage);
    let before = all(&log);
    let keep = Arc::new(|event: &annals_core::EventRef<'_>| event.header().kind() == PLACED);
    let config = CompactionConfig::new(CompactionStrategy::Retention(keep)).with_seal_active(true);
    let done = compact(&mut log, &config);
    assert_eq!((done.kept_events, done.dropped_events), (400, 200));
    let kept: Vec<Event> = before.iter().filter(|event| event.kind() == PLACED).cloned().collect();
    assert_eq!(all(&log), kept);
    assert_eq!(log.reader().query(&Region::all().kind(NOTED)).count(), 0);
    assert!(proven(&log) > 0);
    let gone = before.iter().find(|event| event.kind() == NOTED).unwrap();
    assert!(matches!(log.reader().get(gone.id()), Err(StoreError::NotFound(_))));
    assert!(matches!(log.reader().get_at(gone.sequence()), Err(StoreError::SequenceNotFound(_))));
    let walk = log.reader().walk_ancestors(kept.last().unwrap().id(), 1000).unwrap();
    assert!(matches!(walk.end, AncestorsEnd::Pruned { .. }), "{:?}", walk.end);
    drop(log);
    assert_eq!(all(&open_small(&storage, 2)), kept);
}

#[test]
fn b37_a_stream_that_was_dropped_whole_goes_on_behind_its_last_version() {
    let storage = MemoryStorage::new();
    let mut log = filled(&storage);
    let keep = Arc::new(|event: &annals_core::EventRef<'_>| event.header().entity() != "order:3");
    let config = CompactionConfig::new(CompactionStrategy::Retention(keep)).with_seal_active(true);
    let last = log.reader().stream("order:3").last().unwrap().unwrap();
    compact(&mut log, &config);
    assert_eq!(log.reader().stream("order:3").count(), 0);
    assert_eq!(proven(&log), 1);
    // Once more, with another stream: the mark of the first goes along.
    let keep = Arc::new(|event: &annals_core::EventRef<'_>| event.header().entity() != "order:4");
    let config = CompactionConfig::new(CompactionStrategy::Retention(keep)).with_seal_active(true);
    compact(&mut log, &config);
    assert_eq!(proven(&log), 2);
    drop(log);
    let mut log = open_small(&storage, 2);
    assert_eq!(log.reader().head("order:3").unwrap().unwrap().version, last.version());
    let at = Coordinate::new("order:3", "shop").unwrap();
    let expected = ExpectedVersion::Exact(last.version());
    let options = AppendOptions::default().with_expected_version(expected);
    let append = Append::new(at, PLACED, Payload::raw("again")).with_options(options);
    let receipt = log.append(&append).unwrap();
    assert_eq!(receipt.version, last.version().next());
    proven(&log);
    assert_eq!(log.reader().get(receipt.id).unwrap().header.prev_hash, last.event_hash());
}

#[test]
fn b37_erase_keeps_header_and_chain_and_no_byte_of_the_payload() {
    let storage = MemoryStorage::new();
    let mut log = filled(&storage);
    let before = all(&log);
    let erase = Arc::new(|event: &annals_core::EventRef<'_>| event.header().entity() == "order:3");
    let config = CompactionConfig::new(CompactionStrategy::Erase(erase)).with_seal_active(true);
    let erased = before.iter().filter(|event| event.coordinate.entity() == "order:3");
    let done = compact(&mut log, &config);
    assert_eq!(done.erased_events, erased.clone().count() as u64);
    let after = all(&log);
    assert_eq!(proven(&log), 0);
    assert_eq!(after.len(), before.len());
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((&old.header, &old.coordinate), (&new.header, &new.coordinate));
        assert_eq!(old.event_hash(), new.event_hash());
        assert_eq!(new.payload.is_erased(), old.coordinate.entity() == "order:3");
    }
    for id in storage.list().unwrap() {
        let bytes = bytes_of(&storage, id);
        for event in erased.clone() {
            let secret = event.payload.bytes().unwrap();
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{id}");
        }
    }
    let newest = after.iter().rev().find(|event| event.payload.is_erased()).unwrap();
    let walk = log.reader().walk_ancestors(newest.id(), 1000).unwrap();
    assert_eq!(walk.end, AncestorsEnd::Genesis);
}

#[test]
fn a_compaction_that_is_stopped_changes_nothing() {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    let at = Coordinate::new("order:1", "shop").unwrap();
    for _ in 0..400 {
        log.append(&Append::new(at.clone(), PLACED, Payload::raw(vec![7; 2_000]))).unwrap();
    }
    let files = storage.list().unwrap();
    let config = CompactionConfig::new(CompactionStrategy::Merge);
    let compaction = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap();
    assert!(compaction.run(|_| ControlFlow::Break(())).unwrap().is_none());
    assert_eq!(storage.list().unwrap(), files);
}
