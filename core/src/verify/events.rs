//! What the events of a segment must be to each other: sequences, clock, streams.

use super::faults::{FaultKind, Faults};
use crate::format::frame::{FRAME_HEADER_LEN, FrameRef};
use crate::format::pruned::PrunedRun;
use crate::format::record::{RECORD_PREFIX_LEN, RecordRef, RecordState};
use crate::format::segment::SegmentHeader;
use crate::index::{GrowingIndex, IndexEntry, KeyHasher};
use crate::log::check_content;
use crate::model::chain::HashQueue;
use crate::model::wire::{HeaderRef, decode_header};
use crate::model::{EventId, Hash, Hlc, Sequence, Version};
use crate::storage::FileId;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

/// Where a stream stands: its newest event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamState {
    pub(super) version: Version,
    pub(super) hash: Hash,
}

/// How an event goes on from the one before in its stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamLink {
    pub(super) version: Version,
    pub(super) prev_hash: Hash,
    /// Where its record stands.
    pub(super) offset: u64,
}

/// What a segment holds of one stream.
#[derive(Debug)]
pub(super) struct StreamPart {
    pub(super) key: u128,
    pub(super) first: StreamLink,
    pub(super) last: StreamState,
}

impl StreamLink {
    /// Reports where the link does not fit behind `before`. Behind damage, events may be missing,
    /// which was reported with the damage.
    pub(super) fn check(
        &self,
        before: Option<&StreamState>,
        behind_damage: bool,
        file: FileId,
        faults: &mut Faults,
    ) {
        let next = before
            .map_or(Version::ZERO, |before| before.version.checked_next().unwrap_or(Version::MAX));
        if self.version != next {
            if self.version < next || !behind_damage {
                let expected = format!("version {next} of the stream");
                let found = format!("version {}", self.version);
                faults.add(FaultKind::StreamVersion, file, self.offset, expected, found);
            }
            return;
        }
        let named = before.map_or(Hash::ZERO, |before| before.hash);
        if self.prev_hash != named {
            let offset = self.offset + RECORD_PREFIX_LEN as u64;
            let expected = format!("the hash {named} of the stream's event before");
            let found = self.prev_hash.to_string();
            faults.add(FaultKind::PrevHash, file, offset, expected, found);
        }
    }
}

/// A link that is checked when the hashes of the events before it are known.
struct PendingLink {
    key: u128,
    link: StreamLink,
    /// Where the stream stands behind it, and the hash there, where that is known already.
    version: Version,
    hash: Option<Hash>,
    behind_damage: bool,
}

/// What is known of a segment's events so far.
pub(super) struct EventChecks {
    file: FileId,
    salt: u32,
    hasher: KeyHasher,
    /// Sequences are gapless but in the output of a compaction.
    gapless: bool,
    pub(super) next_sequence: Sequence,
    pub(super) first_hlc: Option<(Hlc, u64)>,
    pub(super) last_hlc: Option<Hlc>,
    pub(super) streams: Vec<StreamPart>,
    places: HashMap<u128, usize>,
    /// Links of the newest events, and those of their hashes that are not known.
    links: Vec<PendingLink>,
    hashes: HashQueue,
    /// `None` where the frames are so that no index can be made of them.
    pub(super) index: Option<GrowingIndex>,
    /// Each event's id, and where its record stands.
    pub(super) ids: Vec<(EventId, u64)>,
    pub(super) events: u64,
    pub(super) erased_events: u64,
    pub(super) pruned_runs: u64,
    /// Whether events may be missing from what was seen.
    pub(super) damaged: bool,
}

impl EventChecks {
    pub(super) fn new(file: FileId, header: &SegmentHeader, hasher: KeyHasher) -> Self {
        EventChecks {
            file,
            salt: header.salt,
            hasher,
            gapless: header.replaces.is_empty(),
            next_sequence: header.base_sequence,
            first_hlc: None,
            last_hlc: None,
            streams: Vec::new(),
            places: HashMap::new(),
            links: Vec::new(),
            hashes: HashQueue::default(),
            index: Some(GrowingIndex::new(hasher)),
            ids: Vec::new(),
            events: 0,
            erased_events: 0,
            pruned_runs: 0,
            damaged: false,
        }
    }

    /// Notes that bytes could not be understood, so that events may be missing.
    pub(super) fn note_damage(&mut self) {
        self.damaged = true;
        self.index = None;
    }

    pub(super) fn frame(&mut self, offset: u64, frame: &FrameRef<'_>, faults: &mut Faults) {
        let (first, next) = (frame.first_sequence, self.next_sequence);
        if first < next || (first > next && self.gapless && !self.damaged) {
            let expected = format!("a frame from sequence {next} on");
            faults.add(FaultKind::Sequence, self.file, offset + 12, expected, first.to_string());
        }
        if frame.synced_len > offset {
            let expected = format!("at most {offset} bytes before it on stable storage");
            let found = frame.synced_len.to_string();
            faults.add(FaultKind::SyncedLength, self.file, offset + 20, expected, found);
        }
        self.next_sequence = first;
        for record in frame.records() {
            match record {
                Ok((at, record)) => {
                    let bytes = frame.records.get(at - FRAME_HEADER_LEN..);
                    let place = offset + at as u64;
                    if let Err(fault) =
                        RecordRef::parse_checked(bytes.unwrap_or_default(), self.salt)
                    {
                        faults.add_format(FaultKind::Record, self.file, place, fault);
                    }
                    self.record(place, record, faults);
                }
                Err(fault) => {
                    faults.add_format(FaultKind::Record, self.file, offset, fault);
                    self.note_damage();
                }
            }
        }
    }

    fn record(&mut self, place: u64, record: RecordRef<'_>, faults: &mut Faults) {
        if record.state == RecordState::Pruned {
            return self.mark(place, &record, faults);
        }
        let header = match decode_header(record.header) {
            Ok(header) => header,
            Err(error) => {
                let offset = place + RECORD_PREFIX_LEN as u64;
                let found = error.to_string();
                let expected = "a valid event header";
                faults.add(FaultKind::EventHeader, self.file, offset, expected, found);
                return self.skip();
            }
        };
        if let Err(fault) = record.queue_event_hash(&mut self.hashes) {
            faults.add_format(FaultKind::Record, self.file, place, fault);
            return self.skip();
        }
        let (version, prev_hash) = (header.version(), header.prev_hash());
        let link = StreamLink { version, prev_hash, offset: place };
        self.link(header.entity(), link, version, None);
        if self.hashes.is_full() {
            self.settle(faults);
        }
        if record.state == RecordState::Whole
            && let Err(fault) = check_content(&record)
        {
            faults.add_format(FaultKind::Record, self.file, place, fault);
        }
        self.erased_events += u64::from(record.state == RecordState::Erased);
        self.clock(place, header.hlc(), faults);
        self.ids.push((header.id(), place));
        self.push(place, &header);
        self.count();
    }

    /// Follows a chain over the events that retention has dropped.
    fn mark(&mut self, place: u64, record: &RecordRef<'_>, faults: &mut Faults) {
        let run = match PrunedRun::decode(record) {
            Ok(run) => run,
            Err(fault) => {
                faults.add_format(FaultKind::Record, self.file, place, fault);
                return self.note_damage();
            }
        };
        self.pruned_runs += 1;
        let PrunedRun { first_version, prev_hash, last_version, last_hash, .. } = run;
        let link = StreamLink { version: first_version, prev_hash, offset: place };
        self.link(&run.entity, link, last_version, Some(last_hash));
        if let Some(index) = &mut self.index {
            index.push_pruned(&run);
        }
    }

    /// Goes past an event that is not understood.
    fn skip(&mut self) {
        self.note_damage();
        self.count();
    }

    fn count(&mut self) {
        self.events += 1;
        self.next_sequence = self.next_sequence.checked_next().unwrap_or(Sequence::MAX);
    }

    fn link(&mut self, entity: &str, link: StreamLink, version: Version, hash: Option<Hash>) {
        let (key, behind_damage) = (self.hasher.wide_name(entity), self.damaged);
        self.links.push(PendingLink { key, link, version, hash, behind_damage });
    }

    /// Checks the links that were put off. Their hashes do not wait for one another, as those of
    /// events to be written do: each event has that of the one before it.
    pub(super) fn settle(&mut self, faults: &mut Faults) {
        let mut hashes = self.hashes.finish().into_iter();
        for PendingLink { key, link, version, hash, behind_damage } in self.links.drain(..) {
            let hash = hash.or_else(|| hashes.next()).expect("a hash for each event");
            let last = StreamState { version, hash };
            match self.places.entry(key) {
                Entry::Occupied(place) => {
                    let part = &mut self.streams[*place.get()];
                    link.check(Some(&part.last), behind_damage, self.file, faults);
                    part.last = last;
                }
                Entry::Vacant(place) => {
                    place.insert(self.streams.len());
                    self.streams.push(StreamPart { key, first: link, last });
                }
            }
        }
    }

    fn clock(&mut self, place: u64, hlc: Hlc, faults: &mut Faults) {
        check_clock(self.last_hlc, hlc, self.file, place, faults);
        self.first_hlc.get_or_insert((hlc, place));
        self.last_hlc = Some(hlc);
    }

    fn push(&mut self, offset: u64, header: &HeaderRef<'_>) {
        let Some(index) = &mut self.index else { return };
        let entry = IndexEntry::of_stored(header, self.next_sequence, offset, self.hasher);
        // Sequences or versions go back, which was reported.
        if index.push(&entry).is_err() {
            self.index = None;
        }
    }
}

/// Reports where the clock does not rise from one event to the next.
pub(super) fn check_clock(
    before: Option<Hlc>,
    hlc: Hlc,
    file: FileId,
    offset: u64,
    faults: &mut Faults,
) {
    if let Some(before) = before
        && hlc <= before
    {
        let expected = format!("a clock above {before}");
        faults.add(FaultKind::Clock, file, offset, expected, hlc.to_string());
    }
}
