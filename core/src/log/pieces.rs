//! Walking the frames of a segment without stopping at damage.
//!
//! Behind a place where no valid frame stands, the walk goes on with the next valid one. Bytes that
//! imitate frames can't make that search quadratic: it checks so many bytes and no more.

use crate::format::Fault;
use crate::format::frame::{FRAME_ALIGN, FRAME_HEADER_LEN, FRAME_MARKER, FrameAt, FrameRef};
use crate::format::record::RecordRef;
use crate::format::scan::Source;
use crate::format::{read_u32, usize_of};
use crate::log::source::FileSource;
use crate::storage::{StorageError, StorageFile};
use alloc::vec::Vec;
use core::ops::ControlFlow;

/// What stands at a place of the walk.
pub(crate) enum Piece<'a> {
    /// A valid frame and the bytes up to the next.
    Frame { frame: FrameRef<'a>, padding: &'a [u8] },
    /// No frame; the records in its remains that are damaged, and the remains, if it still has a
    /// length.
    Damage { fault: Fault, records: Vec<Fault>, bytes: &'a [u8] },
}

/// The walk reports about every so many bytes.
const STEP_LEN: u64 = 1024 * 1024;
/// The search behind damage checks at most so many times the segment's bytes.
const SEARCH_FACTOR: u64 = 16;

/// Where frames are, and how they are salted.
pub(crate) struct Frames<F> {
    source: FileSource<F>,
    /// Where the walk is.
    at: u64,
    end: u64,
    salt: u32,
    /// Bytes that the search may still check.
    search_left: u64,
}

impl<F: StorageFile> Frames<F> {
    pub(crate) fn new(file: F, start: u64, end: u64, salt: u32) -> Self {
        let search_left = end.saturating_sub(start).saturating_mul(SEARCH_FACTOR);
        Frames { source: FileSource::new(file, end), at: start, end, salt, search_left }
    }

    /// Shows every piece to `visit`, with its offset, until it or `on_bytes` says stop; tells
    /// whether `on_bytes` did.
    ///
    /// # Errors
    ///
    /// The storage's, and from where on nothing was read.
    pub(crate) fn walk(
        mut self,
        on_bytes: &mut dyn FnMut(u64) -> ControlFlow<()>,
        mut visit: impl FnMut(u64, Piece<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, (u64, StorageError)> {
        loop {
            let before = self.at;
            let more = self.advance(&mut visit)?;
            if on_bytes(self.at - before).is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if !more {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// Where the walk is: what is before was shown.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Shows the pieces of the next megabyte or so to `visit`, until it says stop; whether there
    /// are more.
    ///
    /// # Errors
    ///
    /// The storage's, and from where on nothing was read.
    pub(crate) fn advance(
        &mut self,
        visit: &mut impl FnMut(u64, Piece<'_>) -> ControlFlow<()>,
    ) -> Result<bool, (u64, StorageError)> {
        let enough = self.at.saturating_add(STEP_LEN);
        while self.at < self.end.min(enough) {
            let offset = self.at;
            let step = self.piece(offset, visit).map_err(|error| (offset, error))?;
            self.at = match step {
                ControlFlow::Break(()) => return Ok(false),
                ControlFlow::Continue(Some(next)) => next.min(self.end),
                ControlFlow::Continue(None) => {
                    let next = self.next_frame(offset).map_err(|error| (offset, error))?;
                    next.unwrap_or(self.end)
                }
            };
        }
        Ok(self.at < self.end)
    }

    /// Shows what stands at `offset`, and tells where the next frame starts, if that is known.
    fn piece(
        &mut self,
        offset: u64,
        visit: &mut impl FnMut(u64, Piece<'_>) -> ControlFlow<()>,
    ) -> Result<ControlFlow<(), Option<u64>>, StorageError> {
        let remaining = self.end - offset;
        let mut needed = FRAME_HEADER_LEN;
        let fault = loop {
            let bytes = self.source.bytes_at(offset, needed)?;
            match FrameRef::at(bytes, remaining, self.salt) {
                FrameAt::Frame(frame) => {
                    if bytes.len() < frame.len && needed < frame.len {
                        needed = frame.len;
                        continue;
                    }
                    let body_end = FRAME_HEADER_LEN + frame.records.len();
                    let padding = &bytes[body_end..frame.len.min(bytes.len())];
                    let next = offset.saturating_add(frame.len as u64);
                    let flow = visit(offset, Piece::Frame { frame, padding });
                    return Ok(flow_to(flow, Some(next)));
                }
                FrameAt::Incomplete { needed: more } if more > bytes.len() && more > needed => {
                    needed = more;
                }
                FrameAt::Incomplete { .. } => {
                    break Fault::new(0, "a whole frame", "the end of the frames");
                }
                FrameAt::Invalid(fault) => break fault,
            }
        };
        let (records, bytes) = self.damaged_records(offset)?;
        Ok(flow_to(visit(offset, Piece::Damage { fault, records, bytes }), None))
    }

    /// The records of a damaged frame whose own CRC is wrong, by their offsets in the frame.
    fn damaged_records(&mut self, offset: u64) -> Result<(Vec<Fault>, &[u8]), StorageError> {
        let mut faults = Vec::new();
        let bytes = self.source.bytes_at(offset, FRAME_HEADER_LEN)?;
        let (Some(FRAME_MARKER), Some(body_len)) = (read_u32(bytes, 0), read_u32(bytes, 4)) else {
            return Ok((faults, &[]));
        };
        let len = usize_of(body_len).saturating_add(12);
        if len as u64 > self.end - offset || len as u64 > self.search_left {
            return Ok((faults, &[]));
        }
        // Once for the frame's CRC, once for those of the records.
        self.search_left = self.search_left.saturating_sub(2 * len as u64);
        let bytes = self.source.bytes_at(offset, len)?;
        let frame = &bytes[..len.min(bytes.len())];
        let mut at = FRAME_HEADER_LEN;
        while at < frame.len() {
            if let Err(fault) = RecordRef::parse_checked(&frame[at..], self.salt) {
                faults.push(fault.behind(at as u64));
            }
            match RecordRef::parse(&frame[at..]) {
                Ok(record) => at += record.len,
                Err(_) => break,
            }
        }
        Ok((faults, frame))
    }

    /// The first valid frame behind `offset`.
    fn next_frame(&mut self, offset: u64) -> Result<Option<u64>, StorageError> {
        let marker = FRAME_MARKER.to_le_bytes();
        let mut at = (offset + 1).next_multiple_of(FRAME_ALIGN as u64);
        while at < self.end && self.search_left > 0 {
            let bytes = self.source.bytes_at(at, FRAME_HEADER_LEN)?;
            let mut chunks = bytes.chunks_exact(FRAME_ALIGN);
            let Some(hit) = chunks.position(|chunk| chunk.starts_with(&marker)) else {
                at += (bytes.len() / FRAME_ALIGN).max(1) as u64 * FRAME_ALIGN as u64;
                continue;
            };
            at += (hit * FRAME_ALIGN) as u64;
            if self.is_frame(at)? {
                return Ok(Some(at));
            }
            at += FRAME_ALIGN as u64;
        }
        Ok(None)
    }

    fn is_frame(&mut self, at: u64) -> Result<bool, StorageError> {
        let mut needed = FRAME_HEADER_LEN;
        loop {
            let bytes = self.source.bytes_at(at, needed)?;
            match FrameRef::at(bytes, self.end - at, self.salt) {
                FrameAt::Frame(_) => return Ok(true),
                FrameAt::Incomplete { needed: more } if more > bytes.len() && more > needed => {
                    needed = more;
                }
                FrameAt::Incomplete { .. } => return Ok(false),
                FrameAt::Invalid(_) => {
                    let body_len = read_u32(bytes, 4).map_or(0, u64::from);
                    self.search_left = self.search_left.saturating_sub(body_len.min(self.end));
                    return Ok(false);
                }
            }
        }
    }
}

fn flow_to(flow: ControlFlow<()>, next: Option<u64>) -> ControlFlow<(), Option<u64>> {
    match flow {
        ControlFlow::Break(()) => ControlFlow::Break(()),
        ControlFlow::Continue(()) => ControlFlow::Continue(next),
    }
}
