//! Verifying a store through the public API: whole, damaged, unreadable, stopped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_core::{
    CompactionStrategy, EventKind, FaultKind, FileId, FileKind, MemoryStorage, Payload,
    ReadOnlyLog, Storage, StorageError, StorageErrorKind, StorageFile, VerifyMerge, VerifyOptions,
    VerifyProgress, VerifyReport, verify, verify_segment,
};
use annals_tests::conformance::TestHost;
use annals_tests::fixture::{MemoryLog, append_payload, compact, open_small};
use proptest::prelude::*;
use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

const KIND: EventKind = EventKind::new(1, 1);

fn events(log: &mut MemoryLog, from: u64, to: u64) {
    for at in from..to {
        let payload = Payload::json(&format!("the payload of event {at}")).unwrap();
        append_payload(
            log,
            &format!("order:{}", at % 9),
            &format!("shop{}", at % 2),
            KIND,
            payload,
        );
    }
}

/// Several sealed segments and an active one.
fn store() -> (MemoryStorage, MemoryLog) {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    events(&mut log, 0, 100);
    (storage, log)
}

fn go_on(_: VerifyProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn verified(log: &MemoryLog) -> VerifyReport {
    verify(&log.reader(), &VerifyOptions::default(), go_on)
}

#[test]
fn b39_whole_stores_are_whole_however_they_came_to_be() {
    let empty = open_small(&MemoryStorage::new(), 1);
    let report = verified(&empty);
    assert!(report.is_whole());
    assert_eq!((report.segments, report.events), (0, 0));

    let storage = MemoryStorage::new();
    for round in 0..6 {
        let mut log = open_small(&storage, round);
        events(&mut log, round * 40, round * 40 + 40);
        if round % 3 == 1 {
            log.seal().unwrap();
        }
        let report = verified(&log);
        assert_eq!(report.faults, []);
        assert!(report.is_whole());
        assert_eq!((report.events, report.streams), ((round + 1) * 40, 9));
        let files = storage.list().unwrap();
        let segments = files.iter().filter(|id| id.kind == FileKind::Segment).count();
        assert_eq!(report.segments, segments as u64);
        if round % 2 == 0 {
            log.close().unwrap();
        }
    }
    let log = ReadOnlyLog::open(storage, annals_core::LogConfig::default()).unwrap();
    assert!(verify(&log.reader(), &VerifyOptions::default(), go_on).is_whole());
}

#[test]
fn b39_compacted_stores_are_whole() {
    let every_third = |event: &annals_core::EventRef<'_>| event.sequence().get() % 3 == 0;
    let strategies = [
        CompactionStrategy::Merge,
        CompactionStrategy::Erase(Arc::new(every_third)),
        CompactionStrategy::Retention(Arc::new(every_third)),
        CompactionStrategy::Retention(Arc::new(|_| false)),
        CompactionStrategy::Merge,
    ];
    let (storage, mut log) = store();
    for (strategy, left) in strategies.into_iter().zip([100, 107, 38, 0, 14]) {
        compact(&mut log, strategy);
        let report = verified(&log);
        assert_eq!(report.faults, []);
        assert!(report.is_whole() && report.events <= left, "{}", report.events);
        drop(log);
        log = open_small(&storage, left);
        assert!(verified(&log).is_whole());
        let end = log.reader().end().get();
        events(&mut log, end, end + 7);
        let report = verified(&log);
        assert!(report.is_whole(), "streams go on behind what is gone: {:?}", report.faults);
        assert_eq!(report.streams, 9);
    }
    assert!(verified(&log).pruned_runs >= 9);
}

#[test]
fn b39_what_is_appended_behind_a_reader_is_not_its_matter() {
    let (_, mut log) = store();
    let reader = log.reader();
    events(&mut log, 100, 103);
    let report = verify(&reader, &VerifyOptions::default(), go_on);
    assert!(report.is_whole());
    assert_eq!((report.events, verified(&log).events), (100, 103));
}

#[test]
fn b39_progress_rises_to_the_end() {
    let (_, log) = store();
    let mut seen = Vec::new();
    let report = verify(&log.reader(), &VerifyOptions::default(), |progress| {
        seen.push((progress.segments_done, progress.bytes_done));
        assert!(progress.bytes_done <= progress.bytes);
        assert!(progress.segments_done <= progress.segments);
        ControlFlow::Continue(())
    });
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(seen.last(), Some(&(report.segments, report.bytes)));
}

#[test]
fn b39_it_can_be_stopped_at_any_time_and_says_that_it_was() {
    let (_, log) = store();
    let mut calls = 0;
    let _ = verify(&log.reader(), &VerifyOptions::default(), |_| {
        calls += 1;
        ControlFlow::Continue(())
    });
    // The last call comes when all is done.
    for stop_at in 1..calls {
        let mut call = 0;
        let report = verify(&log.reader(), &VerifyOptions::default(), |_| {
            call += 1;
            assert!(call <= stop_at, "it goes on");
            if call == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert!(!report.complete && !report.is_whole());
        assert_eq!(report.faults, [], "stopped at {stop_at}");
    }
}

#[test]
fn b39_segments_may_be_proven_in_any_order() {
    let (storage, log) = store();
    flip(&storage, 1, 700);
    flip(&storage, 3, 700);
    let reader = log.reader();
    let expected = verified(&log);
    assert!(expected.faults.len() > 1);
    let mut merge = VerifyMerge::new(&reader);
    for at in (0..reader.segment_count()).rev() {
        let options = VerifyOptions::default();
        merge.add(verify_segment(&reader, at, &options, &mut |_| ControlFlow::Continue(())));
    }
    assert_eq!(merge.finish(), expected);
    assert_eq!(expected.fault(FaultKind::Frame).unwrap().count, 2);

    let mut merge = VerifyMerge::new(&reader);
    for at in [0, 2] {
        let options = VerifyOptions::default();
        merge.add(verify_segment(&reader, at, &options, &mut |_| ControlFlow::Continue(())));
    }
    let report = merge.finish();
    assert_eq!((report.complete, report.segments, report.faults.len()), (false, 2, 0));
}

/// Flips a bit of a segment's file.
fn flip(storage: &MemoryStorage, segment: usize, at: u64) {
    let file = storage.open(storage.list().unwrap()[segment]).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], at).unwrap();
}

#[test]
fn b39_no_flipped_bit_of_a_sealed_segment_is_missed() {
    let (storage, log) = store();
    let file = storage.open(storage.list().unwrap()[1]).unwrap();
    let reader = log.reader();
    for at in 0..file.len().unwrap() {
        flip(&storage, 1, at);
        let options = VerifyOptions::default();
        let findings = verify_segment(&reader, 1, &options, &mut |_| ControlFlow::Continue(()));
        let mut merge = VerifyMerge::new(&reader);
        merge.add(findings);
        let report = merge.finish();
        assert!(!report.faults.is_empty(), "byte {at}");
        for fault in &report.faults {
            assert_eq!(fault.file, FileId::segment(2));
            assert!(!fault.expected.is_empty() && !fault.found.is_empty(), "{fault}");
        }
        flip(&storage, 1, at);
    }
}

#[test]
fn b39_damage_is_reported_and_not_stopped_at() {
    let (storage, log) = store();
    let whole = verified(&log);
    flip(&storage, 0, 400);
    flip(&storage, 2, 1_000);
    flip(&storage, 2, 1_700);
    let report = verified(&log);
    assert!(report.complete);
    assert_eq!((report.segments, report.bytes), (whole.segments, whole.bytes));
    assert!(report.events >= whole.events - 3, "the frames behind are read: {}", report.events);
    let kinds: Vec<_> = report.faults.iter().map(|fault| fault.kind).collect();
    assert_eq!(kinds, [FaultKind::Frame, FaultKind::Record, FaultKind::FramesHash]);
    let record = report.fault(FaultKind::Record).unwrap();
    assert_eq!((record.file, record.count), (FileId::segment(1), 3));
    // The record that holds the byte, not only its frame.
    assert!(record.offset <= 400 && record.offset + 300 > 400, "{record}");
    assert!(report.fault(FaultKind::Frame).unwrap().offset < record.offset);
}

#[test]
fn b39_a_store_whose_damage_opening_does_not_see_is_verified() {
    let (storage, log) = store();
    drop(log);
    flip(&storage, 1, 500);
    let log = open_small(&storage, 2);
    let report = verified(&log);
    assert!(report.complete);
    assert_eq!(report.fault(FaultKind::Frame).unwrap().file, FileId::segment(2));
}

#[test]
fn b39_files_that_were_cut_or_emptied_are_reported() {
    for len in [0, 50, 104, 900, 3_000] {
        let (storage, log) = store();
        let ids = storage.list().unwrap();
        storage.open(ids[1]).unwrap().set_len(len).unwrap();
        let report = verified(&log);
        let fault = report.fault(FaultKind::FileLength).unwrap();
        assert_eq!(fault.file, ids[1], "{len}");
        storage.open(ids[ids.len() - 1]).unwrap().set_len(len.min(200)).unwrap();
        assert!(!verified(&log).is_whole());
    }
}

#[test]
fn b39_bytes_that_imitate_frames_do_not_make_it_slow() {
    let storage = MemoryStorage::new();
    let config = annals_core::LogConfig::default();
    let mut log = annals_core::Log::open(storage.clone(), TestHost::new(1), config).unwrap();
    let coordinate = annals_core::Coordinate::new("order:5", "shop").unwrap();
    let payload = Payload::raw(vec![7; 2_000_000]);
    log.append(&annals_core::Append::new(coordinate, KIND, payload)).unwrap();
    log.seal().unwrap();
    // A frame seems to start at every eighth byte, and each to reach far: 30 GB to check in all.
    let file = storage.open(FileId::segment(1)).unwrap();
    let marker = annals_core::format::frame::FRAME_MARKER.to_le_bytes();
    let imitation = [marker, 125_000_u32.to_le_bytes()].concat().repeat(240_000);
    file.write_all_at(&imitation, 104).unwrap();
    let report = verify(&log.reader(), &VerifyOptions::default(), go_on);
    assert!(report.complete && report.fault(FaultKind::Frame).is_some());
}

#[test]
fn b39_a_report_is_json_that_names_kind_file_and_place() {
    let (storage, log) = store();
    flip(&storage, 0, 400);
    let report = verified(&log);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["complete"], true);
    let fault = &json["faults"][0];
    assert_eq!((&fault["kind"], &fault["file"]), (&"frame".into(), &"0000000001.seg".into()));
    assert!(fault["offset"].is_u64() && fault["expected"].is_string());
    let text = report.faults[0].to_string();
    assert!(text.starts_with("frame: 0000000001.seg at byte "), "{text}");
    for fault in &report.faults {
        assert_eq!(serde_json::to_value(fault.kind).unwrap(), fault.kind.as_str());
    }
}

/// A storage of which one segment can't be read.
#[derive(Clone)]
struct Failing {
    inner: MemoryStorage,
    fails: Rc<Cell<Option<FileId>>>,
}

struct FailingFile {
    inner: <MemoryStorage as Storage>::File,
    id: FileId,
    fails: Rc<Cell<Option<FileId>>>,
}

impl Failing {
    fn wrap(&self, id: FileId, inner: <MemoryStorage as Storage>::File) -> FailingFile {
        FailingFile { inner, id, fails: Rc::clone(&self.fails) }
    }
}

impl Storage for Failing {
    type File = FailingFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.inner.list()
    }

    fn create(&self, id: FileId) -> Result<FailingFile, StorageError> {
        Ok(self.wrap(id, self.inner.create(id)?))
    }

    fn open(&self, id: FileId) -> Result<FailingFile, StorageError> {
        Ok(self.wrap(id, self.inner.open(id)?))
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.inner.remove(id)
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.inner.sync_dir()
    }
}

impl StorageFile for FailingFile {
    fn len(&self) -> Result<u64, StorageError> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.inner.set_len(len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        if self.fails.get() == Some(self.id) {
            return Err(StorageError::new(StorageErrorKind::Other, "read").with_file(self.id));
        }
        self.inner.read_exact_at(buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        self.inner.write_all_at(buf, offset)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.inner.sync_data()
    }
}

#[test]
fn b39_a_segment_that_cannot_be_read_is_told_from_a_damaged_one() {
    let (inner, log) = store();
    let whole = verified(&log);
    drop(log);
    let fails = Rc::new(Cell::new(None));
    let storage = Failing { inner, fails: Rc::clone(&fails) };
    let config = annals_core::LogConfig::default();
    let log = annals_core::Log::open(storage.clone(), TestHost::new(2), config).unwrap();
    let ids: Vec<FileId> = storage.list().unwrap();
    for id in ids.into_iter().filter(|id| id.kind == FileKind::Segment) {
        fails.set(Some(id));
        let report = verify(&log.reader(), &VerifyOptions::default(), go_on);
        let kinds: Vec<_> = report.faults.iter().map(|fault| (fault.kind, fault.file)).collect();
        assert_eq!(kinds, [(FaultKind::Unreadable, id)]);
        assert!(!report.complete, "nobody has looked at all of it");
        assert!(report.events < whole.events && report.segments == whole.segments);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any damage, of any size, anywhere: no panic, no end, and never whole.
    #[test]
    fn b39_any_damage_to_sealed_segments_is_found(
        patches in prop::collection::vec(
            (0..3_usize, any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..400)),
            1..6,
        ),
    ) {
        let (storage, log) = store();
        let ids = storage.list().unwrap();
        let mut changed = false;
        for (segment, at, bytes) in patches {
            let file = storage.open(ids[segment]).unwrap();
            let len = usize::try_from(file.len().unwrap()).unwrap();
            let at = at.index(len - bytes.len());
            let mut before = vec![0; bytes.len()];
            file.read_exact_at(&mut before, at as u64).unwrap();
            changed |= before != bytes;
            file.write_all_at(&bytes, at as u64).unwrap();
        }
        let report = verified(&log);
        prop_assert_eq!(report.is_whole(), !changed);
        prop_assert!(report.complete);
    }
}
