//! The targets that take bytes of files.

use std::ops::ControlFlow;

use annals_core::format::frame::{FrameAt, FrameRef};
use annals_core::format::meta::{self, MetaHeader};
use annals_core::format::scan;
use annals_core::format::segment::{SegmentFooter, SegmentHeader};
use annals_core::{
    Append, Coordinate, Event, EventKind, FileId, Log, LogConfig, MemoryStorage, Payload,
    ReadOnlyLog, Reader, Region, Storage, StorageErrorKind, StorageFile, StoreError, VerifyOptions,
    verify,
};

use super::{repair_meta, repair_segment};
use crate::conformance::TestHost;
use crate::golden::{GOLDEN, Golden, Listing};

/// Frames at every place, and the walk over all of them, by the salt that stands in a header.
pub(super) fn frames(data: &[u8]) {
    let salt = data.get(56..60).and_then(|salt| salt.try_into().ok());
    let salt = salt.map_or(0, u32::from_le_bytes);
    let mut visited = 0;
    let mut repaired = data.to_vec();
    repair_segment(&mut repaired);
    for bytes in [data, &repaired] {
        let start = SegmentHeader::decode(bytes).map_or(0, |header| header.encoded_len());
        let end = scan::frames(&mut &*bytes, start as u64, bytes.len() as u64, salt, |_, frame| {
            look_at(&frame);
            visited += 1;
            Ok::<_, std::convert::Infallible>(())
        });
        let Ok(end) = end;
        let Ok(tail) = scan::tail(&mut &*bytes, end.offset.next_multiple_of(8), salt);
        assert!(tail.torn_len <= bytes.len() as u64);
        for at in (0..bytes.len()).step_by(8) {
            let remaining = (bytes.len() - at) as u64;
            if let FrameAt::Frame(frame) = FrameRef::at(&bytes[at..], remaining, salt) {
                look_at(&frame);
            }
        }
    }
}

fn look_at(frame: &FrameRef<'_>) {
    for record in frame.records() {
        let Ok((_, record)) = record else { break };
        // Any of them may be refused, and none may panic.
        let _ = (record.content_hash(), record.event_hash());
    }
}

/// What decodes is encoded to what decodes to the same. Bytes that are kept for later may differ.
pub(super) fn headers(data: &[u8]) {
    let mut repaired = data.to_vec();
    repair_segment(&mut repaired);
    let mut meta = data.to_vec();
    repair_meta(&mut meta);
    for bytes in [data, &repaired, &meta] {
        if let Ok(header) = SegmentHeader::decode(bytes) {
            assert_eq!(SegmentHeader::decode(&header.encode()).ok(), Some(header));
        }
        if let Ok(Some(footer)) = SegmentFooter::decode(bytes) {
            assert_eq!(SegmentFooter::decode(&footer.encode()), Ok(Some(footer)));
        }
        if let Ok(header) = MetaHeader::decode(bytes) {
            let Ok(_) = meta::scan(&mut &*bytes, &header, |frame| {
                assert!(frame.entries().all(|entry| !entry.key.is_empty()));
            });
        }
    }
}

fn open(storage: &MemoryStorage) -> Result<Log<MemoryStorage, TestHost>, StoreError> {
    let host = TestHost::new(3).with_step_us(1_000);
    Log::open(storage.clone(), host, LogConfig::default())
}

pub(super) fn put(storage: &MemoryStorage, id: FileId, bytes: &[u8]) {
    let file = storage.open(id).or_else(|_| storage.create(id)).expect("a file in memory");
    file.set_len(0).and_then(|()| file.write_all_at(bytes, 0)).expect("a file in memory");
}

/// Damage is told as damage.
pub(super) fn typed(error: &StoreError) {
    match error {
        StoreError::Corruption(_) | StoreError::NewerFormat { .. } => {}
        other => panic!("damage is answered with {other:?}"),
    }
}

/// What was read of a store.
pub(super) struct Seen {
    events: Vec<Event>,
    /// Whether nothing was refused or denied.
    is_sound: bool,
}

impl Seen {
    /// Everything up to the first error, in both directions, and the first of them by all that
    /// leads to them.
    pub(super) fn by<S: Storage>(reader: &Reader<S>) -> Self {
        let mut seen = Seen { events: Vec::new(), is_sound: true };
        for event in reader.query(&Region::all()) {
            match event {
                Ok(event) => seen.events.push(event),
                Err(error) => seen.refused(&error),
            }
        }
        for event in reader.query(&Region::all()).backward() {
            event.err().iter().for_each(|error| seen.refused(error));
        }
        for event in seen.events.clone().iter().take(20) {
            let entity = event.coordinate.entity();
            let errors = [
                reader.get(event.id()).err(),
                reader.get_at(event.sequence()).err(),
                reader.head(entity).err(),
                reader.walk_ancestors(event.id(), 3).err(),
            ];
            errors.iter().flatten().for_each(|error| seen.refused(error));
            reader.stream(entity).filter_map(Result::err).for_each(|error| seen.refused(&error));
        }
        seen
    }

    /// An index that lies may deny an event too.
    fn refused(&mut self, error: &StoreError) {
        self.is_sound = false;
        match error {
            StoreError::NotFound(_) | StoreError::SequenceNotFound(_) => {}
            other => typed(other),
        }
    }

    /// What readers stumble over, a verification finds.
    pub(super) fn check_verified<S: Storage>(&self, reader: &Reader<S>) {
        let report = verify(reader, &VerifyOptions::default(), |_| ControlFlow::Continue(()));
        assert!(self.is_sound || !report.is_whole(), "a verification finds nothing: {report:?}");
    }
}

/// A file of any bytes as the only segment. Where it opens, what is read stays, behind appends and
/// after it was opened again.
pub(super) fn segment(data: &[u8]) {
    let Some((repair, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if repair % 2 == 1 {
        repair_segment(&mut bytes);
    }
    let number = SegmentHeader::decode(&bytes).map_or(1, |header| header.number);
    let storage = MemoryStorage::new();
    put(&storage, FileId::segment(number), &bytes);
    let read_only = ReadOnlyLog::open(storage.clone(), LogConfig::default());
    let seen = read_only.map(|log| Seen::by(&log.reader()));
    let mut log = match open(&storage) {
        Ok(log) => log,
        Err(error) => return typed(&error),
    };
    let before = Seen::by(&log.reader());
    let events = seen.as_ref().map(|seen| &seen.events);
    assert_eq!(events.ok(), Some(&before.events), "read-only and for writing");
    before.check_verified(&log.reader());
    let at = Coordinate::new("order:5", "shop").expect("valid");
    let append = Append::new(at, EventKind::new(1, 1), Payload::raw("more"));
    match log.append(&append) {
        Ok(receipt) => {
            let read = log.reader().get_at(receipt.sequence);
            assert_eq!(read.expect("what was appended is there").id(), receipt.id);
        }
        Err(StoreError::Limit(_)) => {}
        // No number is left for another file.
        Err(StoreError::Storage(error)) => {
            assert_eq!((error.kind(), number), (StorageErrorKind::AlreadyExists, u64::MAX));
        }
        Err(error) => typed(&error),
    }
    drop(log);
    match open(&storage) {
        Ok(log) => {
            let after = Seen::by(&log.reader()).events;
            assert_eq!(after.get(..before.events.len()), Some(&before.events[..]), "again");
        }
        Err(error) => panic!("it opened before: {error}"),
    }
}

/// The largest sealed segment of a golden store.
fn sealed(golden: &Golden) -> (FileId, &'static [u8], SegmentFooter) {
    let sealed = golden.files.iter().filter_map(|(name, bytes)| {
        let footer = SegmentFooter::decode(bytes.get(bytes.len().checked_sub(256)?..)?).ok()??;
        Some((FileId::parse(name)?, *bytes, footer))
    });
    sealed.max_by_key(|(_, bytes, _)| bytes.len()).expect("one is sealed")
}

fn frames_end(footer: &SegmentFooter) -> usize {
    usize::try_from(footer.frames_end).expect("small")
}

/// The index blocks of the golden stores.
pub(super) fn index_blocks() -> Vec<Vec<u8>> {
    let blocks = GOLDEN.iter().map(|golden| {
        let (_, bytes, footer) = sealed(golden);
        bytes[frames_end(&footer)..bytes.len() - 256].to_vec()
    });
    blocks.collect()
}

/// Any index with right checksums: it may hide events and give them other sequences, which stand
/// nowhere else, but what is given is what was appended, and a verification finds the rest.
pub(super) fn index_block(data: &[u8]) {
    for golden in GOLDEN {
        let (id, bytes, mut footer) = sealed(golden);
        let mut damaged = bytes[..frames_end(&footer)].to_vec();
        damaged.extend_from_slice(data);
        footer.index_len = data.len() as u64;
        damaged.extend_from_slice(&footer.encode());
        repair_segment(&mut damaged);
        let storage = golden.storage();
        put(&storage, id, &damaged);
        let log = match open(&storage) {
            Ok(log) => log,
            Err(error) => return typed(&error),
        };
        let mut seen = Seen::by(&log.reader());
        let listing = golden.listing();
        check_listed(&seen.events, &listing);
        let entries = seen.events.iter().map(crate::golden::Entry::from);
        seen.is_sound &= entries.eq(listing.events.iter().cloned());
        seen.check_verified(&log.reader());
    }
}

fn check_listed(events: &[Event], listing: &Listing) {
    for event in events {
        let mut entry = crate::golden::Entry::from(event);
        let is_listed = listing.events.iter().any(|listed| {
            entry.sequence = listed.sequence;
            entry == *listed
        });
        assert!(is_listed, "never appended: {event:?}");
    }
}

/// Any meta log beside a golden store: the store opens, says what is wrong, and every event is
/// there.
pub(super) fn meta(data: &[u8]) {
    let Some((repair, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if repair % 2 == 1 {
        repair_meta(&mut bytes);
    }
    for golden in GOLDEN {
        let storage = golden.storage();
        let (name, _) = golden.files.iter().find(|(name, _)| name.ends_with(".meta")).expect("one");
        put(&storage, FileId::parse(name).expect("a name"), &bytes);
        let mut log = match open(&storage) {
            Ok(log) => log,
            Err(StoreError::NewerFormat { .. }) => return,
            // It says that there were more events.
            Err(StoreError::Corruption(_)) if bytes.windows(5).any(|key| key == b"s/end") => return,
            Err(error) => panic!("no meta log keeps a store from opening: {error}"),
        };
        let seen = Seen::by(&log.reader());
        assert!(seen.is_sound);
        assert_eq!(seen.events.len(), golden.listing().events.len());
        let names = log.reader().kind_names();
        log.consumer_names().for_each(|name| drop(log.consumer_checkpoint(name)));
        assert!(log.projection_checkpoints().count() < 1 << 20);
        let named = log.kind_for_name("fuzz.named").expect("there are numbers left");
        drop(log);
        let log = open(&storage).expect("it opened before");
        // A value that makes no sense, and has a right checksum, is told each time.
        let is_mended = log.recovery().meta_damage.is_empty();
        assert!(is_mended || repair % 2 == 1, "it was told and mended");
        let mut after = log.reader().kind_names();
        assert_eq!(log.reader().kind_named("fuzz.named"), Some(named));
        if !names.iter().any(|(kind, _)| *kind == named) {
            after.retain(|(kind, _)| *kind != named);
        }
        assert_eq!(after, names);
    }
}
