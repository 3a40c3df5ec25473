//! Looking at the files of a damaged store: which segments there are, what range each stands for,
//! and which of its records can be trusted by themselves.

use super::SalvageLoss;
use crate::format::frame::{FRAME_HEADER_LEN, FrameRef};
use crate::format::pruned::PrunedRun;
use crate::format::read_u32;
use crate::format::record::{RecordRef, RecordState};
use crate::format::segment::{
    SEGMENT_FOOTER_LEN, SEGMENT_HEADER_LEN, SEGMENT_HEADER_LEN_MAX, SegmentFooter, SegmentHeader,
    StoreId,
};
use crate::format::usize_of;
use crate::index::KeyHasher;
use crate::log::StoreError;
use crate::log::decode::EventRef;
use crate::log::pieces::{Frames, Piece};
use crate::model::wire::decode_header;
use crate::model::{Hash, Hlc, Sequence, Version};
use crate::storage::{FileId, FileKind, Storage, StorageFile};
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::{ControlFlow, Range};

/// A file that can be read as a segment.
pub(super) struct Survey<F> {
    pub(super) id: FileId,
    pub(super) file: Arc<F>,
    pub(super) len: u64,
    /// As it stands in the file, or as its fields say where its CRC is wrong.
    pub(super) header: SegmentHeader,
    pub(super) is_header_whole: bool,
    pub(super) frames_start: u64,
    pub(super) footer: Option<SegmentFooter>,
}

/// A range of sequences, and the file that stands for it, if there is one.
pub(super) struct Place<F> {
    pub(super) survey: Option<Survey<F>>,
    pub(super) base: Sequence,
    /// Of the last place, it is known only once its frames were looked at.
    pub(super) end: Sequence,
    /// Whether it is written anew instead of copied.
    pub(super) is_rewritten: bool,
}

/// A record that is whole by itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    pub(super) offset: u64,
    pub(super) len: usize,
    /// Of the event; for a mark, of the event that comes next.
    pub(super) sequence: Sequence,
    pub(super) is_mark: bool,
    pub(super) stream: u128,
    pub(super) first_version: Version,
    pub(super) last_version: Version,
    pub(super) prev_hash: Hash,
    pub(super) hash: Hash,
}

/// What the frames of a segment hold.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) sound: Vec<Sound>,
    pub(super) losses: Vec<SalvageLoss>,
    /// The sequence behind the last frame.
    pub(super) end: Sequence,
    pub(super) hlc: Option<Hlc>,
    /// Where the last frame ends.
    pub(super) frames_end: u64,
}

/// Looks at every segment of a storage.
pub(super) fn survey<S: Storage>(
    storage: &S,
    losses: &mut Vec<SalvageLoss>,
) -> Result<Vec<Survey<S::File>>, StoreError> {
    let mut surveys = Vec::new();
    let mut newer = None;
    let hidden = super::unpublished(storage);
    let segments = |id: &FileId| id.kind == FileKind::Segment && !hidden.hides(*id);
    for id in storage.list()?.into_iter().filter(segments) {
        let left = |reason: Cow<'static, str>| SalvageLoss {
            file: Some(id),
            offset: 0,
            first_sequence: None,
            last_sequence: None,
            reason,
        };
        match survey_file(storage, id) {
            Ok(Some(survey)) => surveys.push(survey),
            Ok(None) => {}
            Err(Unfit::Damaged(reason)) => losses.push(left(reason)),
            Err(Unfit::Newer(error)) => {
                losses.push(left(format!("{error}, or its header is damaged").into()));
                newer = newer.or(Some(error));
            }
        }
    }
    // A store of a newer build is not damaged. One file that says so beside others may be.
    if let Some(error) = newer.filter(|_| surveys.is_empty()) {
        return Err(error);
    }
    keep_one_store(&mut surveys, losses);
    settle_compactions(&mut surveys);
    surveys.sort_by_key(|survey| (survey.header.base_sequence, survey.id));
    Ok(surveys)
}

enum Unfit {
    Damaged(Cow<'static, str>),
    Newer(StoreError),
}

/// `None` for a file that never held a frame.
fn survey_file<S: Storage>(storage: &S, id: FileId) -> Result<Option<Survey<S::File>>, Unfit> {
    let unread = |error: crate::storage::StorageError| {
        Unfit::Damaged(format!("it can't be read: {error}").into())
    };
    let file = Arc::new(storage.open(id).map_err(unread)?);
    let len = file.len().map_err(unread)?;
    let head_len = usize::try_from(len).unwrap_or(usize::MAX).min(SEGMENT_HEADER_LEN_MAX);
    let mut head = vec![0; head_len];
    file.read_exact_at(&mut head, 0).map_err(unread)?;
    let decoded = SegmentHeader::decode(&head);
    if let Err(fault @ crate::format::segment::HeaderFault::NewerFormat { .. }) = decoded {
        return Err(Unfit::Newer(StoreError::header(id, fault)));
    }
    let whole = decoded.ok().filter(|header| header.number == id.number);
    let is_header_whole = whole.is_some();
    let header = match whole {
        Some(header) => header,
        None => match SegmentHeader::decode_unchecked(&head) {
            Some(header) => SegmentHeader { number: id.number, ..header },
            None if head.iter().all(|byte| *byte == 0) => return Ok(None),
            None => return Err(Unfit::Damaged("it is too short for a segment".into())),
        },
    };
    // Where the header is damaged, its length is not known: the walk finds the first frame.
    let frames_start = match is_header_whole {
        true => header.encoded_len() as u64,
        false => SEGMENT_HEADER_LEN as u64,
    };
    let footer = read_footer(&*file, len, &header).map_err(unread)?;
    let mut survey = Survey { id, file, len, header, is_header_whole, frames_start, footer };
    if !is_header_whole {
        let Some(first) = first_frame(&survey) else {
            let reason =
                "its header is damaged, and no frame is right by the salt that stands there";
            return Err(Unfit::Damaged(reason.into()));
        };
        survey.header.base_sequence = match &survey.footer {
            Some(footer) => footer.first_sequence,
            None => first.min(survey.header.base_sequence),
        };
    }
    Ok(Some(survey))
}

fn read_footer<F: StorageFile>(
    file: &F,
    len: u64,
    header: &SegmentHeader,
) -> Result<Option<SegmentFooter>, crate::storage::StorageError> {
    let Some(at) = len.checked_sub(SEGMENT_FOOTER_LEN as u64) else { return Ok(None) };
    let mut bytes = [0; SEGMENT_FOOTER_LEN];
    file.read_exact_at(&mut bytes, at)?;
    let footer = SegmentFooter::decode(&bytes).ok().flatten();
    Ok(footer.filter(|footer| {
        footer.number == header.number
            && footer.end_sequence >= footer.first_sequence
            && footer.frames_end.checked_add(footer.index_len) == Some(at)
    }))
}

/// The first sequence of the first frame that is whole.
fn first_frame<F: StorageFile>(survey: &Survey<F>) -> Option<Sequence> {
    let mut first = None;
    let frames = Frames::new(&*survey.file, survey.frames_start, survey.len, survey.header.salt);
    let _ = frames.walk(&mut |_| ControlFlow::Continue(()), |_, piece| match piece {
        Piece::Frame { frame, .. } => {
            first = Some(frame.first_sequence);
            ControlFlow::Break(())
        }
        Piece::Damage { .. } => ControlFlow::Continue(()),
    });
    first
}

/// Leaves the files of other stores: the id that most of them carry is the store's.
fn keep_one_store<F>(surveys: &mut Vec<Survey<F>>, losses: &mut Vec<SalvageLoss>) {
    let mut counts: BTreeMap<[u8; 16], usize> = BTreeMap::new();
    for survey in surveys.iter().filter(|survey| survey.is_header_whole) {
        *counts.entry(*survey.header.store_id.as_bytes()).or_default() += 1;
    }
    let Some((bytes, _)) = counts.iter().max_by_key(|(_, count)| **count) else { return };
    let store_id = StoreId::from_bytes(*bytes);
    surveys.retain_mut(|survey| {
        if !survey.is_header_whole {
            survey.header.store_id = store_id;
        }
        let own = survey.header.store_id == store_id;
        if !own {
            let reason = format!("it belongs to the store {}", survey.header.store_id);
            losses.push(whole_file(survey.id, reason.into()));
        }
        own
    });
}

fn whole_file(file: FileId, reason: Cow<'static, str>) -> SalvageLoss {
    SalvageLoss { file: Some(file), offset: 0, first_sequence: None, last_sequence: None, reason }
}

/// As opening does: a complete output wins over what it replaces, a half-made one goes.
fn settle_compactions<F>(surveys: &mut Vec<Survey<F>>) {
    let numbers: Vec<u64> = surveys.iter().map(|survey| survey.id.number).collect();
    let mut gone = Vec::new();
    for survey in surveys.iter().filter(|survey| !survey.header.replaces.is_empty()) {
        match &survey.footer {
            Some(footer) => {
                let range = footer.first_sequence..footer.end_sequence;
                let older = surveys.iter().filter(|other| other.id.number < survey.id.number);
                let within = older.filter(|other| range.contains(&other.header.base_sequence));
                gone.extend(within.map(|other| other.id));
            }
            None if survey.header.replaces.iter().all(|number| numbers.contains(number)) => {
                gone.push(survey.id);
            }
            None => {}
        }
    }
    surveys.retain(|survey| !gone.contains(&survey.id));
}

/// Puts the segments in a row without gaps.
pub(super) fn lay_out<F: StorageFile>(
    surveys: Vec<Survey<F>>,
    losses: &mut Vec<SalvageLoss>,
) -> Vec<Place<F>> {
    let mut places: Vec<Place<F>> = Vec::new();
    let mut cursor = Sequence::ZERO;
    let bases: Vec<Sequence> = surveys.iter().map(|survey| survey.header.base_sequence).collect();
    for (at, survey) in surveys.into_iter().enumerate() {
        let base = survey.header.base_sequence;
        if base < cursor {
            let reason = format!("it begins at sequence {base}, which another file stands for");
            losses.push(whole_file(survey.id, reason.into()));
            continue;
        }
        if base > cursor {
            losses.push(SalvageLoss {
                file: None,
                offset: 0,
                first_sequence: Some(cursor),
                last_sequence: base.checked_prev(),
                reason: "no file that can be read stands for them".into(),
            });
            places.push(Place { survey: None, base: cursor, end: base, is_rewritten: true });
        }
        let next = bases[at + 1..].iter().find(|next| **next > base).copied();
        let told = survey.footer.as_ref().map(|footer| footer.end_sequence);
        let told = told.filter(|end| next.is_none_or(|next| *end <= next) && *end >= base);
        let end = told.or(next).unwrap_or(base);
        let is_known = told.is_some() || next.is_some();
        let unsound = !survey.is_header_whole || (survey.footer.is_none() && next.is_some());
        let looked = (!is_known).then(|| look(&survey, Sequence::MAX).end.max(base));
        let end = looked.unwrap_or(end);
        places.push(Place { survey: Some(survey), base, end, is_rewritten: unsound });
        cursor = end;
    }
    places
}

/// Looks at every record of a segment, of which the sequences end before `end`.
pub(super) fn look<F: StorageFile>(survey: &Survey<F>, end: Sequence) -> Looked {
    let frames_end = survey.footer.as_ref().map_or(survey.len, |footer| footer.frames_end);
    let mut look = Look {
        survey,
        limit: end,
        hasher: KeyHasher::new(&survey.header.store_id),
        looked: Looked { end: survey.header.base_sequence, ..Looked::default() },
        next: survey.header.base_sequence,
        is_sure: true,
        waiting: Vec::new(),
        gap: None,
    };
    look.looked.frames_end = survey.frames_start;
    let frames = Frames::new(&*survey.file, survey.frames_start, frames_end, survey.header.salt);
    let walked = frames.walk(&mut |_| ControlFlow::Continue(()), |offset, piece| {
        match piece {
            Piece::Frame { frame, .. } => look.frame(offset, &frame),
            Piece::Damage { fault, bytes, .. } => {
                let reason = format!("expected {}, found {}", fault.expected, fault.found);
                look.damage(offset, bytes, reason.into());
            }
        }
        ControlFlow::Continue(())
    });
    if let Err((offset, error)) = walked {
        look.damage(offset, &[], format!("it can't be read: {error}").into());
    }
    look.finish()
}

struct Look<'a, F> {
    survey: &'a Survey<F>,
    limit: Sequence,
    hasher: KeyHasher,
    looked: Looked,
    /// The sequence that comes next.
    next: Sequence,
    /// Whether that is beyond doubt: sequences have no gap here, and nothing before is unknown.
    is_sure: bool,
    /// Records of damaged frames, until a later frame proves their sequences.
    waiting: Vec<Sound>,
    /// Where damage began that nothing behind it has ended yet, and why.
    gap: Option<(u64, Sequence, Cow<'static, str>)>,
}

impl<F: StorageFile> Look<'_, F> {
    fn is_gapless(&self) -> bool {
        self.survey.is_header_whole && self.survey.header.replaces.is_empty()
    }

    fn frame(&mut self, offset: u64, frame: &FrameRef<'_>) {
        let first = frame.first_sequence;
        if first < self.looked.end || first > self.limit {
            self.begin_gap(offset, "its sequences are not those that must come here".into());
            return;
        }
        if first > self.looked.end && self.is_gapless() {
            self.begin_gap(offset, "the sequences before it are missing".into());
        }
        self.end_gap(first);
        self.next = first;
        self.is_sure = true;
        self.records(offset, frame);
        self.looked.end = self.next;
        self.looked.frames_end = offset.saturating_add(frame.len as u64);
    }

    /// Takes the records of a frame that is whole.
    fn records(&mut self, offset: u64, frame: &FrameRef<'_>) {
        for record in frame.records() {
            let Ok((at, record)) = record else {
                self.begin_gap(offset, "a record does not fit its frame".into());
                return;
            };
            let place = offset + at as u64;
            // Behind the last event there are marks at most.
            if record.state != RecordState::Pruned && self.next >= self.limit {
                self.begin_gap(place, "it stands behind the segment's last sequence".into());
                return;
            }
            let bytes = frame.records.get(at - FRAME_HEADER_LEN..).unwrap_or_default();
            let checked = RecordRef::parse_checked(bytes, self.survey.header.salt).ok();
            match checked.and_then(|record| self.sound(place, &record)) {
                Some(sound) => self.looked.sound.push(sound),
                None => {
                    let gone = Some(self.next).filter(|_| record.state != RecordState::Pruned);
                    self.lose(place, gone, gone, "the record can't be what was written".into());
                }
            }
            if record.state != RecordState::Pruned {
                self.next = self.next.checked_next().unwrap_or(Sequence::MAX);
            }
        }
    }

    /// What a record says, if it says something that can be.
    fn sound(&mut self, offset: u64, record: &RecordRef<'_>) -> Option<Sound> {
        let (sequence, len) = (self.next, record.len);
        if record.state == RecordState::Pruned {
            let run = PrunedRun::decode(record).ok()?;
            return Some(Sound {
                offset,
                len,
                sequence,
                is_mark: true,
                stream: self.hasher.wide_name(&run.entity),
                first_version: run.first_version,
                last_version: run.last_version,
                prev_hash: run.prev_hash,
                hash: run.last_hash,
            });
        }
        EventRef::new(*record, sequence).ok()?;
        let header = decode_header(record.header).ok()?;
        self.looked.hlc = self.looked.hlc.max(Some(header.hlc()));
        Some(Sound {
            offset,
            len,
            sequence,
            is_mark: false,
            stream: self.hasher.wide_name(header.entity()),
            first_version: header.version(),
            last_version: header.version(),
            prev_hash: header.prev_hash(),
            hash: record.event_hash().ok()?,
        })
    }

    /// Takes what is left of a damaged frame: where its records still follow one another to its
    /// end, those with a right CRC of their own.
    fn damage(&mut self, offset: u64, bytes: &[u8], reason: Cow<'static, str>) {
        self.begin_gap(offset, reason);
        let records = split(bytes);
        if !self.is_sure || !self.is_gapless() || records.is_empty() {
            self.is_sure = false;
            return;
        }
        for range in records {
            let at = range.start as u64;
            let record = RecordRef::parse_checked(&bytes[range], self.survey.header.salt);
            let whole = record.ok().filter(|record| record.state != RecordState::Pruned);
            let sound = whole.and_then(|record| self.sound(offset + at, &record));
            self.waiting.extend(sound);
            self.next = self.next.checked_next().unwrap_or(Sequence::MAX);
        }
    }

    fn begin_gap(&mut self, offset: u64, reason: Cow<'static, str>) {
        if self.gap.is_none() {
            self.gap = Some((offset, self.looked.end, reason));
        }
    }

    /// A frame at `first` ends what is damaged before it.
    fn end_gap(&mut self, first: Sequence) {
        let Some((offset, from, reason)) = self.gap.take() else { return };
        let proven = self.is_sure && self.next == first;
        let kept = core::mem::take(&mut self.waiting);
        let kept = if proven { kept } else { Vec::new() };
        let mut from = from;
        let mut next_offset = offset;
        for sound in &kept {
            if sound.sequence > from {
                let last = sound.sequence.checked_prev();
                self.lose(next_offset, Some(from), last, reason.clone());
            }
            from = sound.sequence.checked_next().unwrap_or(Sequence::MAX);
            next_offset = sound.offset + sound.len as u64;
        }
        let left = first > from;
        if left || (kept.is_empty() && !self.is_gapless()) {
            let last = first.checked_prev().filter(|_| left);
            self.lose(next_offset, Some(from).filter(|_| left), last, reason);
        } else if kept.is_empty() {
            // A frame without records: no event is gone.
            self.lose(offset, None, None, reason);
        } else if proven && self.looked.losses.last().is_none_or(|loss| loss.offset < offset) {
            // Every record was whole, and only the frame around them was not.
            self.lose(offset, None, None, reason);
        }
        self.looked.sound.extend(kept);
    }

    fn finish(mut self) -> Looked {
        let told = self.survey.footer.as_ref().map(|footer| footer.end_sequence);
        let end = told.or(Some(self.limit).filter(|limit| *limit != Sequence::MAX));
        // Only a segment without gaps, or one that was cut, must hold events up to its end.
        let is_short = end.is_some_and(|end| self.looked.end < end);
        if is_short && (told.is_none() || self.is_gapless()) {
            let reason = "the file ends before the events that come here";
            self.begin_gap(self.looked.frames_end, reason.into());
        }
        if self.gap.is_some() {
            match end {
                Some(end) => self.end_gap(end),
                None => {
                    let (offset, from, reason) = self.gap.take().expect("asked for just now");
                    self.lose_tail(offset, from, &reason);
                }
            }
            self.looked.end = self.looked.end.max(end.unwrap_or(Sequence::ZERO));
        }
        self.looked
    }

    /// Nothing stands behind it that would tell damage from an append that was cut short.
    fn lose_tail(&mut self, offset: u64, from: Sequence, reason: &str) {
        let zeros = is_zero_from(&*self.survey.file, offset, self.survey.len);
        if zeros {
            return;
        }
        let reason = format!("the store's end, where an append may have been cut short: {reason}");
        self.lose(offset, Some(from), None, reason.into());
    }

    fn lose(
        &mut self,
        offset: u64,
        first_sequence: Option<Sequence>,
        last_sequence: Option<Sequence>,
        reason: Cow<'static, str>,
    ) {
        let file = Some(self.survey.id);
        let loss = SalvageLoss { file, offset, first_sequence, last_sequence, reason };
        self.looked.losses.push(loss);
    }
}

/// The records of a frame by their lengths; none where those do not lead to its end.
fn split(frame: &[u8]) -> Vec<Range<usize>> {
    let mut records = Vec::new();
    let Some(count) = read_u32(frame, 28) else { return records };
    let mut at = FRAME_HEADER_LEN;
    while at < frame.len() {
        let Some(len) = read_u32(frame, at + 4) else { return Vec::new() };
        let end = at.saturating_add(8).saturating_add(usize_of(len));
        if end > frame.len() {
            return Vec::new();
        }
        records.push(at..end);
        at = end;
    }
    if records.len() == usize_of(count) { records } else { Vec::new() }
}

fn is_zero_from<F: StorageFile>(file: &F, from: u64, to: u64) -> bool {
    let (mut at, mut chunk) = (from, Vec::new());
    while at < to {
        chunk.resize(usize::try_from(to - at).unwrap_or(usize::MAX).min(1024 * 1024), 0);
        if file.read_exact_at(&mut chunk, at).is_err() || chunk.iter().any(|byte| *byte != 0) {
            return false;
        }
        at += chunk.len() as u64;
    }
    true
}
