//! Proving one segment, alone: a pure function of its file.

use super::VerifyOptions;
use super::events::{EventChecks, StreamPart};
use super::faults::{FaultKind, Faults};
use super::index_block::{BlockPlace, check_block};
use crate::format::frame::FRAME_HEADER_LEN;
use crate::format::segment::{SEGMENT_FOOTER_LEN, SegmentFooter, SegmentHeader, chain_hash};
use crate::log::{Frames, Piece, Reader, Segment};
use crate::model::{EventId, Hash, Hlc, Sequence};
use crate::storage::{FileId, Storage, StorageError, StorageFile};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Display;
use core::ops::ControlFlow;

/// What the verification of one segment found, to be merged with that of the others.
#[derive(Debug)]
pub struct SegmentFindings {
    pub(super) at: usize,
    pub(super) file: FileId,
    pub(super) bytes: u64,
    pub(super) base_sequence: Sequence,
    pub(super) prev_chain_hash: Hash,
    /// Where the next segment begins, and the chain hash that it names; of a sealed one.
    pub(super) end: Option<(Sequence, Hash)>,
    pub(super) first_hlc: Option<(Hlc, u64)>,
    pub(super) last_hlc: Option<Hlc>,
    pub(super) streams: Vec<StreamPart>,
    pub(super) events: u64,
    pub(super) erased_events: u64,
    pub(super) pruned_runs: u64,
    /// Whether events may be missing from what was seen.
    pub(super) damaged: bool,
    pub(super) faults: Faults,
    pub(super) stopped: bool,
}

/// How much of a file is read in one go.
const STEP_LEN: usize = 1024 * 1024;
/// How many ids are looked up between two chances to stop.
const IDS_STEP: usize = 4_096;

/// Proves the segment at a place of the reader's, from 0 to [`Reader::segment_count`].
///
/// Segments may be proven at once and in any order: give what comes out to a
/// [`VerifyMerge`](super::VerifyMerge). `on_bytes` is told how many more bytes were proven, every
/// megabyte or so, and stops by answering `Break`.
///
/// # Panics
///
/// Where the reader sees no segment at that place.
pub fn verify_segment<S: Storage>(
    reader: &Reader<S>,
    at: usize,
    options: &VerifyOptions,
    on_bytes: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> SegmentFindings {
    let mut verification = SegmentVerification::new(reader.clone(), at, *options);
    while let Some(read) = verification.step() {
        if on_bytes(read).is_break() {
            return verification.stop();
        }
    }
    verification.finish()
}

/// The verification of one segment, step by step.
pub(super) struct SegmentVerification<S: Storage> {
    reader: Reader<S>,
    at: usize,
    options: VerifyOptions,
    frames_end: u64,
    checks: EventChecks,
    faults: Faults,
    phase: Phase<S>,
}

/// What comes next.
enum Phase<S: Storage> {
    Frames(Frames<Arc<S::File>>),
    Seal,
    Hash {
        hasher: Box<blake3::Hasher>,
        at: u64,
    },
    Index,
    SortIds,
    /// Those from a place on are looked up in another segment.
    Ids {
        other: usize,
        from: usize,
    },
    Done,
}

impl<S: Storage> SegmentVerification<S> {
    /// # Panics
    ///
    /// Where the reader sees no segment at that place.
    pub(super) fn new(reader: Reader<S>, at: usize, options: VerifyOptions) -> Self {
        let segment = reader.view.at(at).expect("a segment that the reader sees");
        let (header, id) = (segment.header(), segment.file_id());
        let (file, frames_end) = match segment {
            Segment::Sealed(sealed) => (&sealed.file, sealed.footer.frames_end),
            Segment::Active(active) => (&active.file, active.index.read().frames_end()),
        };
        let checks = EventChecks::new(id, header, reader.shared.hasher);
        let mut faults = Faults::default();
        SegmentCheck::new(at, frames_end, &segment).header(&mut faults);
        let start = header.encoded_len() as u64;
        let frames = Frames::new(Arc::clone(file), start, frames_end, header.salt);
        let phase = Phase::Frames(frames);
        SegmentVerification { reader, at, options, frames_end, checks, faults, phase }
    }

    /// Proves the next megabyte or so, and says how many bytes more are proven; `None` where all
    /// is.
    pub(super) fn step(&mut self) -> Option<u64> {
        let SegmentVerification { reader, at, options, frames_end, checks, faults, phase } = self;
        let segment = reader.view.at(*at).expect("a segment that the reader sees");
        let check = SegmentCheck::new(*at, *frames_end, &segment);
        let mut proven = 0;
        match phase {
            Phase::Frames(frames) => {
                let before = frames.at();
                if !check.frames(frames, reader.end(), checks, faults) {
                    *phase = if check.footer.is_some() { Phase::Seal } else { Phase::SortIds };
                    return Some(frames_end.saturating_sub(before));
                }
                proven = frames.at() - before;
            }
            Phase::Seal => {
                if let Some(footer) = check.footer {
                    check.footer_bytes(footer, faults);
                    check.footer_content(footer, checks, faults);
                }
                let at = check.header.encoded_len() as u64;
                *phase = Phase::Hash { hasher: Box::new(blake3::Hasher::new()), at };
            }
            Phase::Hash { hasher, at } => {
                if !check.hash_frames(hasher, at, faults) {
                    *phase = Phase::Index;
                }
            }
            Phase::Index => {
                if let Some(footer) = check.footer {
                    if options.index_blocks {
                        check.index_block(footer, checks, faults);
                    }
                    proven = footer.index_len;
                }
                *phase = Phase::SortIds;
            }
            Phase::SortIds if options.unique_ids => {
                check.sort_ids(&mut checks.ids, faults);
                *phase = Phase::Ids { other: 0, from: 0 };
            }
            Phase::Ids { other, from } => {
                if !check.ids_step(reader, &checks.ids, other, from, faults) {
                    *phase = Phase::Done;
                }
            }
            Phase::SortIds | Phase::Done => return None,
        }
        Some(proven)
    }

    /// What was found so far, by a verification that is given up.
    pub(super) fn stop(self) -> SegmentFindings {
        SegmentFindings { stopped: true, ..self.finish() }
    }

    /// What was found.
    pub(super) fn finish(self) -> SegmentFindings {
        let SegmentVerification { reader, at, frames_end, mut checks, mut faults, .. } = self;
        checks.settle(&mut faults);
        let segment = reader.view.at(at).expect("a segment that the reader sees");
        let check = SegmentCheck::new(at, frames_end, &segment);
        SegmentFindings {
            at,
            file: check.id,
            bytes: check.file.len().unwrap_or(0),
            base_sequence: check.header.base_sequence,
            prev_chain_hash: check.header.prev_chain_hash,
            end: check.footer.map(|footer| (footer.end_sequence, footer.chain_hash)),
            first_hlc: checks.first_hlc,
            last_hlc: checks.last_hlc,
            streams: checks.streams,
            events: checks.events,
            erased_events: checks.erased_events,
            pruned_runs: checks.pruned_runs,
            damaged: checks.damaged,
            faults,
            stopped: false,
        }
    }
}

/// A segment on the way through its checks.
struct SegmentCheck<'a, S: Storage> {
    at: usize,
    file: &'a S::File,
    id: FileId,
    header: &'a SegmentHeader,
    footer: Option<&'a SegmentFooter>,
    frames_end: u64,
}

impl<'a, S: Storage> SegmentCheck<'a, S> {
    fn new(at: usize, frames_end: u64, segment: &Segment<'a, S>) -> Self {
        let id = segment.file_id();
        let (file, header, footer) = match *segment {
            Segment::Sealed(sealed) => (&sealed.file, &sealed.header, Some(&sealed.footer)),
            Segment::Active(active) => (&active.file, &active.header, None),
        };
        SegmentCheck { at, file, id, header, footer, frames_end }
    }

    /// What the file says now, against what it said when it was opened.
    fn header(&self, faults: &mut Faults) {
        let mut bytes = vec![0; self.header.encoded_len()];
        if let Err(error) = self.file.read_exact_at(&mut bytes, 0) {
            faults.add_storage(self.id, 0, &error);
        } else if bytes != self.header.encode() {
            let expected = "the segment header that was read when the store was opened";
            faults.add(FaultKind::SegmentHeader, self.id, 0, expected, "another");
        }
    }

    /// The next frames; whether there are more.
    fn frames(
        &self,
        frames: &mut Frames<Arc<S::File>>,
        end: Sequence,
        checks: &mut EventChecks,
        faults: &mut Faults,
    ) -> bool {
        let walked = frames.advance(&mut |offset, piece| {
            match piece {
                Piece::Frame { frame, padding } => {
                    // A writer may have gone on since.
                    let unseen = frame.first_sequence >= end;
                    if self.footer.is_none() && unseen && frame.record_count > 0 {
                        return ControlFlow::Break(());
                    }
                    let body_end = FRAME_HEADER_LEN + frame.records.len();
                    // An active file may end within the padding of its last frame: a power cut
                    // may keep as much, and the frame is whole.
                    let cut = self.footer.is_some() && padding.len() < frame.len - body_end;
                    if cut || padding.iter().any(|byte| *byte != 0) {
                        let place = offset + body_end as u64;
                        let found = format!("{padding:02x?}");
                        faults.add(FaultKind::Padding, self.id, place, "zeros", found);
                    }
                    checks.frame(offset, &frame, faults);
                }
                Piece::Damage { fault, records, .. } => {
                    faults.add_format(FaultKind::Frame, self.id, offset, fault);
                    for fault in records {
                        faults.add_format(FaultKind::Record, self.id, offset, fault);
                    }
                    checks.note_damage();
                }
            }
            ControlFlow::Continue(())
        });
        walked.unwrap_or_else(|(offset, error)| {
            faults.add_storage(self.id, offset, &error);
            checks.note_damage();
            false
        })
    }

    fn footer_at(&self) -> u64 {
        self.footer.map_or(0, |footer| self.frames_end + footer.index_len)
    }

    fn expect_footer<T: PartialEq + Display + Copy>(
        &self,
        kind: FaultKind,
        at: u64,
        expected: T,
        found: T,
        faults: &mut Faults,
    ) {
        if expected != found {
            let offset = self.footer_at() + at;
            let (expected, found) = (format!("{expected}"), format!("{found}"));
            faults.add(kind, self.id, offset, expected, found);
        }
    }

    fn footer_bytes(&self, footer: &SegmentFooter, faults: &mut Faults) {
        let at = self.footer_at();
        let expected_len = at + SEGMENT_FOOTER_LEN as u64;
        match self.file.len() {
            Ok(len) if len == expected_len => {}
            Ok(len) => {
                let (expected, found) = (format!("{expected_len} bytes"), format!("{len}"));
                faults.add(FaultKind::FileLength, self.id, len, expected, found);
            }
            Err(error) => faults.add_storage(self.id, at, &error),
        }
        let mut bytes = [0; SEGMENT_FOOTER_LEN];
        if let Err(error) = self.file.read_exact_at(&mut bytes, at) {
            faults.add_storage(self.id, at, &error);
        } else if bytes != footer.encode() {
            let expected = "the segment footer that was read when the store was opened";
            faults.add(FaultKind::SegmentFooter, self.id, at, expected, "another");
        }
    }

    /// What the footer says of the events. Where some are missing, nothing can be said.
    fn footer_content(&self, footer: &SegmentFooter, checks: &EventChecks, faults: &mut Faults) {
        if checks.damaged {
            return;
        }
        let kind = FaultKind::SegmentFooter;
        let gapless = self.header.replaces.is_empty();
        self.expect_footer(kind, 48, checks.events, footer.event_count, faults);
        if gapless || checks.next_sequence > footer.end_sequence {
            self.expect_footer(kind, 40, checks.next_sequence, footer.end_sequence, faults);
        }
        if let Some(hlc) = checks.last_hlc
            && (gapless || hlc > footer.last_hlc)
        {
            self.expect_footer(kind, 72, hlc, footer.last_hlc, faults);
        }
        let Some(index) = &checks.index else { return };
        if let Some((time_min_us, time_max_us)) = index.time_range_us() {
            self.expect_footer(kind, 56, time_min_us, footer.time_min_us, faults);
            self.expect_footer(kind, 64, time_max_us, footer.time_max_us, faults);
            let (id_min, id_max) = index.id_range();
            self.expect_footer(kind, 88, id_min, footer.id_min, faults);
            self.expect_footer(kind, 104, id_max, footer.id_max, faults);
        }
    }

    /// The hash of the next megabyte of frames, or behind the last what all of them come to;
    /// whether there are more.
    fn hash_frames(&self, hasher: &mut blake3::Hasher, at: &mut u64, faults: &mut Faults) -> bool {
        if *at < self.frames_end {
            let left = usize::try_from(self.frames_end - *at).unwrap_or(usize::MAX);
            let mut chunk = vec![0; left.min(STEP_LEN)];
            if let Err(error) = self.file.read_exact_at(&mut chunk, *at) {
                faults.add_storage(self.id, *at, &error);
                self.segment_chain(faults);
                return false;
            }
            hasher.update(&chunk);
            *at += chunk.len() as u64;
            return true;
        }
        let Some(footer) = self.footer else { return false };
        let found = Hash::from_bytes(*hasher.finalize().as_bytes());
        if found != footer.frames_hash {
            let start = self.header.encoded_len() as u64;
            let expected = format!("frames with the hash {}", footer.frames_hash);
            faults.add(FaultKind::FramesHash, self.id, start, expected, format!("{found}"));
        }
        self.segment_chain(faults);
        false
    }

    fn segment_chain(&self, faults: &mut Faults) {
        let Some(footer) = self.footer else { return };
        if self.header.replaces.is_empty() {
            let computed = chain_hash(&self.header.prev_chain_hash, &footer.frames_hash);
            self.expect_footer(FaultKind::SegmentChain, 152, computed, footer.chain_hash, faults);
        }
    }

    fn index_block(&self, footer: &SegmentFooter, checks: &EventChecks, faults: &mut Faults) {
        let place = BlockPlace { file: self.id, offset: self.frames_end, salt: self.header.salt };
        match self.block(footer) {
            Ok(block) => {
                let index = checks.index.as_ref().filter(|_| !checks.damaged);
                check_block(place, &block, index, faults);
            }
            Err(error) => faults.add_storage(self.id, self.frames_end, &error),
        }
    }

    fn block(&self, footer: &SegmentFooter) -> Result<Vec<u8>, StorageError> {
        // A file that was cut has no block: nothing is allocated on the footer's word alone.
        let there = self.file.len()?.saturating_sub(self.frames_end).min(footer.index_len);
        let mut block = vec![0; usize::try_from(there).unwrap_or(usize::MAX)];
        self.file.read_exact_at(&mut block, self.frames_end)?;
        Ok(block)
    }

    /// Looks for ids that two events of this segment have.
    fn sort_ids(&self, ids: &mut [(EventId, u64)], faults: &mut Faults) {
        ids.sort_unstable();
        for pair in ids.windows(2) {
            if pair[0].0 == pair[1].0 {
                self.duplicate(pair[1], faults);
            }
        }
    }

    fn duplicate(&self, (id, offset): (EventId, u64), faults: &mut Faults) {
        let expected = "an id that no other event has";
        faults.add(FaultKind::DuplicateId, self.id, offset, expected, format!("{id}"));
    }

    /// Looks for some ids in one of the segments before this one; whether there is more to look
    /// for.
    fn ids_step(
        &self,
        reader: &Reader<S>,
        ids: &[(EventId, u64)],
        other: &mut usize,
        from: &mut usize,
        faults: &mut Faults,
    ) -> bool {
        let (Some((min, _)), Some((max, _))) = (ids.first(), ids.last()) else { return false };
        let before = reader.view.sealed.iter().take(self.at).enumerate().skip(*other);
        let mut overlapping =
            before.filter(|(_, other)| other.footer.id_min <= *max && other.footer.id_max >= *min);
        let Some((found, _)) = overlapping.next() else { return false };
        *other = found;
        let end = ids.len().min(*from + IDS_STEP);
        for (id, offset) in &ids[*from..end] {
            match reader.find_in(found, *id, |_| ()) {
                Ok(None) => {}
                Ok(Some(())) => self.duplicate((*id, *offset), faults),
                // Its own verification says what is wrong with it.
                Err(_) => break,
            }
        }
        *from = end;
        if end == ids.len() {
            (*other, *from) = (found + 1, 0);
        }
        true
    }
}
