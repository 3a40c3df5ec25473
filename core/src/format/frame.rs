//! A frame: one atomic batch, whole or absent.
//!
//! ```text
//!  0  marker          u32   0xA771_15F0
//!  4  len             u32   bytes of the body, without padding
//!  8  crc32           u32   over the segment's salt, `len` and the body
//! 12  first_sequence  u64   of the first record that is an event
//! 20  synced_len      u64   bytes of this segment known to be on stable storage
//! 28  record_count    u32   0 in the frame that a closing store writes
//! 32  records
//!     zeros up to the next multiple of 8
//! ```

use super::record::RecordRef;
use super::{Crc32, Fault, read_u32, read_u64, usize_of};
use crate::model::Sequence;
use alloc::format;
use alloc::vec::Vec;

/// The first four bytes of every frame.
pub const FRAME_MARKER: u32 = 0xA771_15F0;
/// Bytes before the body.
pub const FRAME_PREFIX_LEN: usize = 12;
/// Bytes before the first record.
pub const FRAME_HEADER_LEN: usize = 32;
/// Frames start at multiples of this many bytes.
pub const FRAME_ALIGN: usize = 8;

/// A frame whose CRC was checked, borrowed from the bytes that hold it.
#[derive(Debug, Clone, Copy)]
pub struct FrameRef<'a> {
    /// The sequence of its first event; of the next event, in a frame without events.
    pub first_sequence: Sequence,
    /// How many bytes of the segment its writer knew to be on stable storage.
    pub synced_len: u64,
    /// How many records it holds.
    pub record_count: u32,
    /// The records' bytes.
    pub records: &'a [u8],
    /// All bytes of the frame, padding included.
    pub len: usize,
}

/// What stands at a place where a frame may start.
#[derive(Debug)]
pub enum FrameAt<'a> {
    /// A whole frame with a right CRC.
    Frame(FrameRef<'a>),
    /// It may be one, but `needed` bytes from its start must be at hand to tell.
    Incomplete {
        /// Bytes from the frame's start.
        needed: usize,
    },
    /// No frame.
    Invalid(Fault),
}

impl<'a> FrameRef<'a> {
    /// Looks for a frame at the start of `bytes`, of which the file has `remaining` from there.
    pub fn at(bytes: &'a [u8], remaining: u64, salt: u32) -> FrameAt<'a> {
        match checked(bytes, remaining, FRAME_MARKER, FRAME_HEADER_LEN, salt) {
            Checked::Whole(frame) => FrameAt::Frame(FrameRef {
                first_sequence: Sequence::new(read_u64(frame, 12).unwrap_or_default()),
                synced_len: read_u64(frame, 20).unwrap_or_default(),
                record_count: read_u32(frame, 28).unwrap_or_default(),
                records: &frame[FRAME_HEADER_LEN..],
                len: padded(frame.len()),
            }),
            Checked::Incomplete { needed } => FrameAt::Incomplete { needed },
            Checked::Invalid(fault) => FrameAt::Invalid(fault),
        }
    }

    /// The records in order, each with its offset from the frame's start.
    pub fn records(&self) -> Records<'a> {
        Records { bytes: self.records, offset: FRAME_HEADER_LEN, left: self.record_count }
    }
}

/// The iterator of [`FrameRef::records`].
#[derive(Debug)]
pub struct Records<'a> {
    bytes: &'a [u8],
    offset: usize,
    left: u32,
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(usize, RecordRef<'a>), Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            if self.bytes.is_empty() {
                return None;
            }
            let found = format!("{} bytes more", self.bytes.len());
            self.bytes = &[];
            return Some(Err(Fault::new(self.offset as u64, "the frame's end", found)));
        }
        match RecordRef::parse(self.bytes) {
            Ok(record) => {
                let at = self.offset;
                self.bytes = &self.bytes[record.len..];
                self.offset += record.len;
                self.left -= 1;
                Some(Ok((at, record)))
            }
            Err(fault) => {
                self.bytes = &[];
                self.left = 0;
                Some(Err(fault.behind(self.offset as u64)))
            }
        }
    }
}

/// Makes room for a frame at the end of `out`, which must be aligned, and returns where it starts.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    assert!(out.len().is_multiple_of(FRAME_ALIGN), "frames start at multiples of 8");
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_LEN]);
    start
}

/// Fills in the frame that starts at `start` and ends where `out` ends, and pads it.
pub(crate) fn finish(
    out: &mut Vec<u8>,
    start: usize,
    first_sequence: Sequence,
    synced_len: u64,
    record_count: u32,
    salt: u32,
) {
    let frame = &mut out[start..];
    frame[12..20].copy_from_slice(&first_sequence.get().to_le_bytes());
    frame[20..28].copy_from_slice(&synced_len.to_le_bytes());
    frame[28..32].copy_from_slice(&record_count.to_le_bytes());
    finish_prefix(out, start, FRAME_MARKER, salt);
}

/// Appends a copy of a frame, padding included, that vouches for nothing: it will stand elsewhere.
pub(crate) fn push_unvouched(out: &mut Vec<u8>, frame: &[u8], salt: u32) {
    let start = out.len();
    out.extend_from_slice(frame);
    vouch(&mut out[start..], 0, salt);
}

/// Lets all frames that stand in `frames`, one behind the other, vouch for so many bytes.
pub(crate) fn vouch(mut frames: &mut [u8], synced_len: u64, salt: u32) {
    while let Some(body_len) = read_u32(frames, 4) {
        let len = FRAME_PREFIX_LEN + usize_of(body_len);
        let (frame, rest) = frames.split_at_mut(padded(len).min(frames.len()));
        if frame[20..28] != synced_len.to_le_bytes() {
            frame[20..28].copy_from_slice(&synced_len.to_le_bytes());
            let crc = frame_crc(salt, &frame[..len]);
            frame[8..12].copy_from_slice(&crc.to_le_bytes());
        }
        frames = rest;
    }
}

/// What stands where a frame of one of the two logs may start.
pub(super) enum Checked<'a> {
    /// All bytes of a frame whose CRC is right, without the padding.
    Whole(&'a [u8]),
    Incomplete {
        needed: usize,
    },
    Invalid(Fault),
}

/// Checks marker, length and CRC, which the frames of segments and of the meta log have in common.
pub(super) fn checked(
    bytes: &[u8],
    remaining: u64,
    marker: u32,
    header_len: usize,
    salt: u32,
) -> Checked<'_> {
    if remaining < header_len as u64 {
        let found = format!("the last {remaining} bytes");
        return Checked::Invalid(Fault::new(0, "a frame", found));
    }
    let (Some(found), Some(body_len)) = (read_u32(bytes, 0), read_u32(bytes, 4)) else {
        return Checked::Incomplete { needed: header_len };
    };
    if found != marker {
        let expected = format!("a frame marker {marker:08x}");
        return Checked::Invalid(Fault::new(0, expected, format!("{found:08x}")));
    }
    let body_len = usize_of(body_len);
    let end = FRAME_PREFIX_LEN.saturating_add(body_len);
    if end < header_len || end as u64 > remaining {
        let expected = format!("a frame within the {remaining} bytes left");
        return Checked::Invalid(Fault::new(4, expected, format!("a length of {body_len}")));
    }
    let Some(frame) = bytes.get(..end) else {
        return Checked::Incomplete { needed: end };
    };
    let stored = read_u32(frame, 8).unwrap_or_default();
    let computed = frame_crc(salt, frame);
    if stored != computed {
        let expected = format!("a frame with crc32 {stored:08x}");
        return Checked::Invalid(Fault::new(8, expected, format!("{computed:08x}")));
    }
    Checked::Whole(frame)
}

/// Fills in marker, length and CRC of the frame from `start` on, and pads it.
pub(super) fn finish_prefix(out: &mut Vec<u8>, start: usize, marker: u32, salt: u32) {
    let body_len = out.len() - start - FRAME_PREFIX_LEN;
    let body_len = u32::try_from(body_len).expect("the limits keep a frame below 4 GiB");
    let frame = &mut out[start..];
    frame[0..4].copy_from_slice(&marker.to_le_bytes());
    frame[4..8].copy_from_slice(&body_len.to_le_bytes());
    let crc = frame_crc(salt, frame);
    frame[8..12].copy_from_slice(&crc.to_le_bytes());
    out.resize(start + padded(out.len() - start), 0);
}

/// `len` rounded up to where the next frame may start.
pub(crate) const fn padded(len: usize) -> usize {
    len.next_multiple_of(FRAME_ALIGN)
}

fn frame_crc(salt: u32, frame: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(&salt.to_le_bytes());
    crc.update(&frame[4..8]);
    crc.update(&frame[FRAME_PREFIX_LEN..]);
    crc.finish()
}
