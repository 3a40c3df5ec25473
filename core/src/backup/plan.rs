//! What a backup consists of, decided before its first byte: which parts of which segments.

use super::{ExportOptions, data_len};
use crate::backup::watch::SegmentWatch;
use crate::format::backup::{
    BackupHeader, BackupSegment, Border, SECTION_BODY_LEN_MAX, section_len,
};
use crate::format::frame::{self, FRAME_HEADER_LEN, FrameRef};
use crate::format::meta::MetaEntry;
use crate::format::scan;
use crate::format::segment::SEGMENT_FOOTER_LEN;
use crate::log::{BackupError, Corruption, FileSource, Reader, Segment, StoreError};
use crate::model::{Region, Sequence};
use crate::storage::Storage;
use alloc::vec::Vec;

/// See the module.
pub(super) struct Plan {
    pub(super) header: BackupHeader,
    /// The bodies of the sections of values.
    pub(super) values: Vec<Vec<u8>>,
    pub(super) pieces: Vec<Piece>,
}

/// What of a segment goes into the backup: bytes made for it, then bytes of its file.
pub(super) struct Piece {
    pub(super) about: BackupSegment,
    /// Its place in the reader's view.
    pub(super) place: usize,
    pub(super) made: Vec<u8>,
    /// From which byte of the file on.
    pub(super) start: u64,
    /// To before which byte.
    pub(super) end: u64,
    frames_end: u64,
}

impl Plan {
    pub(super) fn new<S: Storage>(
        reader: &Reader<S>,
        values: &[(Vec<u8>, Vec<u8>)],
        options: &ExportOptions,
    ) -> Result<Self, BackupError> {
        let (from, end) = (options.from, reader.end());
        if from > end {
            return Err(BackupError::BehindEnd { first: from, end });
        }
        let border = if from > Sequence::ZERO { Some(border(reader, from)?) } else { None };
        let mut pieces = Vec::new();
        for place in reader.view.place_of(from)..reader.view.len() {
            pieces.extend(Piece::new(reader, place, from)?);
        }
        let values = bodies(values);
        let mut header = BackupHeader {
            store_id: reader.store_id(),
            first_sequence: from,
            end_sequence: end,
            segment_count: pieces.len() as u64,
            stream_len: 0,
            border,
        };
        let values_len: u64 = values.iter().map(|body| section_len(body.len()) as u64).sum();
        let piece_len = |piece: &Piece| {
            section_len(piece.about.encode().len()) as u64 + data_len(piece.about.byte_len)
        };
        let pieces_len: u64 = pieces.iter().map(piece_len).sum();
        let ends_len = section_len(header.encode().len()) + section_len(32);
        header.stream_len = ends_len as u64 + values_len + pieces_len;
        Ok(Plan { header, values, pieces })
    }
}

/// The newest event before the backup.
fn border<S: Storage>(reader: &Reader<S>, from: Sequence) -> Result<Border, BackupError> {
    let region = Region::all().sequences(..from);
    let newest = reader.query(&region).backward().limit(1).next().transpose()?;
    let pruned = BackupError::PrunedBorder { first: from };
    let Some(sequence) = newest.map(|event| event.sequence()) else { return Err(pruned) };
    let event_hash = reader.event_hash_at(sequence)?;
    event_hash.map(|event_hash| Border { sequence, event_hash }).ok_or(pruned)
}

/// Values as the bodies of sections.
fn bodies(values: &[(Vec<u8>, Vec<u8>)]) -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = alloc::vec![Vec::new()];
    for (key, value) in values {
        let entry = MetaEntry { key, value: Some(value) };
        let fits = |body: &&mut Vec<u8>| body.len() + entry.encoded_len() <= SECTION_BODY_LEN_MAX;
        match bodies.last_mut().filter(fits) {
            Some(body) => entry.push_to(body),
            None => {
                let mut body = Vec::new();
                entry.push_to(&mut body);
                bodies.push(body);
            }
        }
    }
    bodies
}

impl Piece {
    /// `None` where the segment has nothing of the backup.
    fn new<S: Storage>(
        reader: &Reader<S>,
        place: usize,
        from: Sequence,
    ) -> Result<Option<Self>, BackupError> {
        let Some(segment) = reader.view.at(place) else { return Ok(None) };
        let header = segment.header();
        let (frames_end, end_sequence, sealed, tail_len) = match &segment {
            Segment::Sealed(sealed) => {
                let footer = &sealed.footer;
                let tail_len = footer.index_len + SEGMENT_FOOTER_LEN as u64;
                (footer.frames_end, footer.end_sequence, true, tail_len)
            }
            Segment::Active(active) => {
                if reader.end() == header.base_sequence {
                    return Ok(None);
                }
                (reader.active_frames_end(active)?, reader.end(), false, 0)
            }
        };
        let number = header.number;
        if from == Sequence::ZERO {
            let end = frames_end + tail_len;
            let range = header.base_sequence..end_sequence;
            let about = BackupSegment::new(number, range, end, sealed);
            let made = Vec::new();
            return Ok(Some(Piece { about, place, made, start: 0, end, frames_end }));
        }
        let base = header.base_sequence.max(from);
        let mut made = header.encode();
        let start = match header.base_sequence < from {
            true => cut(&segment, frames_end, from, &mut made)?,
            false => made.len() as u64,
        };
        let byte_len = made.len() as u64 + (frames_end - start);
        let about = BackupSegment::new(number, base..end_sequence, byte_len, sealed);
        Ok(Some(Piece { about, place, made, start, end: frames_end, frames_end }))
    }

    pub(super) fn watch<S: Storage>(&self, reader: &Reader<S>) -> SegmentWatch {
        let Some(segment) = reader.view.at(self.place) else {
            unreachable!("the reader keeps its segments")
        };
        let footer = match &segment {
            Segment::Sealed(sealed) => Some(&sealed.footer),
            Segment::Active(_) => None,
        };
        SegmentWatch::new(segment.header(), self.frames_end, footer, self.start)
    }
}

/// Where the first frame begins that has only events from `from` on. Of one that has others too,
/// the later ones are appended to `made`, as a frame of their own.
fn cut<S: Storage>(
    segment: &Segment<'_, S>,
    frames_end: u64,
    from: Sequence,
    made: &mut Vec<u8>,
) -> Result<u64, BackupError> {
    let header = segment.header();
    if let Segment::Sealed(sealed) = segment {
        // A mark does not say on which side of the border its events were.
        let footer = &sealed.footer;
        let sequences = footer.end_sequence.get() - footer.first_sequence.get();
        if footer.event_count != sequences {
            return Err(BackupError::PrunedBorder { first: from });
        }
    }
    let file = segment.file_id();
    let start = header.encoded_len() as u64;
    let mut source = FileSource::new(segment.file(), frames_end);
    let mut found = None;
    let walked = scan::frames(&mut source, start, frames_end, header.salt, |offset, frame| {
        let events_end = frame.first_sequence.get() + u64::from(frame.record_count);
        if frame.first_sequence >= from {
            found = Some(offset);
            return Err(Stop::Found);
        }
        if events_end > from.get() {
            let split = split(&frame, from, header.salt, made);
            split.map_err(|fault| StoreError::from(Corruption::at(file, offset, fault)))?;
            found = Some(offset + frame.len as u64);
            return Err(Stop::Found);
        }
        Ok(())
    });
    match walked {
        Err(Stop::Failed(error)) => Err(error.into()),
        Err(Stop::Found) => Ok(found.unwrap_or(frames_end)),
        Ok(end) => match end.fault {
            Some(fault) => Err(StoreError::from(Corruption::at(file, 0, fault)).into()),
            None => Ok(frames_end),
        },
    }
}

enum Stop {
    Found,
    Failed(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Failed(error)
    }
}

impl From<crate::storage::StorageError> for Stop {
    fn from(error: crate::storage::StorageError) -> Self {
        Stop::Failed(error.into())
    }
}

/// Appends the records of a frame from one event on as a frame of their own.
fn split(
    frame: &FrameRef<'_>,
    from: Sequence,
    salt: u32,
    made: &mut Vec<u8>,
) -> Result<(), crate::format::Fault> {
    let skipped = from.get() - frame.first_sequence.get();
    let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
    let mut at = frame.records.len();
    for (number, record) in (0..).zip(frame.records()) {
        let (offset, _) = record?;
        if number == skipped {
            at = offset - FRAME_HEADER_LEN;
            break;
        }
    }
    let start = frame::begin(made);
    made.extend_from_slice(&frame.records[at..]);
    frame::finish(made, start, from, 0, frame.record_count.saturating_sub(skipped), salt);
    Ok(())
}
