//! The mark of an import that is under way: `{number:010}.import`.
//!
//! ```text
//!  0  magic           [8]  "ANNALIMP"
//!  8  format_version  u16
//! 10  zero            u16
//! 12  len             u32  56
//! 16  store_id        [16]
//! 32  first_segment   u64  as in its name: segments from this number on are the import's
//! 40  first_meta      u64  files of the meta log from this number on are the import's
//! 48  zero            u32
//! 52  crc32           u32  not salted
//! ```
//!
//! While it is whole, the store is what it was before the import: what the import has written is
//! removed, or passed over by readers. An empty mark says nothing: cutting it to nothing and syncing
//! that is what makes an import count.

use super::segment::{HeaderFault, StoreId};
use super::{Crc32, FORMAT_VERSION, Fault, read_array, read_u16, read_u32, read_u64};
use alloc::format;
use alloc::string::ToString;

/// Bytes of a mark.
pub const IMPORT_MARK_LEN: usize = 56;

const MAGIC: [u8; 8] = *b"ANNALIMP";
const CRC_AT: usize = IMPORT_MARK_LEN - 4;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportMark {
    /// The store that is imported.
    pub store_id: StoreId,
    /// The first segment that is the import's, which is also the number of the mark.
    pub first_segment: u64,
    /// The first file of the meta log that is the import's.
    pub first_meta: u64,
}

impl ImportMark {
    /// Its bytes.
    pub fn encode(&self) -> [u8; IMPORT_MARK_LEN] {
        let mut out = [0; IMPORT_MARK_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&56_u32.to_le_bytes());
        out[16..32].copy_from_slice(self.store_id.as_bytes());
        out[32..40].copy_from_slice(&self.first_segment.to_le_bytes());
        out[40..48].copy_from_slice(&self.first_meta.to_le_bytes());
        let crc = Crc32::of(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The mark in these bytes, which are all of its file.
    ///
    /// # Errors
    ///
    /// Where they are not one. A version is believed only where the CRC is right.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        if bytes.len() != IMPORT_MARK_LEN || bytes[..8] != MAGIC {
            let found = bytes.get(..8).unwrap_or(bytes).escape_ascii().to_string();
            return Err(Fault::new(0, "the mark of an import, of 56 bytes", found).into());
        }
        let stored = read_u32(bytes, CRC_AT).unwrap_or_default();
        let computed = Crc32::of(&bytes[..CRC_AT]);
        if stored != computed {
            let expected = format!("the mark of an import with crc32 {stored:08x}");
            return Err(Fault::new(CRC_AT as u64, expected, format!("{computed:08x}")).into());
        }
        let version = read_u16(bytes, 8).unwrap_or_default();
        if version > FORMAT_VERSION {
            return Err(HeaderFault::NewerFormat { found: version });
        }
        let fields = || -> Option<Self> {
            Some(ImportMark {
                store_id: StoreId::from_bytes(read_array(bytes, 16)?),
                first_segment: read_u64(bytes, 32)?,
                first_meta: read_u64(bytes, 40)?,
            })
        };
        let mark = fields().filter(|mark| mark.encode() == bytes);
        mark.ok_or_else(|| Fault::new(8, "valid fields of a mark", "others").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_and_any_flipped_bit_is_seen() {
        let mark =
            ImportMark { store_id: StoreId::from_bytes([7; 16]), first_segment: 12, first_meta: 3 };
        let bytes = mark.encode();
        assert_eq!(ImportMark::decode(&bytes), Ok(mark));
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes;
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(ImportMark::decode(&bent).is_err(), "bit {bit}");
        }
        assert!(ImportMark::decode(&bytes[..55]).is_err());
    }
}
