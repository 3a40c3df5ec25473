//! Segments behind those of a store: what a backup that continues it brings.
//!
//! Their frames are those of the store that was backed up, but vouch for nothing, since they stand
//! at other places now; header, index and footer are made anew. Every event must go on from the
//! newest one of its stream, in the store or before it in the backup.

use crate::format::Fault;
use crate::format::backup::{BackupHeader, BackupSegment, Border};
use crate::format::frame::{self, FRAME_ALIGN, FrameAt, FrameRef};
use crate::format::pruned::PrunedRun;
use crate::format::record::{RecordRef, RecordState};
use crate::format::segment::{SEGMENT_HEADER_LEN, SegmentFooter, SegmentHeader, chain_hash};
use crate::log::config::{Host, LogConfig};
use crate::log::decode::EventRef;
use crate::log::import::error::diverged;
use crate::log::import::unpublished::make_empty;
use crate::log::meta::Values;
use crate::log::reader::Reader;
use crate::log::recovery::index_frames;
use crate::log::writer::Log;
use crate::log::{BackupError, Corruption, StoreError};
use crate::model::{Hash, Hlc, Sequence, Version};
use crate::storage::{FileId, Storage, StorageFile};
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashMap;

/// Where an import goes.
pub(super) struct Target<S: Storage> {
    pub(super) first_segment: u64,
    pub(super) first_meta: u64,
    /// What is behind the events that are there; `None` in an empty storage.
    end: Option<End<S>>,
}

/// The end of a store, as the import moves it on.
struct End<S: Storage> {
    reader: Reader<Arc<S>>,
    next_number: u64,
    chain_hash: Hash,
    hlc: Hlc,
    /// The newest event of each stream that the import has brought.
    heads: HashMap<u128, (Version, Hash)>,
}

impl<S: Storage> Target<S> {
    /// An empty storage.
    pub(super) fn empty(storage: &Arc<S>) -> Result<Self, BackupError> {
        make_empty(storage)?;
        Ok(Target { first_segment: 1, first_meta: 1, end: None })
    }

    /// A store that ends where the backup begins, with its values. Its active segment is sealed.
    pub(super) fn of_store<H: Host>(
        storage: &Arc<S>,
        host: &H,
        header: &BackupHeader,
    ) -> Result<(Self, Values), BackupError> {
        let mut log = Log::open(Arc::clone(storage), host, LogConfig::default())?;
        let reader = log.reader();
        header.check_continues(&reader)?;
        if header.segment_count > 0 {
            log.make_close_sure()?;
            log.seal()?;
            log.drop_eventless_segment()?;
        }
        let reader = log.reader();
        let sealed = reader.view.sealed.last();
        let end = End {
            next_number: log.next_number,
            chain_hash: sealed.map_or(Hash::ZERO, |sealed| sealed.footer.chain_hash),
            hlc: log.hlc,
            heads: HashMap::new(),
            reader,
        };
        let (first_segment, first_meta) = (log.next_number, log.meta.next_number());
        let values = log.meta.values().clone();
        Ok((Target { first_segment, first_meta, end: Some(end) }, values))
    }

    pub(super) fn continues(&self) -> bool {
        self.end.is_some()
    }

    /// The number that a segment gets here.
    pub(super) fn number_of(&self, about: &BackupSegment) -> u64 {
        self.end.as_ref().map_or(about.number, |end| end.next_number)
    }
}

impl BackupHeader {
    /// Whether a backup that is not whole goes on where a store ends, and is of that store.
    ///
    /// # Errors
    ///
    /// [`BackupError::OtherStore`], [`BackupError::Diverged`], [`BackupError::DoesNotContinue`];
    /// corruption; storage errors.
    pub fn check_continues<S: Storage>(&self, store: &Reader<S>) -> Result<(), BackupError> {
        let (first, end) = (self.first_sequence, store.end());
        if end == Sequence::ZERO {
            return Err(BackupError::DoesNotContinue { first, end });
        }
        if self.store_id != store.store_id() {
            let (backup, store) = (self.store_id, store.store_id());
            return Err(BackupError::OtherStore { backup, store });
        }
        if let Some(Border { sequence, event_hash }) = self.border
            && sequence < end
        {
            let found = store.event_hash_at(sequence)?;
            if found != Some(event_hash) {
                return Err(diverged(sequence, Some(event_hash), found));
            }
        }
        if first != end {
            return Err(BackupError::DoesNotContinue { first, end });
        }
        Ok(())
    }
}

/// How much is written in one go.
const WRITE_LEN: usize = 1024 * 1024;

/// A segment that is made of a backup's.
pub(super) struct Continued<S: Storage> {
    id: FileId,
    file: S::File,
    about: BackupSegment,
    /// `None` until the backup's header of it has come.
    header: Option<SegmentHeader>,
    /// What has come and is no whole frame yet.
    pending: Vec<u8>,
    /// Frames that wait to be written, at `offset`.
    out: Vec<u8>,
    offset: u64,
    /// Bytes of the backup's segment that were taken apart.
    seen: u64,
    /// Whether the section at hand was taken apart: it comes again where a file was not ready.
    absorbed: bool,
    next_sequence: Sequence,
    hasher: blake3::Hasher,
}

impl<S: Storage> Continued<S> {
    pub(super) fn new(id: FileId, file: S::File, about: BackupSegment) -> Self {
        Continued {
            id,
            file,
            about,
            header: None,
            pending: Vec::new(),
            out: Vec::new(),
            offset: 0,
            seen: 0,
            absorbed: false,
            next_sequence: about.base_sequence,
            hasher: blake3::Hasher::new(),
        }
    }

    /// Takes the next bytes, and finishes the segment with its `last` ones.
    pub(super) fn take(
        &mut self,
        target: &mut Target<S>,
        backup: &BackupHeader,
        bytes: &[u8],
        last: bool,
    ) -> Result<(), BackupError> {
        let Some(end) = &mut target.end else { return Err(BackupError::Incomplete) };
        if !self.absorbed {
            self.pending.extend_from_slice(bytes);
            if last {
                // A file may end within the padding of its last frame.
                self.pending.resize(self.pending.len().next_multiple_of(FRAME_ALIGN), 0);
            }
            self.absorb(end, backup)?;
            self.absorbed = true;
        }
        if self.out.len() >= WRITE_LEN || (last && !self.out.is_empty()) {
            self.file.write_all_at(&self.out, self.offset)?;
            self.offset += self.out.len() as u64;
            self.out.clear();
        }
        if last {
            self.finish(end)?;
        }
        self.absorbed = false;
        Ok(())
    }

    /// Takes all whole frames apart that have come.
    fn absorb(&mut self, end: &mut End<S>, backup: &BackupHeader) -> Result<(), BackupError> {
        let mut at = 0;
        if self.header.is_none() {
            let Some(len) = self.take_header(end, backup)? else { return Ok(()) };
            at = len;
        }
        let pending = core::mem::take(&mut self.pending);
        let salt = self.header.as_ref().map_or(0, |header| header.salt);
        while at < pending.len() {
            let place = self.seen + at as u64;
            match FrameRef::at(&pending[at..], self.about.byte_len.saturating_sub(place), salt) {
                FrameAt::Frame(frame) if at + frame.len <= pending.len() => {
                    self.take_frame(end, &frame, place)?;
                    frame::push_unvouched(&mut self.out, &pending[at..at + frame.len], salt);
                    at += frame.len;
                }
                FrameAt::Frame(_) | FrameAt::Incomplete { .. } => break,
                FrameAt::Invalid(fault) => return Err(self.corruption(fault.behind(place))),
            }
        }
        self.pending = pending;
        self.pending.drain(..at);
        self.seen += at as u64;
        Ok(())
    }

    /// Makes the header from that of the backup's segment, and says how long that one was.
    fn take_header(
        &mut self,
        end: &End<S>,
        backup: &BackupHeader,
    ) -> Result<Option<usize>, BackupError> {
        if self.pending.len() < SEGMENT_HEADER_LEN {
            return Ok(None);
        }
        let needed = SegmentHeader::needed(&self.pending);
        let needed = needed.map_err(|fault| StoreError::header(self.id, fault))?;
        if self.pending.len() < needed {
            return Ok(None);
        }
        let found = SegmentHeader::decode(&self.pending);
        let found = found.map_err(|fault| StoreError::header(self.id, fault))?;
        if found.store_id != backup.store_id {
            let (backup, store) = (found.store_id, backup.store_id);
            return Err(BackupError::OtherStore { backup, store });
        }
        let header = SegmentHeader {
            number: self.id.number,
            base_sequence: self.about.base_sequence,
            prev_chain_hash: end.chain_hash,
            // Where events are gone, the segment says so by replacing one that never was.
            replaces: found.replaces.first().map(|_| 0).into_iter().collect(),
            ..found
        };
        self.out.extend_from_slice(&header.encode());
        self.header = Some(header);
        Ok(Some(needed))
    }

    fn take_frame(
        &mut self,
        end: &mut End<S>,
        frame: &FrameRef<'_>,
        place: u64,
    ) -> Result<(), BackupError> {
        let header = self.header.as_ref();
        let gapless = header.is_none_or(|header| header.replaces.is_empty());
        let salt = header.map_or(0, |header| header.salt);
        let mut sequence = frame.first_sequence;
        if sequence < self.next_sequence || (gapless && sequence != self.next_sequence) {
            let expected = alloc::format!("a frame from sequence {} on", self.next_sequence);
            let fault = Fault::new(place + 12, expected, sequence.to_string());
            return Err(self.corruption(fault));
        }
        for record in frame.records() {
            let wrong = |fault: Fault| self.corruption(fault.behind(place));
            let (at, record) = record.map_err(wrong)?;
            let bytes = frame.records.get(at - frame::FRAME_HEADER_LEN..).unwrap_or_default();
            RecordRef::parse_checked(bytes, salt)
                .map_err(|fault| wrong(fault.behind(at as u64)))?;
            if record.state == RecordState::Pruned {
                let run = PrunedRun::decode(&record).map_err(wrong)?;
                end.take_pruned(&run)?;
            } else {
                let event = EventRef::new(record, sequence).map_err(wrong)?;
                end.take_event(&event)?;
                sequence = sequence.next();
            }
        }
        self.next_sequence = sequence;
        Ok(())
    }

    /// Writes index and footer, and moves the store's end on.
    fn finish(&mut self, end: &mut End<S>) -> Result<(), BackupError> {
        let Some(header) = self.header.clone().filter(|_| self.pending.is_empty()) else {
            let fault = Fault::new(self.seen, "a whole frame", "the end of the segment");
            return Err(self.corruption(fault));
        };
        let (about, frames_end) = (self.about, self.offset);
        let hasher = end.reader.shared.hasher;
        let scanned = index_frames(&self.file, &header, frames_end, hasher)?;
        let gapless = header.replaces.is_empty();
        let ends_right = scanned.end.fault.is_none()
            && scanned.next_sequence <= about.end_sequence
            && (!gapless || scanned.next_sequence == about.end_sequence);
        if !ends_right {
            let expected = alloc::format!("events up to sequence {}", about.end_sequence);
            let found = scanned.next_sequence.to_string();
            return Err(self.corruption(Fault::new(frames_end, expected, found)));
        }
        let frames_hash = self.frames_hash(&header, frames_end)?;
        let index = scanned.index;
        let mut tail = index.encode(header.salt);
        let (time_min_us, time_max_us) = index.time_range_us().unwrap_or_default();
        let (id_min, id_max) = index.id_range();
        let footer = SegmentFooter {
            number: header.number,
            frames_end,
            index_len: tail.len() as u64,
            first_sequence: about.base_sequence,
            end_sequence: about.end_sequence,
            event_count: u64::from(index.event_count()),
            time_min_us,
            time_max_us,
            last_hlc: end.hlc,
            id_min,
            id_max,
            frames_hash,
            chain_hash: chain_hash(&header.prev_chain_hash, &frames_hash),
            // Of one in which events may be gone, its own number counts.
            newest_loss: None,
        };
        tail.extend_from_slice(&footer.encode());
        self.file.write_all_at(&tail, frames_end)?;
        self.file.set_len(frames_end + tail.len() as u64)?;
        self.file.sync_data()?;
        end.chain_hash = footer.chain_hash;
        end.next_number += 1;
        Ok(())
    }

    fn frames_hash(&mut self, header: &SegmentHeader, end: u64) -> Result<Hash, BackupError> {
        let mut at = header.encoded_len() as u64;
        let mut chunk = Vec::new();
        self.hasher.reset();
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(WRITE_LEN).min(WRITE_LEN);
            chunk.resize(len, 0);
            self.file.read_exact_at(&mut chunk, at)?;
            self.hasher.update(&chunk);
            at += len as u64;
        }
        Ok(Hash::from_bytes(*self.hasher.finalize().as_bytes()))
    }

    fn corruption(&self, fault: Fault) -> BackupError {
        let id = FileId::segment(self.about.number);
        BackupError::Store(Corruption::at(id, 0, fault).into())
    }
}

impl<S: Storage> End<S> {
    /// Checks that an event goes on from its stream's newest one, and takes its place.
    fn take_event(&mut self, event: &EventRef<'_>) -> Result<(), BackupError> {
        let (header, sequence) = (event.header(), event.sequence());
        let version = header.version();
        let hash = event.event_hash();
        self.go_on(header.entity(), (version, header.prev_hash()), (version, hash), sequence)?;
        if header.hlc() <= self.hlc {
            let expected = "a logical clock that goes on".into();
            let found = "one that does not".into();
            return Err(BackupError::Diverged { sequence, expected, found });
        }
        if let Some(other) = self.reader.find(header.id(), |other| other.sequence())? {
            let expected = "an id that no other event has".into();
            let found = alloc::format!("that of event {other}").into();
            return Err(BackupError::Diverged { sequence, expected, found });
        }
        self.hlc = header.hlc();
        Ok(())
    }

    fn take_pruned(&mut self, run: &PrunedRun) -> Result<(), BackupError> {
        let first = (run.first_version, run.prev_hash);
        self.go_on(&run.entity, first, (run.last_version, run.last_hash), run.last_sequence)
    }

    fn go_on(
        &mut self,
        entity: &str,
        (version, prev_hash): (Version, Hash),
        last: (Version, Hash),
        sequence: Sequence,
    ) -> Result<(), BackupError> {
        let key = self.reader.shared.hasher.wide_name(entity);
        let head = match self.heads.get(&key) {
            Some(head) => Some(*head),
            None => self.reader.head_hash(entity)?,
        };
        let goes_on = match head {
            Some((before, hash)) => before.checked_next() == Some(version) && hash == prev_hash,
            None => version == Version::ZERO && prev_hash == Hash::ZERO,
        };
        if !goes_on {
            return Err(diverged(sequence, Some(prev_hash), head.map(|(_, hash)| hash)));
        }
        self.heads.insert(key, last);
        Ok(())
    }
}
