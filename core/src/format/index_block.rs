//! The index that a sealed segment carries between its frames and its footer.
//!
//! ```text
//! block      page*                       16 KiB each, the last as long as it needs
//! page       part of the stream | crc32 u32 (salted)
//! stream     directory | columns
//! directory  magic "ANNALIDX" | ordinals u32 | columns u32 | column reference [24] each
//! ```
//!
//! A page has its own CRC, so that a look-up reads and proves two or three pages and not the
//! whole block. All columns are packed integers (`packed`); a column of bytes has 8 bits each.
//! An *ordinal* is an event's place in its segment. Names are sorted, so that a prefix is a range.

use super::packed::{COLUMN_REF_LEN, ColumnRef, push_column};
use super::{Crc32, read_array, read_u32, usize_of};
use alloc::vec::Vec;

/// Bytes of a page, its CRC included.
pub const PAGE_LEN: usize = 16 * 1024;
/// Bytes of the stream in a page.
pub const PAGE_PAYLOAD_LEN: usize = PAGE_LEN - 4;

const DIRECTORY_MAGIC: [u8; 8] = *b"ANNALIDX";
const DIRECTORY_HEADER_LEN: usize = 16;

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The columns of an index block, in the order of its directory.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Column { $($(#[$doc])* $name,)* }

        impl Column {
            /// All of them.
            pub const ALL: [Column; Column::COUNT] = [$(Column::$name),*];
            /// How many there are.
            pub const COUNT: usize = [$(Column::$name),*].len();
        }
    };
}

columns! {
    /// Where each record starts in the segment, by ordinal.
    Offsets,
    /// The first ordinal of each run of consecutive sequences.
    RunOrdinals,
    /// The first sequence of each run.
    RunSequences,
    /// The coordinate of each event, by ordinal.
    Coordinates,
    /// The place of each event's kind among `Kinds`, by ordinal.
    KindIndexes,
    /// Timestamps, by ordinal, the sign bit turned over.
    Times,
    /// Versions, by ordinal.
    Versions,
    /// The kinds that occur, sorted.
    Kinds,
    /// The entity of each coordinate.
    CoordinateEntities,
    /// The scope of each coordinate.
    CoordinateScopes,
    /// Where each entity's name starts in `EntityNames`, and its end.
    EntityNameStarts,
    /// The names of the entities, sorted.
    EntityNames,
    /// Where each scope's name starts in `ScopeNames`, and its end.
    ScopeNameStarts,
    /// The names of the scopes, sorted.
    ScopeNames,
    /// Where each entity's postings start.
    EntityPostingStarts,
    /// Ordinals by entity.
    EntityPostings,
    /// Where each scope's postings start.
    ScopePostingStarts,
    /// Ordinals by scope.
    ScopePostings,
    /// Where each kind's postings start.
    KindPostingStarts,
    /// Ordinals by kind.
    KindPostings,
    /// The correlation ids that events name which are not their own, sorted, 16 bytes each.
    CorrelationKeys,
    /// Where each correlation's postings start.
    CorrelationPostingStarts,
    /// Ordinals by correlation.
    CorrelationPostings,
    /// The causation ids that occur, sorted, 16 bytes each.
    CausationKeys,
    /// Where each causation's postings start.
    CausationPostingStarts,
    /// Ordinals by causation.
    CausationPostings,
    /// Where each bucket of the id table starts.
    IdBucketStarts,
    /// `fingerprint << ordinal_bits | ordinal`, by bucket.
    IdEntries,
    /// Where each name starts in `PrunedNames`, and its end.
    PrunedNameStarts,
    /// The entities whose newest events are gone, sorted.
    PrunedNames,
    /// The version of the newest event that is gone, by pruned name.
    PrunedVersions,
    /// Its sequence.
    PrunedSequences,
    /// Its hash, 32 bytes each.
    PrunedHashes,
    /// The descriptor of the binary fuse filter over ids and entities; empty if there is none.
    FilterDescriptor,
    /// Its fingerprints.
    FilterFingerprints,
}

/// Where everything stands in an index block's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// How many events the segment holds.
    pub ordinals: u32,
    columns: [ColumnRef; Column::COUNT],
}

impl Directory {
    /// Bytes of an encoded directory. It fits the first page.
    pub const LEN: usize = DIRECTORY_HEADER_LEN + Column::COUNT * COLUMN_REF_LEN;

    /// Where a column stands.
    pub fn column(&self, column: Column) -> ColumnRef {
        self.columns[column as usize]
    }

    /// The directory at the start of a stream of `stream_len` bytes; `None` where it is none.
    pub fn decode(bytes: &[u8], stream_len: u64) -> Option<Self> {
        if read_array::<8>(bytes, 0)? != DIRECTORY_MAGIC
            || usize_of(read_u32(bytes, 12)?) != Column::COUNT
        {
            return None;
        }
        let ordinals = read_u32(bytes, 8)?;
        let mut columns = [ColumnRef::default(); Column::COUNT];
        for (index, column) in columns.iter_mut().enumerate() {
            let at = DIRECTORY_HEADER_LEN + index * COLUMN_REF_LEN;
            *column = ColumnRef::decode(bytes.get(at..)?, stream_len)?;
        }
        Some(Directory { ordinals, columns })
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Directory::LEN);
        out.extend_from_slice(&DIRECTORY_MAGIC);
        out.extend_from_slice(&self.ordinals.to_le_bytes());
        out.extend_from_slice(&u32::try_from(Column::COUNT).expect("few").to_le_bytes());
        for column in &self.columns {
            column.encode(&mut out);
        }
        out
    }
}

/// Builds an index block column by column.
#[derive(Debug)]
pub struct IndexBlockWriter {
    stream: Vec<u8>,
    directory: Directory,
    /// The column that is being written, so that packing it is compiled once.
    values: Vec<u64>,
}

impl IndexBlockWriter {
    /// An index block of a segment of `ordinals` events, with all columns empty.
    pub fn new(ordinals: u32) -> Self {
        let directory = Directory { ordinals, columns: [ColumnRef::default(); Column::COUNT] };
        IndexBlockWriter { stream: directory.encode(), directory, values: Vec::new() }
    }

    /// Writes a column of integers.
    pub fn column(&mut self, column: Column, values: impl Iterator<Item = u64>) {
        self.values.clear();
        self.values.extend(values);
        self.directory.columns[column as usize] = push_column(&mut self.stream, &self.values);
    }

    /// Writes a column of bytes.
    pub fn bytes(&mut self, column: Column, parts: impl Iterator<Item = impl AsRef<[u8]>>) {
        let offset = self.stream.len();
        parts.for_each(|part| self.stream.extend_from_slice(part.as_ref()));
        let count = u32::try_from(self.stream.len() - offset).expect("a segment is below 4 GiB");
        self.directory.columns[column as usize] =
            ColumnRef { offset: offset as u64, min: 0, count, width: 8 };
    }

    /// The block's pages.
    pub fn finish(mut self, salt: u32) -> Vec<u8> {
        let directory = self.directory.encode();
        self.stream[..directory.len()].copy_from_slice(&directory);
        let mut block =
            Vec::with_capacity(usize::try_from(block_len(self.stream.len() as u64)).unwrap_or(0));
        for payload in self.stream.chunks(PAGE_PAYLOAD_LEN) {
            block.extend_from_slice(payload);
            block.extend_from_slice(&Crc32::salted(salt, payload).to_le_bytes());
        }
        block
    }
}

/// The payload of a page; `None` where its CRC is wrong.
pub fn page_payload(page: &[u8], salt: u32) -> Option<&[u8]> {
    let (payload, crc) = page.split_at_checked(page.len().checked_sub(4)?)?;
    (read_u32(crc, 0)? == Crc32::salted(salt, payload)).then_some(payload)
}

/// Bytes of the stream in a block of `block_len` bytes.
pub fn stream_len(block_len: u64) -> u64 {
    block_len - 4 * block_len.div_ceil(PAGE_LEN as u64)
}

fn block_len(stream_len: u64) -> u64 {
    stream_len + 4 * stream_len.div_ceil(PAGE_PAYLOAD_LEN as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_fits_the_first_page() {
        const { assert!(Directory::LEN <= PAGE_PAYLOAD_LEN) };
    }

    #[test]
    fn a_block_comes_back_page_by_page() {
        let mut writer = IndexBlockWriter::new(3);
        writer.column(Column::Offsets, (0..9_000_u64).map(|n| n * n));
        writer.bytes(Column::EntityNames, ["a", "bc"].iter());
        let block = writer.finish(9);
        let mut stream = Vec::new();
        for page in block.chunks(PAGE_LEN) {
            stream.extend_from_slice(page_payload(page, 9).unwrap());
            assert_eq!(page_payload(page, 8), None);
        }
        assert_eq!(stream_len(block.len() as u64), stream.len() as u64);
        let directory = Directory::decode(&stream, stream.len() as u64).unwrap();
        assert_eq!(directory.ordinals, 3);
        let names = directory.column(Column::EntityNames);
        let at = usize::try_from(names.offset).unwrap();
        assert_eq!(&stream[at..at + 3], b"abc");
    }
}
