//! Holding the index block of a sealed segment against the index that its frames make.
//!
//! The columns are compared by their values, so that a later writer may lay them out in another
//! way. The filter is asked: it may say yes too often, and must never say no to what is there.

use super::faults::{FaultKind, Faults};
use crate::format::index_block::{Column, Directory, PAGE_LEN, PAGE_PAYLOAD_LEN, page_payload};
use crate::format::packed::ColumnRef;
use crate::index::{GrowingIndex, SegmentFilter};
use crate::storage::FileId;
use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;

/// Where a block stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockPlace {
    pub(super) file: FileId,
    /// Where it starts, in bytes of the file.
    pub(super) offset: u64,
    pub(super) salt: u32,
}

/// Checks the pages of a block, and what they say if `index` is what they must say.
pub(super) fn check_block(
    place: BlockPlace,
    block: &[u8],
    index: Option<&GrowingIndex>,
    faults: &mut Faults,
) {
    let Some(stream) = check_pages(place, block, faults) else { return };
    let Some(directory) = Directory::decode(&stream, stream.len() as u64) else {
        let found = "bytes that are none";
        let expected = "the directory of an index block";
        faults.add(FaultKind::IndexBlock, place.file, place.offset, expected, found);
        return;
    };
    let Some(index) = index else { return };
    let stored = Stream { bytes: &stream, directory: &directory };
    let encoded = index.encode(place.salt);
    let made = page_payloads(&encoded).concat();
    let Some(made_directory) = Directory::decode(&made, made.len() as u64) else { return };
    let made = Stream { bytes: &made, directory: &made_directory };
    if directory.ordinals != made_directory.ordinals {
        let expected = format!("{} events", made_directory.ordinals);
        let found = format!("{}", directory.ordinals);
        faults.add(FaultKind::IndexContent, place.file, place.offset + 8, expected, found);
        return;
    }
    for column in Column::ALL {
        if !matches!(column, Column::FilterDescriptor | Column::FilterFingerprints) {
            check_column(place, column, &stored, &made, faults);
        }
    }
    check_filter(place, &stored, index, faults);
}

/// The stream of a block whose pages are all as they were written.
fn check_pages(place: BlockPlace, block: &[u8], faults: &mut Faults) -> Option<Vec<u8>> {
    let mut stream = Vec::with_capacity(block.len());
    let mut whole = true;
    for (number, page) in block.chunks(PAGE_LEN).enumerate() {
        match page_payload(page, place.salt) {
            Some(payload) => stream.extend_from_slice(payload),
            None => {
                whole = false;
                let offset = place.offset + (number * PAGE_LEN) as u64;
                let expected = "a page of the index with a right crc32";
                faults.add(FaultKind::IndexBlock, place.file, offset, expected, "a wrong one");
            }
        }
    }
    whole.then_some(stream)
}

/// The payloads of a block that was made just now.
fn page_payloads(block: &[u8]) -> Vec<&[u8]> {
    block.chunks(PAGE_LEN).map(|page| &page[..page.len().saturating_sub(4)]).collect()
}

/// The bytes of a block without its CRCs, and where its columns are.
struct Stream<'a> {
    bytes: &'a [u8],
    directory: &'a Directory,
}

impl Stream<'_> {
    fn column(&self, column: Column) -> ColumnRef {
        self.directory.column(column)
    }

    fn range(&self, column: Column) -> Range<usize> {
        let place = self.column(column);
        let start = usize::try_from(place.offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let end = place.offset.saturating_add(place.byte_len());
        start..usize::try_from(end).unwrap_or(usize::MAX).clamp(start, self.bytes.len())
    }

    fn bytes(&self, column: Column) -> &[u8] {
        &self.bytes[self.range(column)]
    }

    fn value(&self, column: Column, index: u32) -> u64 {
        let place = self.column(column);
        if place.width == 0 {
            return place.min;
        }
        let (at, drop) = place.place(index);
        let from = usize::try_from(at).unwrap_or(usize::MAX).min(self.bytes.len());
        let bytes = &self.bytes[from..];
        let mut word = [0; 8];
        let have = bytes.len().min(8);
        word[..have].copy_from_slice(&bytes[..have]);
        place.element(u64::from_le_bytes(word), drop)
    }

    /// Where an element stands in the block, its CRCs counted.
    fn offset_in_block(&self, column: Column, index: u32) -> u64 {
        let (at, _) = self.column(column).place(index);
        let payload = PAGE_PAYLOAD_LEN as u64;
        at / payload * PAGE_LEN as u64 + at % payload
    }
}

fn check_column(
    place: BlockPlace,
    column: Column,
    stored: &Stream<'_>,
    made: &Stream<'_>,
    faults: &mut Faults,
) {
    let (have, want) = (stored.column(column), made.column(column));
    let mut differ = |index, expected, found| {
        let offset = place.offset + stored.offset_in_block(column, index);
        faults.add(FaultKind::IndexContent, place.file, offset, expected, found);
    };
    if have.count != want.count {
        let expected = format!("{} elements in the column {column:?}", want.count);
        differ(0, expected, format!("{}", have.count));
        return;
    }
    let alike = (have.min, have.width) == (want.min, want.width);
    if alike && stored.bytes(column) == made.bytes(column) {
        return;
    }
    for index in 0..want.count {
        let (found, wanted) = (stored.value(column, index), made.value(column, index));
        if found != wanted {
            let expected = format!("{wanted} in the column {column:?} at {index}");
            differ(index, expected, format!("{found}"));
            return;
        }
    }
}

fn check_filter(place: BlockPlace, stored: &Stream<'_>, index: &GrowingIndex, faults: &mut Faults) {
    let descriptor = stored.bytes(Column::FilterDescriptor).to_vec();
    let fingerprints = stored.bytes(Column::FilterFingerprints).to_vec();
    let Some(filter) = SegmentFilter::new(descriptor, fingerprints) else { return };
    if !index.filter_keys().all(|key| filter.may_contain(key)) {
        let at = stored.offset_in_block(Column::FilterFingerprints, 0);
        let expected = "a filter with every id and entity of the segment";
        let found = "one that denies some";
        faults.add(FaultKind::IndexContent, place.file, place.offset + at, expected, found);
    }
}
