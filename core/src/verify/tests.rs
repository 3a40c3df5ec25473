//! Forgers at work: whoever can write to the files and sign every CRC is still found out.

use super::*;
use crate::format::Crc32;
use crate::format::frame;
use crate::format::index_block::{Column, Directory, PAGE_LEN, PAGE_PAYLOAD_LEN};
use crate::format::pruned::PrunedRun;
use crate::format::record::{self, RecordRef, RecordState};
use crate::format::scan;
use crate::format::segment::{SEGMENT_FOOTER_LEN, SegmentFooter, SegmentHeader};
use crate::log::{CompactionConfig, CompactionStrategy, Host, Log, LogConfig, StoreError};
use crate::model::wire::{decode_header, encode_header};
use crate::model::{
    Admission, Append, Coordinate, EventFlags, EventHeader, EventId, EventKind, Hash, Hlc, Payload,
    PayloadFormat, Sequence, Version,
};
use crate::storage::{FileId, MemoryStorage};
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use core::cell::Cell;
use proptest::prelude::*;

const KIND: EventKind = EventKind::new(1, 1);

#[derive(Default)]
struct Ticking {
    looks: Cell<i64>,
    random: Cell<u64>,
}

impl Host for Ticking {
    fn now_us(&self) -> i64 {
        self.looks.set(self.looks.get() + 1);
        1_700_000_000_000_000 + self.looks.get() * 1_000
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            let word = self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            self.random.set(word);
            *byte = word.to_le_bytes()[4];
        }
    }
}

fn open(storage: &MemoryStorage) -> Result<Log<MemoryStorage, Ticking>, StoreError> {
    let config = LogConfig::default().with_segment_max_bytes(8 * 1024);
    Log::open(storage.clone(), Ticking::default(), config)
}

/// Three streams of which every segment has some, in four sealed segments at least and an active
/// one.
fn store() -> MemoryStorage {
    let storage = MemoryStorage::new();
    let mut log = open(&storage).unwrap();
    for at in 0..240 {
        let entity = format!("order:{}", at % 3);
        let coordinate = Coordinate::new(entity, "shop").unwrap();
        let payload = Payload::raw(format!("payload {at}"));
        log.append(&Append::new(coordinate, KIND, payload)).unwrap();
    }
    assert!(log.reader().segment_count() > 4);
    storage
}

fn verified(storage: &MemoryStorage) -> VerifyReport {
    let log = open(storage).unwrap();
    verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()))
}

fn kinds(report: &VerifyReport) -> Vec<FaultKind> {
    report.faults.iter().map(|fault| fault.kind).collect()
}

/// A segment's file, taken apart.
#[derive(Debug, Clone)]
struct Parts {
    id: FileId,
    header: SegmentHeader,
    frames: Vec<FrameParts>,
    index: Vec<u8>,
    footer: Option<SegmentFooter>,
}

#[derive(Debug, Clone)]
struct FrameParts {
    first_sequence: Sequence,
    synced_len: u64,
    record_count: u32,
    records: Vec<RecordParts>,
    padding: u8,
}

#[derive(Debug, Clone)]
struct RecordParts {
    state: RecordState,
    header: Vec<u8>,
    content: Vec<u8>,
}

impl Parts {
    fn read(storage: &MemoryStorage, at: usize) -> Self {
        let id = storage.list().unwrap()[at];
        let file = storage.open(id).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        let header = SegmentHeader::decode(&bytes).unwrap();
        let footer_at = bytes.len() - SEGMENT_FOOTER_LEN;
        let footer = SegmentFooter::decode(&bytes[footer_at..]).unwrap();
        let end = footer.as_ref().map_or(bytes.len() as u64, |footer| footer.frames_end);
        let mut frames = Vec::new();
        let start = header.encoded_len() as u64;
        scan::frames(&mut &bytes[..], start, end, header.salt, |_, frame| {
            let records = frame.records().map(|record| {
                let (_, record) = record.unwrap();
                let (header, content) = (record.header.to_vec(), record.content.to_vec());
                RecordParts { state: record.state, header, content }
            });
            frames.push(FrameParts {
                first_sequence: frame.first_sequence,
                synced_len: frame.synced_len,
                record_count: frame.record_count,
                records: records.collect(),
                padding: 0,
            });
            Ok::<(), core::convert::Infallible>(())
        })
        .unwrap();
        let index = match footer {
            Some(_) => bytes[usize::try_from(end).unwrap()..footer_at].to_vec(),
            None => Vec::new(),
        };
        Parts { id, header, frames, index, footer }
    }

    /// Writes the file anew, with right lengths and right CRCs of frames, records and footer.
    fn write(&self, storage: &MemoryStorage) {
        let mut out = self.header.encode();
        for parts in &self.frames {
            let start = frame::begin(&mut out);
            for record in &parts.records {
                let at = record::begin(&mut out);
                out.extend_from_slice(&record.header);
                let content_at = out.len();
                out.extend_from_slice(&record.content);
                record::finish(&mut out, at, content_at, record.state, self.header.salt);
            }
            let end = out.len();
            let FrameParts { first_sequence, synced_len, record_count, padding, .. } = *parts;
            let salt = self.header.salt;
            frame::finish(&mut out, start, first_sequence, synced_len, record_count, salt);
            out[end..].fill(padding);
        }
        let frames_end = out.len() as u64;
        out.extend_from_slice(&self.index);
        if let Some(footer) = &self.footer {
            out.extend_from_slice(&SegmentFooter { frames_end, ..footer.clone() }.encode());
        }
        let file = storage.open(self.id).unwrap();
        file.set_len(0).unwrap();
        file.write_all_at(&out, 0).unwrap();
    }

    fn record(&mut self, at: usize) -> &mut RecordParts {
        &mut self.frames[at].records[0]
    }

    /// Where in the file a record begins that has a frame of its own.
    fn offset_of(&self, at: usize) -> u64 {
        let len = |frame: &FrameParts| {
            let records = frame.records.iter().map(|record| {
                record::RECORD_PREFIX_LEN + record.header.len() + record.content.len()
            });
            frame::padded(frame::FRAME_HEADER_LEN + records.sum::<usize>())
        };
        let before = self.frames[..at].iter().map(len).sum::<usize>();
        (self.header.encoded_len() + before + frame::FRAME_HEADER_LEN) as u64
    }

    /// Puts a changed stream of the index in place, its pages signed.
    fn set_index_stream(&mut self, stream: &[u8]) {
        self.index.clear();
        for payload in stream.chunks(PAGE_PAYLOAD_LEN) {
            self.index.extend_from_slice(payload);
            let crc = Crc32::salted(self.header.salt, payload);
            self.index.extend_from_slice(&crc.to_le_bytes());
        }
    }

    fn index_stream(&self) -> Vec<u8> {
        self.index.chunks(PAGE_LEN).flat_map(|page| &page[..page.len() - 4]).copied().collect()
    }
}

/// A header taken apart.
struct HeaderParts {
    coordinate: Coordinate,
    header: EventHeader,
    format: PayloadFormat,
    version: u16,
}

impl RecordParts {
    fn change_header(&mut self, change: impl FnOnce(&mut HeaderParts)) {
        let stored = decode_header(&self.header).unwrap();
        let (format, version) = (stored.payload_format(), stored.payload_version());
        let (coordinate, header) = stored.to_owned(Sequence::ZERO);
        let mut parts = HeaderParts { coordinate, header, format, version };
        change(&mut parts);
        self.header.clear();
        let HeaderParts { coordinate, header, format, version } = &parts;
        encode_header(&mut self.header, coordinate, header, *format, *version);
    }
}

/// How a forger changes one field of a record, and what must be found of it besides the frames'
/// hash: in the streams and the clock, and by the index. Of versions that go back no index is made.
type Forgery = (&'static str, fn(&mut RecordParts), &'static [FaultKind], bool);

const CHAIN: &[FaultKind] = &[FaultKind::PrevHash];

const FORGERIES: &[Forgery] = &[
    ("prev_hash", |r| r.header[3] ^= 1, CHAIN, false),
    ("id", |r| r.change_header(|p| p.header.id = changed(p.header.id)), CHAIN, true),
    ("correlation", |r| r.change_header(|p| p.header.correlation = id(1)), CHAIN, true),
    ("causation", |r| r.change_header(|p| p.header.causation = Some(id(2))), CHAIN, true),
    ("timestamp_us", |r| r.change_header(|p| p.header.timestamp_us += 500), CHAIN, true),
    ("hlc", |r| r.change_header(|p| p.header.position.hlc.counter += 1), CHAIN, false),
    (
        "hlc, set back",
        |r| r.change_header(|p| p.header.position.hlc = Hlc { wall_ms: 5, counter: 0 }),
        &[FaultKind::Clock, FaultKind::PrevHash],
        false,
    ),
    ("depth", |r| r.change_header(|p| p.header.position.depth += 1), CHAIN, false),
    ("lane", |r| r.change_header(|p| p.header.position.lane += 1), CHAIN, false),
    (
        "version, moved on",
        |r| r.change_header(|p| p.header.position.version = p.header.version().next()),
        &[FaultKind::StreamVersion],
        false,
    ),
    (
        "version, set back",
        |r| r.change_header(|p| p.header.position.version = Version::ZERO),
        &[FaultKind::StreamVersion],
        false,
    ),
    ("kind", |r| r.change_header(|p| p.header.kind = EventKind::new(1, 2)), CHAIN, true),
    ("flags", |r| r.change_header(|p| p.header.flags = EventFlags::REPLAY), CHAIN, false),
    ("payload_format", |r| r.change_header(|p| p.format = PayloadFormat::Json), CHAIN, false),
    ("payload_version", |r| r.change_header(|p| p.version += 1), CHAIN, false),
    (
        "entity",
        |r| r.change_header(|p| p.coordinate = Coordinate::new("order:9", "shop").unwrap()),
        &[FaultKind::StreamVersion],
        true,
    ),
    (
        "scope",
        |r| r.change_header(|p| p.coordinate = Coordinate::new("order:1", "shoq").unwrap()),
        CHAIN,
        true,
    ),
    (
        "admission",
        |r| {
            r.change_header(|p| {
                let admission = Admission::by_gates(vec!["budget".into()]);
                p.header.admission = Some(Arc::new(admission));
            });
        },
        CHAIN,
        false,
    ),
    ("metadata", |r| drop(r.content.splice(0..1, [2, b'm'])), CHAIN, false),
    ("payload", |r| *r.content.last_mut().unwrap() ^= 1, CHAIN, false),
    (
        "state, and the content with it",
        |r| {
            r.state = RecordState::Erased;
            r.content = vec![9; 32];
        },
        CHAIN,
        false,
    ),
];

fn id(number: u8) -> EventId {
    EventId::from_bytes([number; 16])
}

/// An id beside another, which stays among those of its segment.
fn changed(id: EventId) -> EventId {
    let mut bytes = id.to_bytes();
    bytes[15] ^= 1;
    EventId::from_bytes(bytes)
}

/// The fourth event has one before and one behind it in its stream, in the same segment.
const FORGED: usize = 4;

#[test]
fn b39_a_whole_store_is_whole() {
    let report = verified(&store());
    assert_eq!(report.faults, []);
    assert!(report.is_whole());
    assert_eq!((report.events, report.streams), (240, 3));
}

#[test]
fn b39_every_field_of_a_record_that_was_forged_and_signed_is_found_in_a_sealed_segment() {
    for (name, forge, expected, index) in FORGERIES {
        let storage = store();
        let mut parts = Parts::read(&storage, 0);
        forge(parts.record(FORGED));
        parts.write(&storage);
        let report = verified(&storage);
        let mut expected = expected.to_vec();
        expected.push(FaultKind::FramesHash);
        // Offsets of what comes behind are in the index, too.
        let grown = parts.offset_of(FORGED + 1) != Parts::read(&store(), 0).offset_of(FORGED + 1);
        if *index || grown {
            expected.push(FaultKind::IndexContent);
        }
        assert_eq!(kinds(&report), expected, "{name}: {:#?}", report.faults);
        let chain = report.faults.iter().filter(|fault| fault.kind <= FaultKind::PrevHash);
        for fault in chain {
            assert_eq!(fault.file, parts.id, "{name}");
            assert!(fault.offset >= parts.offset_of(FORGED), "{name}: {fault}");
            assert!(fault.offset < parts.offset_of(FORGED + 4), "{name}: {fault}");
        }
    }
}

#[test]
fn b39_every_field_of_a_record_that_was_forged_and_signed_is_found_in_the_active_segment() {
    for (name, forge, expected, _) in FORGERIES {
        let storage = store();
        let last = storage.list().unwrap().len() - 1;
        let mut parts = Parts::read(&storage, last);
        assert!(parts.footer.is_none());
        forge(parts.record(FORGED));
        parts.write(&storage);
        let Ok(log) = open(&storage) else {
            assert!(expected.contains(&FaultKind::StreamVersion), "{name}: opening sees it first");
            continue;
        };
        let reader = log.reader();
        let report = verify(&reader, &VerifyOptions::default(), |_| ControlFlow::Continue(()));
        assert_eq!(kinds(&report), *expected, "{name}: {:#?}", report.faults);
    }
}

#[test]
fn b39_the_hash_of_the_event_before_is_told_with_its_place() {
    let storage = store();
    let mut parts = Parts::read(&storage, 0);
    let before = parts.record(FORGED).header[..32].to_vec();
    parts.record(FORGED).header[3] ^= 1;
    parts.write(&storage);
    let report = verified(&storage);
    let fault = report.fault(FaultKind::PrevHash).unwrap();
    // The forged event does not name its predecessor, and its successor does not name it.
    assert_eq!((fault.count, fault.offset), (2, parts.offset_of(FORGED) + 11));
    let before = Hash::from_bytes(before.try_into().unwrap());
    assert!(fault.expected.contains(&before.to_string()), "{fault}");
}

#[test]
fn b39_a_forger_of_whole_segments_is_found_by_the_next_one() {
    let storage = store();
    let mut parts = Parts::read(&storage, 1);
    let last = parts.frames.len() - 1;
    *parts.record(last).content.last_mut().unwrap() ^= 1;
    parts.write(&storage);
    // The hash of the frames is forged as well, and the index needs no change.
    let forged = verified(&storage);
    let found = &forged.fault(FaultKind::FramesHash).unwrap().found;
    let mut footer = parts.footer.clone().unwrap();
    footer.frames_hash = found.parse().unwrap();
    parts.footer = Some(footer.clone());
    parts.write(&storage);
    let report = verified(&storage);
    assert_eq!(kinds(&report), [FaultKind::PrevHash, FaultKind::SegmentChain]);
    assert_eq!(report.fault(FaultKind::PrevHash).unwrap().file, storage.list().unwrap()[2]);
    // And with the chain hash, the store does not even open.
    footer.chain_hash = report.fault(FaultKind::SegmentChain).unwrap().expected.parse().unwrap();
    parts.footer = Some(footer);
    parts.write(&storage);
    assert!(matches!(open(&storage), Err(StoreError::Corruption(_))));
}

#[test]
fn b39_every_field_of_a_frame_that_was_forged_and_signed_is_found() {
    type Forgery = (fn(&mut FrameParts), FaultKind);
    let forgeries: [Forgery; 5] = [
        (|f| f.first_sequence = f.first_sequence.next(), FaultKind::Sequence),
        (|f| f.synced_len = 1 << 40, FaultKind::SyncedLength),
        (|f| f.record_count = 0, FaultKind::Record),
        (|f| f.record_count = 2, FaultKind::Record),
        (|f| f.padding = 1, FaultKind::Padding),
    ];
    for (forge, expected) in forgeries {
        let storage = store();
        let mut parts = Parts::read(&storage, 0);
        // Not every frame has bytes of padding.
        let forged = (FORGED..).find(|at| parts.offset_of(at + 1) - 32 != unpadded(&parts, *at));
        forge(&mut parts.frames[forged.unwrap()]);
        parts.write(&storage);
        let report = verified(&storage);
        for kind in [expected, FaultKind::FramesHash] {
            assert!(report.fault(kind).is_some(), "{kind}: {:#?}", report.faults);
        }
    }
}

/// Where a frame would end without padding.
fn unpadded(parts: &Parts, at: usize) -> u64 {
    let record = &parts.frames[at].records[0];
    let len = record::RECORD_PREFIX_LEN + record.header.len() + record.content.len();
    parts.offset_of(at) + len as u64
}

#[test]
fn b39_what_a_footer_says_is_held_against_the_frames() {
    type Forgery = (fn(&mut SegmentFooter), FaultKind);
    let forgeries: [Forgery; 7] = [
        (|f| f.event_count += 1, FaultKind::SegmentFooter),
        (|f| f.time_min_us -= 1, FaultKind::SegmentFooter),
        (|f| f.time_max_us += 1, FaultKind::SegmentFooter),
        (|f| f.last_hlc.counter += 1, FaultKind::SegmentFooter),
        (|f| f.id_min = id(0), FaultKind::SegmentFooter),
        (|f| f.id_max = id(255), FaultKind::SegmentFooter),
        (|f| f.frames_hash = Hash::ZERO, FaultKind::FramesHash),
    ];
    for (forge, expected) in forgeries {
        let storage = store();
        let mut parts = Parts::read(&storage, 1);
        forge(parts.footer.as_mut().unwrap());
        parts.write(&storage);
        let report = verified(&storage);
        assert_eq!(report.faults[0].kind, expected, "{:#?}", report.faults);
    }
}

#[test]
fn b39_every_column_of_an_index_block_is_held_against_the_frames() {
    let original = Parts::read(&store(), 0);
    let stream = original.index_stream();
    let directory = Directory::decode(&stream, stream.len() as u64).unwrap();
    for column in Column::ALL {
        let place = directory.column(column);
        let (mut forged, start) = (stream.clone(), usize::try_from(place.offset).unwrap());
        let len = usize::try_from(place.byte_len()).unwrap();
        let is_filter = matches!(column, Column::FilterDescriptor | Column::FilterFingerprints);
        if len == 0 {
            // All elements are alike: the directory alone holds them.
            let at = 16 + 24 * (column as usize);
            let field = if place.count == 0 { at + 16 } else { at + 8 };
            forged[field] ^= 1;
        } else if column == Column::FilterFingerprints {
            forged[start..start + len].iter_mut().for_each(|byte| *byte ^= 0xFF);
        } else {
            forged[start] ^= 1;
        }
        let storage = store();
        let mut parts = original.clone();
        parts.set_index_stream(&forged);
        parts.write(&storage);
        let report = verified(&storage);
        assert_eq!(kinds(&report), [FaultKind::IndexContent], "{column:?}: {:?}", report.faults);
        let expected = &report.faults[0].expected;
        let named = if is_filter { "a filter".into() } else { format!("{column:?}") };
        assert!(expected.contains(&named), "{column:?}: {expected}");
        assert!(report.faults[0].offset >= original.footer.as_ref().unwrap().frames_end);
    }
}

#[test]
fn b39_two_events_with_one_id_are_found_in_one_segment_and_across() {
    let storage = store();
    let stolen = {
        let mut first = Parts::read(&storage, 0);
        decode_header(&first.record(5).header).unwrap().id()
    };
    for (segment, at) in [(0, 7), (3, 2)] {
        let mut parts = Parts::read(&storage, segment);
        parts.record(at).change_header(|p| p.header.id = stolen);
        parts.write(&storage);
    }
    let report = verified(&storage);
    let fault = report.fault(FaultKind::DuplicateId).unwrap();
    let first = Parts::read(&storage, 0);
    assert_eq!((fault.count, fault.file), (2, first.id));
    assert_eq!((fault.offset, &*fault.found), (first.offset_of(7), &*stolen.to_string()));
    let log = open(&storage).unwrap();
    let options = VerifyOptions::default().with_unique_ids(false);
    let report = verify(&log.reader(), &options, |_| ControlFlow::Continue(()));
    assert_eq!(report.fault(FaultKind::DuplicateId), None);
}

#[test]
fn b39_erased_content_is_told_from_a_broken_chain() {
    let storage = store();
    let mut parts = Parts::read(&storage, 0);
    // Erased as a compaction does it: the header stays, the content's hash takes its place.
    let erased = parts.record(FORGED);
    erased.content = blake3::hash(&erased.content).as_bytes().to_vec();
    erased.state = RecordState::Erased;
    parts.write(&storage);
    let report = verified(&storage);
    assert_eq!((report.erased_events, report.fault(FaultKind::PrevHash)), (1, None));
}

/// A store of which retention has dropped a third, and one stream up to its newest events.
fn retained() -> MemoryStorage {
    let storage = store();
    let mut log = open(&storage).unwrap();
    let keep = |event: &crate::log::EventRef<'_>| {
        event.sequence().get() % 7 > 1
            && (event.header().entity() != "order:2" || event.sequence().get() > 230)
    };
    let config = CompactionConfig::new(CompactionStrategy::Retention(Arc::new(keep)));
    let config = config.with_output_max_bytes(16 * 1024);
    let mut from = Sequence::ZERO;
    while let Some(compaction) = log.begin_compaction(&config, from).unwrap() {
        from = compaction.end();
        if let Some(done) = compaction.run(|_| ControlFlow::Continue(())).unwrap() {
            log.finish_compaction(&done).unwrap();
        }
    }
    drop(log);
    storage
}

#[test]
fn b39_a_store_after_retention_is_whole() {
    let report = verified(&retained());
    assert_eq!(report.faults, []);
    assert!(report.is_whole() && report.pruned_runs > 10 && report.segments > 2);
    assert!(report.events < 150, "{}", report.events);
    assert_eq!(report.streams, 3);
}

#[test]
fn b39_what_is_forged_about_dropped_events_is_found() {
    let storage = retained();
    // Outputs have higher numbers than the segments behind them.
    let mut files = (0..storage.list().unwrap().len()).map(|at| Parts::read(&storage, at));
    let original = files.find(|parts| !parts.header.replaces.is_empty()).unwrap();
    let is_mark = |record: &RecordParts| record.state == RecordState::Pruned;
    let marks = original.frames.iter().position(|frame| frame.records.iter().any(is_mark));
    let marks = marks.expect("the marks have frames of their own");
    let mark = |entity: &str, versions: [u64; 2]| {
        let run = PrunedRun {
            entity: entity.into(),
            first_version: Version::new(versions[0]),
            last_version: Version::new(versions[1]),
            last_sequence: Sequence::ZERO,
            prev_hash: Hash::ZERO,
            last_hash: Hash::ZERO,
        };
        let mut bytes = Vec::new();
        run.encode(&mut bytes, 0);
        let record = RecordRef::parse(&bytes).unwrap();
        let (header, content) = (record.header.to_vec(), record.content.to_vec());
        RecordParts { state: RecordState::Pruned, header, content }
    };
    let expect = |name: &str, kind, forge: &dyn Fn(&mut FrameParts)| {
        let mut parts = original.clone();
        forge(&mut parts.frames[marks]);
        parts.frames[marks].record_count =
            u32::try_from(parts.frames[marks].records.len()).unwrap();
        let storage = storage.fork();
        parts.write(&storage);
        let report = verified(&storage);
        assert!(report.fault(kind).is_some(), "{name}: {:#?}", report.faults);
        assert!(report.fault(FaultKind::FramesHash).is_some(), "{name}");
    };
    expect("a hash", FaultKind::PrevHash, &|frame| frame.records[0].content[0] ^= 1);
    expect("a mark taken away", FaultKind::StreamVersion, &|frame| drop(frame.records.remove(0)));
    expect("no marks", FaultKind::StreamVersion, &|frame| frame.records.clear());
    expect("a mark twice", FaultKind::StreamVersion, &|frame| {
        frame.records.push(frame.records[0].clone());
    });
    expect("a mark of events that are there", FaultKind::StreamVersion, &|frame| {
        frame.records.push(mark("order:0", [1, 3]));
    });
    expect("a mark of a stream that goes on elsewhere", FaultKind::StreamVersion, &|frame| {
        frame.records.push(mark("order:9", [5, 6]));
    });
    expect("a mark that is none", FaultKind::Record, &|frame| frame.records[0].header.clear());
    expect("versions in a circle", FaultKind::Record, &|frame| {
        frame.records[0] = mark("order:0", [3, 1]);
    });
    expect("the greatest version", FaultKind::StreamVersion, &|frame| {
        frame.records.push(mark("order:0", [u64::MAX, u64::MAX]));
        frame.records.push(mark("order:9", [0, u64::MAX]));
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any bytes in the headers and contents of records, all CRCs right: no panic, and a fault.
    #[test]
    fn b39_hostile_records_neither_panic_nor_pass(
        segment in 0..5_usize,
        patches in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 1..6,
        ),
        truncate in prop::option::of((any::<prop::sample::Index>(), any::<prop::sample::Index>())),
        count in prop::option::of((any::<prop::sample::Index>(), any::<u32>())),
    ) {
        let storage = store();
        let log = open(&storage).unwrap();
        let mut parts = Parts::read(&storage, segment);
        let original = format!("{parts:?}");
        let frames = parts.frames.len();
        for (frame, at, byte) in patches {
            if let Some(record) = parts.frames[frame.index(frames)].records.first_mut() {
                let at = at.index(record.header.len() + record.content.len());
                match at.checked_sub(record.header.len()) {
                    None => record.header[at] = byte,
                    Some(at) => record.content[at] = byte,
                }
            }
        }
        if let Some((frame, len)) = truncate
            && let Some(record) = parts.frames[frame.index(frames)].records.first_mut()
        {
            record.header.truncate(len.index(record.header.len()));
        }
        if let Some((frame, count)) = count {
            parts.frames[frame.index(frames)].record_count = count;
        }
        let changed = format!("{parts:?}") != original;
        parts.write(&storage);
        // The reader was there before, as the active segment might not open.
        let report = verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()));
        if changed && parts.footer.is_some() {
            prop_assert!(!report.is_whole());
        }
    }

    /// Any bytes in an index block, all CRCs right.
    #[test]
    fn b39_hostile_index_blocks_never_panic(
        patches in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        in_directory: bool,
    ) {
        let storage = store();
        let log = open(&storage).unwrap();
        let mut parts = Parts::read(&storage, 0);
        let mut stream = parts.index_stream();
        let reach = if in_directory { Directory::LEN } else { stream.len() };
        for (at, byte) in patches {
            stream[at.index(reach)] = byte;
        }
        let changed = stream != parts.index_stream();
        parts.set_index_stream(&stream);
        parts.write(&storage);
        let report = verify(&log.reader(), &VerifyOptions::default(), |_| ControlFlow::Continue(()));
        // Unused bits between columns, and a filter that says yes too often, are no faults.
        prop_assert!(changed || report.is_whole());
    }
}
