//! A segment that is written from events that were there before: by a compaction, by a salvage.
//!
//! Its header names what it replaces, so that sequences in it may have gaps. Its footer is written
//! after all before it is on stable storage, and only from then on it counts.

use super::CompactionProgress;
use crate::format::frame::{self, FRAME_HEADER_LEN};
use crate::format::pruned::PrunedRun;
use crate::format::record::{self, RecordRef, RecordState};
use crate::format::segment::{SegmentFooter, SegmentHeader, chain_hash};
use crate::index::{GrowingIndex, IndexEntry, KeyHasher};
use crate::log::StoreError;
use crate::log::decode::EventRef;
use crate::model::{Hash, Hlc, Sequence};
use crate::storage::{Storage, StorageFile};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Frames are closed when they have so many bytes, and written.
const FRAME_LEN: usize = 256 * 1024;

/// The segment that is being written.
pub(crate) struct Output<F> {
    file: F,
    header: SegmentHeader,
    hasher_of_keys: KeyHasher,
    salt: u32,
    /// Where the frame that is being filled will be written.
    offset: u64,
    frame: Vec<u8>,
    first_sequence: Sequence,
    next_sequence: Sequence,
    records: u32,
    index: GrowingIndex,
    hasher: blake3::Hasher,
    /// The events gone of each stream since the last one kept.
    pruned: BTreeMap<String, PrunedRun>,
    pub(crate) progress: CompactionProgress,
}

/// What a segment leaves to the one behind it.
#[derive(Clone, Copy)]
pub(crate) struct OutputEnd {
    pub(crate) sequence: Sequence,
    /// `None` where no segment behind it names one: then it follows from the frames.
    pub(crate) chain_hash: Option<Hash>,
    pub(crate) hlc: Hlc,
    /// The newest loss among what it is written from; `None` where that does not say.
    pub(crate) newest_loss: Option<u64>,
}

impl<F: StorageFile> Output<F> {
    /// Begins the segment in `file`, which `storage` has just created.
    pub(crate) fn begin<S: Storage>(
        storage: &S,
        file: F,
        header: SegmentHeader,
        hasher: KeyHasher,
    ) -> Result<Self, StoreError> {
        let encoded = header.encode();
        file.write_all_at(&encoded, 0)?;
        file.sync_data()?;
        storage.sync_dir()?;
        let mut bytes = Vec::with_capacity(2 * FRAME_LEN);
        frame::begin(&mut bytes);
        let base = header.base_sequence;
        Ok(Output {
            file,
            hasher_of_keys: hasher,
            salt: header.salt,
            header,
            offset: encoded.len() as u64,
            frame: bytes,
            first_sequence: base,
            next_sequence: base,
            records: 0,
            index: GrowingIndex::new(hasher),
            hasher: blake3::Hasher::new(),
            pruned: BTreeMap::new(),
            progress: CompactionProgress::default(),
        })
    }

    pub(crate) fn is_full(&self) -> bool {
        self.frame.len() >= FRAME_LEN
    }

    pub(crate) fn push(
        &mut self,
        event: &EventRef<'_>,
        old: &RecordRef<'_>,
        erased: Option<Hash>,
    ) -> Result<(), StoreError> {
        // The sequences of one frame have no gap.
        if event.sequence() != self.next_sequence {
            self.flush()?;
            self.first_sequence = event.sequence();
        }
        if let Some(run) = self.pruned.remove(event.header().entity()) {
            self.push_mark(&run);
        }
        let start = record::begin(&mut self.frame);
        self.frame.extend_from_slice(old.header);
        let content_at = self.frame.len();
        let state = match &erased {
            Some(hash) => {
                self.frame.extend_from_slice(hash.as_bytes());
                RecordState::Erased
            }
            None => {
                self.frame.extend_from_slice(old.content);
                old.state
            }
        };
        record::finish(&mut self.frame, start, content_at, state, self.salt);
        let header = event.header();
        let entry = IndexEntry::of_stored(
            header,
            event.sequence(),
            self.offset + start as u64,
            self.hasher_of_keys,
        );
        self.index.push(&entry).map_err(|what| StoreError::InvalidInput(what.to_string()))?;
        self.records += 1;
        self.next_sequence = event.sequence().next();
        self.progress.kept_events += 1;
        Ok(())
    }

    /// Notes events that are gone, joined with the ones right before them in their stream.
    pub(crate) fn prune(&mut self, run: PrunedRun) {
        match self.pruned.get_mut(&run.entity) {
            Some(before) => {
                before.last_version = run.last_version;
                before.last_sequence = run.last_sequence;
                before.last_hash = run.last_hash;
            }
            None => {
                self.pruned.insert(run.entity.clone(), run);
            }
        }
    }

    /// Writes the mark of events that are gone.
    fn push_mark(&mut self, run: &PrunedRun) {
        run.encode(&mut self.frame, self.salt);
        self.records += 1;
        self.index.push_pruned(run);
    }

    /// Closes the frame that is being filled, if it has records, and writes it.
    pub(crate) fn flush(&mut self) -> Result<(), StoreError> {
        if self.records == 0 {
            self.first_sequence = self.next_sequence;
            return Ok(());
        }
        let (first, salt) = (self.first_sequence, self.salt);
        // The footer vouches for all of them, no frame for another.
        frame::finish(&mut self.frame, 0, first, 0, self.records, salt);
        self.file.write_all_at(&self.frame, self.offset)?;
        self.hasher.update(&self.frame);
        self.offset += self.frame.len() as u64;
        self.frame.clear();
        frame::begin(&mut self.frame);
        assert_eq!(self.frame.len(), FRAME_HEADER_LEN, "an empty frame is its header");
        self.records = 0;
        self.first_sequence = self.next_sequence;
        Ok(())
    }

    /// Writes the marks, the index and the footer, and syncs it all.
    pub(crate) fn finish(
        mut self,
        end: OutputEnd,
    ) -> Result<(SegmentFooter, CompactionProgress), StoreError> {
        self.flush()?;
        self.next_sequence = end.sequence;
        self.first_sequence = self.next_sequence;
        for run in core::mem::take(&mut self.pruned).into_values() {
            self.push_mark(&run);
            if self.is_full() {
                self.flush()?;
            }
        }
        self.flush()?;
        self.index.set_frames_end(self.offset);
        let block = self.index.encode(self.salt);
        let footer = self.footer(end, block.len() as u64);
        let mut tail = block;
        tail.extend_from_slice(&footer.encode());
        // A footer says that what stands before it is there, so it must not get there first.
        self.file.sync_data()?;
        self.file.write_all_at(&tail, self.offset)?;
        self.file.set_len(self.offset + tail.len() as u64)?;
        self.file.sync_data()?;
        Ok((footer, self.progress))
    }

    fn footer(&self, end: OutputEnd, index_len: u64) -> SegmentFooter {
        let (time_min_us, time_max_us) = self.index.time_range_us().unwrap_or_default();
        let (id_min, id_max) = self.index.id_range();
        let frames_hash = Hash::from_bytes(*self.hasher.finalize().as_bytes());
        let own_hash = || chain_hash(&self.header.prev_chain_hash, &frames_hash);
        let loses = self.progress.dropped_events > 0 || self.progress.erased_events > 0;
        let own_loss = loses.then_some(self.header.number);
        SegmentFooter {
            number: self.header.number,
            frames_end: self.offset,
            index_len,
            first_sequence: self.header.base_sequence,
            end_sequence: end.sequence,
            event_count: u64::from(self.index.event_count()),
            time_min_us,
            time_max_us,
            last_hlc: end.hlc,
            id_min,
            id_max,
            frames_hash,
            chain_hash: end.chain_hash.unwrap_or_else(own_hash),
            newest_loss: own_loss.or(end.newest_loss),
        }
    }
}
