//! What is provably whole in a damaged store, in a new one: that opens, is proven whole with pruned
//! events, and holds nothing that was not appended.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals_core::{
    AncestorsEnd, Append, Batch, CheckpointName, CompactionStrategy, Coordinate, Event, EventKind,
    FileId, FileKind, LogConfig, MemoryStorage, MetaSync, Payload, ReadOnlyLog, Region,
    SalvageReport, Sequence, Storage, StorageFile, StoreError, VerifyOptions, VerifyReport,
    salvage, verify,
};
use annals_tests::conformance::TestHost;
use annals_tests::fixture::{MemoryLog, append_payload, compact, open_small};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

const KIND: EventKind = EventKind::new(1, 1);

fn fill(log: &mut MemoryLog, events: u64) {
    let from = log.reader().end().get();
    for at in from..from + events {
        let payload = Payload::json(&format!("the payload of event {at}")).unwrap();
        append_payload(log, &format!("order:{}", at % 7), "shop", KIND, payload);
    }
}

/// Several sealed segments and an active one, and a batch of three in each.
fn store() -> (MemoryStorage, Vec<Event>) {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    for _ in 0..8 {
        fill(&mut log, 10);
        let at = Coordinate::new("order:1", "shop").unwrap();
        let item = |text: &str| Append::new(at.clone(), KIND, Payload::raw(text));
        let batch: Batch = [item("tea"), item("bread"), item("salt")].into_iter().collect();
        log.append_batch(&batch).unwrap();
    }
    log.name_kind(KIND, "order.placed").unwrap();
    log.set_checkpoint(CheckpointName::consumer("mailer"), b"42", MetaSync::Now).unwrap();
    log.set_checkpoint(CheckpointName::projection(b"sum"), b"9", MetaSync::Now).unwrap();
    let events = all(&log);
    log.close().unwrap();
    (storage, events)
}

fn all(log: &MemoryLog) -> Vec<Event> {
    log.reader().query(&Region::all()).collect::<Result<_, _>>().unwrap()
}

fn flip(storage: &MemoryStorage, id: FileId, at: u64) {
    let file = storage.open(id).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], at).unwrap();
}

fn segments(storage: &MemoryStorage) -> Vec<FileId> {
    storage.list().unwrap().into_iter().filter(|id| id.kind == FileKind::Segment).collect()
}

fn verified(log: &MemoryLog) -> VerifyReport {
    verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()))
}

/// Salvages, and checks all that must hold whatever the damage is.
fn salvaged(storage: &MemoryStorage, before: &[Event]) -> (MemoryLog, SalvageReport) {
    let files = storage.fork();
    let target = MemoryStorage::new();
    let go_on = |_| ControlFlow::Continue(());
    let report = salvage(storage, &target, TestHost::new(9), go_on).unwrap().unwrap();
    for id in files.list().unwrap() {
        assert_eq!(bytes_of(storage, id), bytes_of(&files, id), "the damaged store is as it was");
    }
    let log = open_small(&target, 3);
    let verified = verified(&log);
    assert!(verified.is_whole(), "{:#?}\n{report:#?}", verified.faults);
    let kept = all(&log);
    assert_eq!((kept.len() as u64, log.reader().end()), (report.kept_events, report.end));
    let known: BTreeMap<Sequence, &Event> =
        before.iter().map(|event| (event.sequence(), event)).collect();
    for event in &kept {
        assert_eq!(known.get(&event.sequence()), Some(&event), "as it was appended");
    }
    let told = |sequence: Sequence| {
        report.losses.iter().any(|loss| {
            loss.first_sequence.is_some_and(|first| first <= sequence)
                && loss.last_sequence.is_none_or(|last| last >= sequence)
        })
    };
    for event in before {
        let is_kept = kept.iter().any(|kept| kept.sequence() == event.sequence());
        // Where the newest file is gone or cut, nothing tells that there were more.
        let is_beyond = event.sequence() >= report.end;
        let sequence = event.sequence();
        assert!(is_kept || told(sequence) || is_beyond, "{sequence}: {:#?}", report.losses);
    }
    (log, report)
}

fn bytes_of(storage: &MemoryStorage, id: FileId) -> Vec<u8> {
    let file = storage.open(id).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn a_whole_store_is_copied_byte_by_byte() {
    let (storage, before) = store();
    let (log, report) = salvaged(&storage, &before);
    assert_eq!(all(&log), before);
    assert_eq!((report.losses.len(), report.rewritten_segments, report.pruned_runs), (0, 0, 0));
    assert_eq!(report.copied_segments, segments(&storage).len() as u64);
    assert_eq!(log.reader().kind_name(KIND).as_deref(), Some("order.placed"));
    assert_eq!(log.checkpoint(CheckpointName::consumer("mailer")).as_deref(), Some(&b"42"[..]));
    assert_eq!(log.checkpoint(CheckpointName::projection(b"sum")), None);
}

#[test]
fn one_damaged_event_costs_that_event_and_leaves_a_mark() {
    let (storage, before) = store();
    let id = segments(&storage)[1];
    let bytes = bytes_of(&storage, id);
    let at = bytes.windows(12).position(|window| window == b"the payload ").unwrap();
    flip(&storage, id, at as u64);
    let (mut log, report) = salvaged(&storage, &before);
    assert_eq!(report.kept_events, before.len() as u64 - 1);
    assert_eq!((report.losses.len(), report.pruned_runs, report.rewritten_segments), (1, 1, 1));
    let loss = &report.losses[0];
    assert_eq!((loss.file, loss.first_sequence), (Some(id), loss.last_sequence));
    let gone = &before[usize::try_from(loss.first_sequence.unwrap().get()).unwrap()];
    // Its stream goes on over the gap, and says that it is pruned.
    let stream: Vec<Event> =
        log.reader().stream(gone.coordinate.entity()).collect::<Result<_, _>>().unwrap();
    assert!(stream.iter().all(|event| event.version() != gone.version()));
    let walk = log.reader().walk_ancestors(stream.last().unwrap().id(), 1_000).unwrap();
    assert_eq!(walk.end, AncestorsEnd::Pruned { version: gone.version() });
    fill(&mut log, 20);
    assert!(verified(&log).is_whole());
}

#[test]
fn of_a_damaged_batch_the_other_events_are_kept() {
    let (storage, before) = store();
    let id = segments(&storage)[0];
    let bytes = bytes_of(&storage, id);
    let at = bytes.windows(5).position(|window| window == b"bread").unwrap();
    flip(&storage, id, at as u64);
    let (log, report) = salvaged(&storage, &before);
    assert_eq!(report.kept_events, before.len() as u64 - 1);
    let gone = report.losses[0].first_sequence.unwrap();
    assert_eq!(before[usize::try_from(gone.get()).unwrap()].payload, Payload::raw("bread"));
    assert!(matches!(log.reader().get_at(gone), Err(StoreError::SequenceNotFound(_))));
}

#[test]
fn a_missing_segment_is_a_gap_and_sequences_go_on_behind_it() {
    let (storage, before) = store();
    let ids = segments(&storage);
    storage.remove(ids[1]).unwrap();
    let error = ReadOnlyLog::open(storage.clone(), LogConfig::default()).unwrap_err();
    assert!(matches!(error, StoreError::Corruption(_)), "{error}");
    let (log, report) = salvaged(&storage, &before);
    assert_eq!((report.losses.len(), report.losses[0].file), (1, None));
    assert_eq!(report.end.get(), before.len() as u64);
    assert!(report.pruned_runs >= 7 && report.rewritten_segments == 1, "{report:#?}");
    assert!(log.reader().get_at(Sequence::ZERO).is_ok());
}

#[test]
fn damaged_headers_footers_and_indexes_cost_no_event() {
    for place in ["header", "footer", "index"] {
        let (storage, before) = store();
        let id = segments(&storage)[1];
        let len = bytes_of(&storage, id).len() as u64;
        let at = match place {
            "header" => 50,
            "footer" => len - 100,
            _ => len - 700,
        };
        flip(&storage, id, at);
        let (log, report) = salvaged(&storage, &before);
        assert!(all(&log) == before, "{place}: {:#?}", report.losses);
    }
}

#[test]
fn an_event_that_was_forged_and_signed_is_left() {
    let (storage, before) = store();
    let id = segments(&storage)[0];
    let mut bytes = bytes_of(&storage, id);
    let salt = &bytes[56..60].to_vec();
    // The first frame holds one record, the event at sequence 0.
    let at = bytes.windows(12).position(|window| window == b"the payload ").unwrap();
    bytes[at] = b'T';
    let len = usize::try_from(u32::from_le_bytes(bytes[108..112].try_into().unwrap())).unwrap();
    let record = 104 + 32;
    let signed = |salt: &[u8], parts: &[&[u8]]| {
        let all = [&[salt], parts].concat().concat();
        crc32(&all).to_le_bytes()
    };
    let crc = signed(salt, &[&bytes[record + 4..104 + 12 + len]]);
    bytes[record..record + 4].copy_from_slice(&crc);
    let crc = signed(salt, &[&bytes[108..112], &bytes[116..104 + 12 + len]]);
    bytes[112..116].copy_from_slice(&crc);
    storage.open(id).unwrap().write_all_at(&bytes, 0).unwrap();
    let (log, report) = salvaged(&storage, &before);
    assert!(matches!(log.reader().get_at(Sequence::ZERO), Err(StoreError::SequenceNotFound(_))));
    assert!(report.losses[0].reason.contains("names another hash"), "{:#?}", report.losses);
}

/// CRC-32/ISO-HDLC, slowly.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xEDB8_8320,
            _ => crc >> 1,
        })
    })
}

#[test]
fn what_retention_and_erasure_left_is_carried_over() {
    let (storage, _) = store();
    let mut log = open_small(&storage, 5);
    let keep = |event: &annals_core::EventRef<'_>| event.sequence().get() % 5 != 0;
    compact(&mut log, CompactionStrategy::Retention(Arc::new(keep)));
    let erase = |event: &annals_core::EventRef<'_>| event.sequence().get() % 3 == 0;
    compact(&mut log, CompactionStrategy::Erase(Arc::new(erase)));
    fill(&mut log, 40);
    let before = all(&log);
    drop(log);
    let (whole, report) = salvaged(&storage, &before);
    assert_eq!(report.losses, []);
    assert!(all(&whole) == before);
    for id in segments(&storage) {
        for at in [300, 700] {
            let damaged = storage.fork();
            flip(&damaged, id, at);
            let (log, report) = salvaged(&damaged, &before);
            assert!(!report.losses.is_empty());
            assert!(all(&log).iter().any(|event| event.payload.is_erased()));
        }
    }
}

#[test]
fn a_salvage_goes_into_an_empty_place_only_and_can_be_stopped() {
    let (storage, _) = store();
    let go_on = |_| ControlFlow::Continue(());
    let error = salvage(&storage, &storage.fork(), TestHost::new(1), go_on).unwrap_err();
    assert!(matches!(error, StoreError::InvalidInput(_)), "{error}");
    let (nothing, target) = (MemoryStorage::new(), MemoryStorage::new());
    let error = salvage(&nothing, &target, TestHost::new(1), go_on).unwrap_err();
    assert!(matches!(error, StoreError::InvalidInput(_)), "{error}");
    let mut calls = 0;
    let stopped = salvage(&storage, &target, TestHost::new(1), |progress| {
        assert!(progress.done_bytes <= progress.total_bytes);
        calls += 1;
        ControlFlow::Break(())
    });
    assert!(stopped.unwrap().is_none() && calls == 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any damage of any size anywhere, files cut and files gone.
    #[test]
    fn whatever_is_damaged_what_is_kept_is_right_and_what_is_left_is_told(
        patches in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(),
             prop::collection::vec(any::<u8>(), 1..200)),
            0..5,
        ),
        cut in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
        gone in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (storage, before) = store();
        let ids = segments(&storage);
        for (segment, at, bytes) in patches {
            let file = storage.open(*segment.get(&ids)).unwrap();
            let len = usize::try_from(file.len().unwrap()).unwrap();
            file.write_all_at(&bytes, at.index(len - bytes.len()) as u64).unwrap();
        }
        if let Some((segment, at)) = cut {
            let file = storage.open(*segment.get(&ids)).unwrap();
            let len = usize::try_from(file.len().unwrap()).unwrap();
            file.set_len(at.index(len) as u64).unwrap();
        }
        if let Some(gone) = gone {
            storage.remove(*gone.get(&ids)).unwrap();
        }
        salvaged(&storage, &before);
    }
}
