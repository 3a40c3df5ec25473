//! The header that opens a segment and the footer that seals it.
//!
//! ```text
//! header                                    footer (the last 256 bytes of a sealed file)
//!  0  magic           [8]  "ANNALSEG"         0  magic             [8]  "ANNALEND"
//!  8  format_version  u16                     8  number            u64
//! 10  zero            u16                    16  frames_end        u64
//! 12  header_len      u32                    24  index_len         u64
//! 16  store_id        [16]                   32  first_sequence    u64
//! 32  number          u64                    40  end_sequence      u64
//! 40  base_sequence   u64                    48  event_count       u64
//! 48  created_us      i64                    56  time_min_us       i64
//! 56  salt            u32                    64  time_max_us       i64
//! 60  replaces_count  u32                    72  last_wall_ms      u64
//! 64  prev_chain_hash [32]                   80  last_counter      u32
//! 96  replaces        u64 each               84  zero              u32
//!     crc32           u32                    88  id_min            [16]
//!     zeros to a multiple of 8              104  id_max            [16]
//!                                           120  frames_hash       [32]
//!                                           152  chain_hash        [32]
//!                                           184  newest_loss       u64
//!                                           192  zeros
//!                                           252  crc32             u32
//! ```
//!
//! `frames_hash` is BLAKE3 of all bytes between header and index block. `chain_hash` links the
//! segments: BLAKE3 of the previous one's chain hash and this `frames_hash`; the output of a
//! compaction carries on that of the last segment which it replaces.

use super::usize_of;
use super::{Crc32, FORMAT_VERSION, Fault, read_array, read_i64, read_u16, read_u32, read_u64};
use crate::model::{EventId, Hash, Hlc, Sequence};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Bytes of the header of a segment that replaces none.
pub const SEGMENT_HEADER_LEN: usize = 104;
/// Bytes of a header before the numbers that it replaces.
pub const SEGMENT_HEADER_FIXED_LEN: usize = 96;
/// Bytes of the longest header.
pub const SEGMENT_HEADER_LEN_MAX: usize = header_len(REPLACES_MAX);
/// Bytes of a footer.
pub const SEGMENT_FOOTER_LEN: usize = 256;
/// How many segments one compaction may replace.
pub const REPLACES_MAX: usize = 4_096;

const HEADER_MAGIC: [u8; 8] = *b"ANNALSEG";
const FOOTER_MAGIC: [u8; 8] = *b"ANNALEND";
const FOOTER_CRC_AT: usize = SEGMENT_FOOTER_LEN - 4;

/// The identity of a store: sixteen random bytes, in every file of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreId([u8; 16]);

impl StoreId {
    /// The identity with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        StoreId(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl core::fmt::Display for StoreId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What opens a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The store it belongs to.
    pub store_id: StoreId,
    /// Its own number, which is also its file's name.
    pub number: u64,
    /// The sequence of the first event that it may hold.
    pub base_sequence: Sequence,
    /// When it was created, in microseconds since 1970.
    pub created_us: i64,
    /// What salts the CRCs of its frames and records.
    pub salt: u32,
    /// The chain hash of the segment before it.
    pub prev_chain_hash: Hash,
    /// The segments that it replaces, where a compaction made it.
    pub replaces: Vec<u64>,
}

/// Why bytes are no header that this library reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderFault {
    /// They are damaged, or not a header at all.
    Fault(Fault),
    /// A newer version of Annals wrote them.
    NewerFormat {
        /// The version that they name.
        found: u16,
    },
}

impl From<Fault> for HeaderFault {
    fn from(fault: Fault) -> Self {
        HeaderFault::Fault(fault)
    }
}

impl SegmentHeader {
    /// Its length in bytes.
    pub fn encoded_len(&self) -> usize {
        header_len(self.replaces.len())
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let len = self.encoded_len();
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(&HEADER_MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&u32::try_from(len).expect("limited").to_le_bytes());
        out.extend_from_slice(self.store_id.as_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.base_sequence.get().to_le_bytes());
        out.extend_from_slice(&self.created_us.to_le_bytes());
        out.extend_from_slice(&self.salt.to_le_bytes());
        let replaces = u32::try_from(self.replaces.len()).expect("limited");
        out.extend_from_slice(&replaces.to_le_bytes());
        out.extend_from_slice(self.prev_chain_hash.as_bytes());
        for number in &self.replaces {
            out.extend_from_slice(&number.to_le_bytes());
        }
        let crc = Crc32::of(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.resize(len, 0);
        out
    }

    /// How many bytes the header needs that starts with `bytes`, as far as they tell.
    ///
    /// # Errors
    ///
    /// Where they can't be a header's beginning, or are too few to tell.
    pub fn needed(bytes: &[u8]) -> Result<usize, HeaderFault> {
        let Some(magic) = read_array::<8>(bytes, 0) else {
            let found = format!("{} bytes", bytes.len());
            return Err(Fault::new(0, "a segment header of 104 bytes at least", found).into());
        };
        if magic != HEADER_MAGIC {
            return Err(Fault::new(0, "the magic ANNALSEG", show(&magic)).into());
        }
        let version = read_u16(bytes, 8).unwrap_or_default();
        if version > FORMAT_VERSION {
            return Err(HeaderFault::NewerFormat { found: version });
        }
        if version == 0 {
            return Err(Fault::new(8, "a format version from 1 on", "0").into());
        }
        let len = usize_of(read_u32(bytes, 12).unwrap_or_default());
        if !(SEGMENT_HEADER_LEN..=SEGMENT_HEADER_LEN_MAX).contains(&len) {
            let found = format!("a length of {len}");
            return Err(Fault::new(12, "a header of 104 to 32,872 bytes", found).into());
        }
        Ok(len)
    }

    /// The header at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// Where it is damaged, cut off or of a newer format.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        let len = SegmentHeader::needed(bytes)?;
        let fixed = || -> Option<(SegmentHeader, usize)> {
            let replaces_count = usize_of(read_u32(bytes, 60)?);
            let header = SegmentHeader {
                store_id: StoreId(read_array(bytes, 16)?),
                number: read_u64(bytes, 32)?,
                base_sequence: Sequence::new(read_u64(bytes, 40)?),
                created_us: read_i64(bytes, 48)?,
                salt: read_u32(bytes, 56)?,
                prev_chain_hash: Hash::from_bytes(read_array(bytes, 64)?),
                replaces: Vec::new(),
            };
            (replaces_count <= REPLACES_MAX && bytes.len() >= len)
                .then_some((header, replaces_count))
        };
        let Some((mut header, replaces_count)) = fixed() else {
            let found = format!("{} bytes", bytes.len());
            return Err(Fault::new(0, format!("a segment header of {len} bytes"), found).into());
        };
        let crc_at = SEGMENT_HEADER_FIXED_LEN + 8 * replaces_count;
        let stored = read_u32(bytes, crc_at).filter(|_| header_len(replaces_count) == len);
        let computed = Crc32::of(&bytes[..crc_at.min(len)]);
        if stored != Some(computed) {
            let expected = format!("a segment header with crc32 {computed:08x}");
            let found = format!("{:08x}", stored.unwrap_or_default());
            return Err(Fault::new(crc_at as u64, expected, found).into());
        }
        if bytes[crc_at + 4..len].iter().any(|byte| *byte != 0) || bytes[10..12] != [0; 2] {
            return Err(Fault::new(crc_at as u64 + 4, "zeros", "other bytes").into());
        }
        let replaced = bytes[SEGMENT_HEADER_FIXED_LEN..crc_at].chunks_exact(8);
        header.replaces = replaced.filter_map(|number| read_u64(number, 0)).collect();
        Ok(header)
    }
}

impl SegmentHeader {
    /// What the fields say of a header whose CRC, magic or length may be wrong, for those who prove
    /// the salt by the frames; `None` where there are too few bytes. What it replaces is left out.
    pub(crate) fn decode_unchecked(bytes: &[u8]) -> Option<Self> {
        Some(SegmentHeader {
            store_id: StoreId(read_array(bytes, 16)?),
            number: read_u64(bytes, 32)?,
            base_sequence: Sequence::new(read_u64(bytes, 40)?),
            created_us: read_i64(bytes, 48)?,
            salt: read_u32(bytes, 56)?,
            prev_chain_hash: Hash::from_bytes(read_array(bytes, 64)?),
            replaces: Vec::new(),
        })
    }
}

/// What seals a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFooter {
    /// The segment's number.
    pub number: u64,
    /// Where the frames end and the index block begins.
    pub frames_end: u64,
    /// Bytes of the index block.
    pub index_len: u64,
    /// The first sequence that the segment stands for.
    pub first_sequence: Sequence,
    /// The first sequence behind it.
    pub end_sequence: Sequence,
    /// How many events it holds: fewer than the sequences it stands for where some were pruned.
    pub event_count: u64,
    /// The smallest timestamp in it, in microseconds.
    pub time_min_us: i64,
    /// The largest timestamp in it, in microseconds.
    pub time_max_us: i64,
    /// The hybrid logical clock of its last event.
    pub last_hlc: Hlc,
    /// The smallest event id in it.
    pub id_min: EventId,
    /// The largest event id in it.
    pub id_max: EventId,
    /// BLAKE3 of all frames.
    pub frames_hash: Hash,
    /// The link to the next segment.
    pub chain_hash: Hash,
    /// The number of the newest output of a compaction that dropped or erased events which this
    /// segment stands for, 0 where none did; `None` where the footer does not say.
    pub newest_loss: Option<u64>,
}

impl SegmentFooter {
    /// Its bytes.
    pub fn encode(&self) -> [u8; SEGMENT_FOOTER_LEN] {
        let mut out = Vec::with_capacity(SEGMENT_FOOTER_LEN);
        out.extend_from_slice(&FOOTER_MAGIC);
        for value in [
            self.number,
            self.frames_end,
            self.index_len,
            self.first_sequence.get(),
            self.end_sequence.get(),
            self.event_count,
        ] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&self.time_min_us.to_le_bytes());
        out.extend_from_slice(&self.time_max_us.to_le_bytes());
        out.extend_from_slice(&self.last_hlc.wall_ms.to_le_bytes());
        out.extend_from_slice(&self.last_hlc.counter.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(self.id_min.as_bytes());
        out.extend_from_slice(self.id_max.as_bytes());
        out.extend_from_slice(self.frames_hash.as_bytes());
        out.extend_from_slice(self.chain_hash.as_bytes());
        let loss = self.newest_loss.map_or(0, |number| number.saturating_add(1));
        out.extend_from_slice(&loss.to_le_bytes());
        out.resize(FOOTER_CRC_AT, 0);
        let crc = Crc32::of(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.try_into().expect("the fields fill the footer")
    }

    /// The footer in these 256 bytes; `Ok(None)` where they do not even claim to be one.
    ///
    /// # Errors
    ///
    /// A [`Fault`] where they begin as a footer and are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, Fault> {
        if bytes.len() != SEGMENT_FOOTER_LEN || bytes[..8] != FOOTER_MAGIC {
            return Ok(None);
        }
        let stored = read_u32(bytes, FOOTER_CRC_AT).unwrap_or_default();
        let computed = Crc32::of(&bytes[..FOOTER_CRC_AT]);
        if stored != computed {
            let expected = format!("a footer with crc32 {stored:08x}");
            return Err(Fault::new(FOOTER_CRC_AT as u64, expected, format!("{computed:08x}")));
        }
        let fields = || -> Option<Self> {
            Some(SegmentFooter {
                number: read_u64(bytes, 8)?,
                frames_end: read_u64(bytes, 16)?,
                index_len: read_u64(bytes, 24)?,
                first_sequence: Sequence::new(read_u64(bytes, 32)?),
                end_sequence: Sequence::new(read_u64(bytes, 40)?),
                event_count: read_u64(bytes, 48)?,
                time_min_us: read_i64(bytes, 56)?,
                time_max_us: read_i64(bytes, 64)?,
                last_hlc: Hlc { wall_ms: read_u64(bytes, 72)?, counter: read_u32(bytes, 80)? },
                id_min: EventId::from_bytes(read_array(bytes, 88)?),
                id_max: EventId::from_bytes(read_array(bytes, 104)?),
                frames_hash: Hash::from_bytes(read_array(bytes, 120)?),
                chain_hash: Hash::from_bytes(read_array(bytes, 152)?),
                newest_loss: read_u64(bytes, 184)?.checked_sub(1),
            })
        };
        Ok(fields())
    }
}

/// The chain hash of a segment behind one with `prev`.
pub fn chain_hash(prev: &Hash, frames_hash: &Hash) -> Hash {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(prev.as_bytes());
    bytes[32..].copy_from_slice(frames_hash.as_bytes());
    Hash::from_bytes(*blake3::hash(&bytes).as_bytes())
}

const fn header_len(replaces: usize) -> usize {
    (SEGMENT_HEADER_FIXED_LEN + 8 * replaces + 4).next_multiple_of(8)
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_with_and_without_replaced_segments() {
        for replaces in [alloc::vec![], alloc::vec![3, 4, 9]] {
            let header = SegmentHeader {
                store_id: StoreId::from_bytes([7; 16]),
                number: 12,
                base_sequence: Sequence::new(99),
                created_us: -5,
                salt: 0xDEAD_BEEF,
                prev_chain_hash: Hash::from_bytes([3; 32]),
                replaces,
            };
            let bytes = header.encode();
            assert_eq!(bytes.len(), header.encoded_len());
            assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
            for bit in 0..bytes.len() * 8 {
                let mut bent = bytes.clone();
                bent[bit / 8] ^= 1 << (bit % 8);
                assert!(SegmentHeader::decode(&bent).is_err(), "bit {bit}");
            }
        }
    }
}
