//! One event in a frame.
//!
//! ```text
//!  0  crc32       u32   over the segment's salt and everything from offset 4 to the record's end
//!  4  len         u32   bytes behind this field
//!  8  header_len  u16
//! 10  state       u8    0 whole, 1 erased, 2 pruned run
//! 11  header            prev_hash [32] | id [16] | postcard fields
//!     content           whole: metadata tag varint | metadata | payload
//!                       erased: content_hash [32]
//! ```
//!
//! The record has a CRC of its own besides the frame's, so that one event of a large batch is
//! read and proven without the batch. An erased record keeps its header byte for byte.

use super::{Crc32, Fault, read_u16, read_u32, usize_of};
use crate::model::Hash;
use crate::model::chain::{self, HashQueue};
use alloc::format;
use alloc::vec::Vec;

/// Bytes before a record's header.
pub const RECORD_PREFIX_LEN: usize = 11;

/// The part of the prefix that `len` does not count.
const COUNTED_FROM: usize = 8;

/// What a record holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// An event as it was appended.
    Whole,
    /// An event whose metadata and payload were erased: header and content hash are left.
    Erased,
    /// The mark of events of one stream that retention has dropped.
    Pruned,
}

impl RecordState {
    fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(RecordState::Whole),
            1 => Some(RecordState::Erased),
            2 => Some(RecordState::Pruned),
            _ => None,
        }
    }

    const fn as_byte(self) -> u8 {
        match self {
            RecordState::Whole => 0,
            RecordState::Erased => 1,
            RecordState::Pruned => 2,
        }
    }
}

/// A record, borrowed from the bytes that hold it.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    /// What it holds.
    pub state: RecordState,
    /// `prev_hash | id | postcard fields`, exactly as hashed.
    pub header: &'a [u8],
    /// See the module's picture.
    pub content: &'a [u8],
    /// All bytes of the record, prefix included.
    pub len: usize,
}

impl<'a> RecordRef<'a> {
    /// Takes the record at the start of `bytes` apart, its CRC unchecked: for bytes that a
    /// frame's CRC already vouches for.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        RecordRef::split(bytes).ok_or_else(|| misshapen(bytes))
    }

    /// `None` where that is no record; [`misshapen`] says why. Part of its callers, because to hand a
    /// record over in memory takes as long as to split it.
    #[inline(always)]
    fn split(bytes: &'a [u8]) -> Option<Self> {
        let total = usize_of(read_u32(bytes, 4)?).checked_add(COUNTED_FROM)?;
        let content_at = RECORD_PREFIX_LEN + usize::from(read_u16(bytes, 8)?);
        let state = RecordState::from_byte(*bytes.get(10)?)?;
        let content = bytes.get(content_at..total)?;
        Some(RecordRef {
            state,
            header: &bytes[RECORD_PREFIX_LEN..content_at],
            content,
            len: total,
        })
    }

    /// Takes the record at the start of `bytes` apart and checks its CRC.
    pub(crate) fn parse_checked(bytes: &'a [u8], salt: u32) -> Result<Self, Fault> {
        RecordRef::parse_behind(bytes, &Crc32::of_salt(salt))
    }

    /// As [`parse_checked`](RecordRef::parse_checked), with the CRC of the segment's salt.
    #[inline(always)]
    pub(crate) fn parse_behind(bytes: &'a [u8], salt: &Crc32) -> Result<Self, Fault> {
        let Some(record) = RecordRef::split(bytes) else { return Err(misshapen(bytes)) };
        let expected = read_u32(bytes, 0).unwrap_or_default();
        let found = salt.and(&bytes[4..record.len]);
        if found == expected { Ok(record) } else { Err(wrong_crc(expected, found)) }
    }

    /// The record that has these parts.
    pub(crate) const fn of_parts(state: RecordState, header: &'a [u8], content: &'a [u8]) -> Self {
        let len = RECORD_PREFIX_LEN + header.len() + content.len();
        RecordRef { state, header, content, len }
    }

    /// The hash of metadata and payload: computed, or the stored one of an erased record.
    ///
    /// # Errors
    ///
    /// A [`Fault`] where an erased record does not hold a hash of 32 bytes.
    pub fn content_hash(&self) -> Result<Hash, Fault> {
        match self.state {
            RecordState::Whole => Ok(chain::content_hash_of_bytes(self.content)),
            RecordState::Erased | RecordState::Pruned => {
                let bytes: Result<[u8; 32], _> = self.content.try_into();
                bytes.map(Hash::from_bytes).map_err(|_| {
                    let found = format!("{} bytes", self.content.len());
                    Fault::new(RECORD_PREFIX_LEN as u64, "a content hash of 32 bytes", found)
                })
            }
        }
    }

    /// The hash that the stream's next event names as its `prev_hash`.
    ///
    /// # Errors
    ///
    /// As [`RecordRef::content_hash`].
    pub fn event_hash(&self) -> Result<Hash, Fault> {
        Ok(chain::event_hash(self.header, &self.content_hash()?))
    }

    /// Puts that hash off, until many are computed together.
    ///
    /// # Errors
    ///
    /// As [`RecordRef::content_hash`]; then nothing is in the queue.
    pub(crate) fn queue_event_hash(&self, queue: &mut HashQueue) -> Result<(), Fault> {
        match self.state {
            RecordState::Whole => queue.push_whole(self.header, self.content),
            RecordState::Erased | RecordState::Pruned => {
                queue.push_erased(self.header, self.content_hash()?);
            }
        }
        Ok(())
    }
}

/// Why bytes are no record.
#[cold]
fn misshapen(bytes: &[u8]) -> Fault {
    let (Some(len), Some(header_len), Some(&state)) =
        (read_u32(bytes, 4), read_u16(bytes, 8), bytes.get(10))
    else {
        return Fault::new(0, "a record of 11 bytes at least", "the end of the bytes");
    };
    let total = usize_of(len).checked_add(COUNTED_FROM).filter(|total| *total <= bytes.len());
    let Some(total) = total else {
        return Fault::new(4, "a record within its frame", format!("a length of {len}"));
    };
    if RECORD_PREFIX_LEN + usize::from(header_len) > total {
        let found = format!("a header of {header_len} in a record of {len}");
        return Fault::new(8, "a header within its record", found);
    }
    Fault::new(10, "a record state of 0, 1 or 2", format!("{state}"))
}

#[cold]
fn wrong_crc(expected: u32, found: u32) -> Fault {
    Fault::new(0, format!("a record with crc32 {expected:08x}"), format!("{found:08x}"))
}

/// Writes a record around a header and a content that the caller appends to `out`.
///
/// `start` is what [`begin`] returned and `content_at` where in `out` the content begins.
pub(crate) fn finish(
    out: &mut [u8],
    start: usize,
    content_at: usize,
    state: RecordState,
    salt: u32,
) {
    close(out, start, content_at, state);
    seal(&mut out[start..], salt);
}

/// As [`finish`], without the CRC: the header is not yet as it will be.
#[inline]
pub(crate) fn close(out: &mut [u8], start: usize, content_at: usize, state: RecordState) {
    let header_len = content_at - start - RECORD_PREFIX_LEN;
    let len = out.len() - start - COUNTED_FROM;
    let header_len = u16::try_from(header_len).expect("the limits keep a header below 64 KiB");
    let len = u32::try_from(len).expect("the limits keep a record below 4 GiB");
    out[start + 4..start + 8].copy_from_slice(&len.to_le_bytes());
    out[start + 8..start + 10].copy_from_slice(&header_len.to_le_bytes());
    out[start + 10] = state.as_byte();
}

/// Fills in the CRC of all bytes of a record.
pub(crate) fn seal(record: &mut [u8], salt: u32) {
    let crc = Crc32::salted(salt, &record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
}

/// Makes room for a record's prefix and returns where it starts.
pub(crate) fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; RECORD_PREFIX_LEN]);
    start
}
