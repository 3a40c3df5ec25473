//! The bytes: frames, records, segment headers and footers, index blocks, and the scan over them.
//!
//! Everything here is a pure function from bytes to values and back: no storage, no clock, no
//! state. `docs/FORMAT.md` is the normative text; a test holds its worked example against this
//! encoder. All fixed integers are little-endian.
//!
//! ```text
//! segment   header | frame* | [index block | footer]        (the last two once it is sealed)
//! frame     marker u32 | len u32 | crc32 u32 | first_sequence u64 | synced_len u64
//!           | record_count u32 | record* | zeros to the next multiple of 8
//! record    crc32 u32 | len u32 | header_len u16 | state u8 | header | content
//! ```
//!
//! The meta log has its own header and frames, see [`meta`], and a backup its own, see [`backup`].

pub mod backup;
mod bytes;
mod crc;
pub mod frame;
pub mod import_mark;
pub mod index_block;
pub mod meta;
pub mod packed;
pub mod pruned;
pub mod record;
pub mod scan;
pub mod segment;

pub(crate) use bytes::{read_array, read_i64, read_u16, read_u32, read_u64, usize_of};
pub(crate) use crc::Crc32;

use alloc::borrow::Cow;

/// The newest format version that this library reads, and the one that it writes.
pub const FORMAT_VERSION: u16 = 1;

/// Bytes that are not what the format says they must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in the bytes that were looked at, in bytes from their start.
    pub offset: u64,
    /// What the format asks for at that place.
    pub expected: Cow<'static, str>,
    /// What stands there.
    pub found: Cow<'static, str>,
}

impl Fault {
    pub(crate) fn new(
        offset: u64,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
    ) -> Self {
        Fault { offset, expected: expected.into(), found: found.into() }
    }

    /// The same fault, seen from `base` bytes earlier.
    pub(crate) fn behind(mut self, base: u64) -> Self {
        self.offset = self.offset.saturating_add(base);
        self
    }
}
