//! The read-only view of a sealed segment's index block, page by page.
//!
//! A look-up touches the pages that it needs and no others. Each column remembers the page that
//! it read last, so that walking a column does not ask the cache at every step. A page whose CRC
//! is wrong, or a value that can't be, is `IndexError::Damaged`: the caller rebuilds the index
//! from the frames.

mod names;

pub(crate) use names::Rank;

use self::names::{ENTITY_NAMES, PRUNED_NAMES, SCOPE_NAMES};
use super::growing::{id_bucket, id_buckets, ordinal_bits};
use super::page_cache::Page;
use super::{KeyHasher, ListOf, Ordinal, PostingKey, PostingList, PrunedHead, SegmentIndex};
use crate::format::index_block::{Column, Directory, PAGE_LEN, PAGE_PAYLOAD_LEN};
use crate::format::packed::ColumnRef;
use crate::format::{read_u32, read_u64, usize_of};
use crate::model::{EntityFilter, EventId, EventKind, Hash, Sequence, Version};
use crate::storage::StorageError;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ops::Range;
use xorf::{BinaryFuse8Ref, Filter, FilterRef};

/// Why an index could not answer.
#[derive(Debug, Clone)]
pub(crate) enum IndexError {
    /// The storage failed: nothing is said about the bytes.
    Storage(StorageError),
    /// The bytes are not those of a valid index block.
    Damaged {
        /// Where in the block, in bytes.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
}

impl From<StorageError> for IndexError {
    fn from(error: StorageError) -> Self {
        IndexError::Storage(error)
    }
}

impl From<core::convert::Infallible> for IndexError {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

/// Where an index block's pages come from.
pub(crate) trait PageSource {
    /// The payload of page `number`, its CRC checked.
    fn page(&self, number: u32) -> Result<Page, IndexError>;
    /// As [`page`](PageSource::page), of one that nobody asks for again.
    fn page_once(&self, number: u32) -> Result<Page, IndexError>;
    /// Bytes of the stream over all pages.
    fn stream_len(&self) -> u64;
    /// Whether the pages were made anew because those in the file are damaged.
    fn is_rebuilt(&self) -> bool;
}

/// The binary fuse filter of a segment, over the ids and the entities in it.
pub(crate) struct SegmentFilter {
    descriptor: Vec<u8>,
    fingerprints: Vec<u8>,
}

impl core::fmt::Debug for SegmentFilter {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SegmentFilter").field("bytes", &self.fingerprints.len()).finish()
    }
}

impl SegmentFilter {
    /// `None` where the segment has no filter, or one that can't be right.
    pub(crate) fn new(descriptor: Vec<u8>, fingerprints: Vec<u8>) -> Option<Self> {
        let segment_len = read_u32(&descriptor, 8)?;
        let mask = read_u32(&descriptor, 12)?;
        let count_len = read_u32(&descriptor, 16)?;
        let fits = segment_len.is_power_of_two()
            && mask == segment_len - 1
            && count_len.is_multiple_of(segment_len)
            && fingerprints.len() as u64 >= u64::from(count_len) + 2 * u64::from(segment_len);
        fits.then_some(SegmentFilter { descriptor, fingerprints })
    }

    pub(crate) fn may_contain(&self, key: u64) -> bool {
        BinaryFuse8Ref::from_dma(&self.descriptor, &self.fingerprints).contains(&key)
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.fingerprints.len()
    }
}

/// A page and its number.
type Held = Option<(u32, Page)>;

/// See the module. Cheap to make; one for each walk.
pub(crate) struct SealedIndex<'a, P> {
    source: &'a P,
    directory: &'a Directory,
    hasher: KeyHasher,
    held: [Held; Column::COUNT],
    /// Kinds that were looked up, by their numbers, of the first [`KINDS_KNOWN_MAX`].
    kinds: Vec<Option<EventKind>>,
    /// Where the entity is expected that is looked for next.
    rank: Option<Rank>,
}

/// A walk over events asks for their kinds again and again; few stores have more.
const KINDS_KNOWN_MAX: usize = 256;

/// Reads and checks the directory of an index block.
pub(crate) fn directory<P: PageSource>(source: &P) -> Result<Directory, IndexError> {
    let page = source.page(0)?;
    let damaged = IndexError::Damaged { offset: 0, what: "the directory" };
    Directory::decode(&page, source.stream_len()).ok_or(damaged)
}

impl<'a, P: PageSource> SealedIndex<'a, P> {
    pub(crate) fn new(source: &'a P, directory: &'a Directory, hasher: KeyHasher) -> Self {
        SealedIndex {
            source,
            directory,
            hasher,
            held: [const { None }; Column::COUNT],
            kinds: Vec::new(),
            rank: None,
        }
    }

    /// Whether the index was made anew because the one in the file is damaged. Places and numbers
    /// taken from the one are not those of the other.
    pub(crate) fn is_rebuilt(&self) -> bool {
        self.source.is_rebuilt()
    }

    /// Reads the segment's filter whole.
    pub(crate) fn filter(&mut self) -> Result<Option<SegmentFilter>, IndexError> {
        let mut descriptor = Vec::new();
        let mut fingerprints = Vec::new();
        self.blob(Column::FilterDescriptor, 0..u32::MAX, &mut descriptor)?;
        self.blob(Column::FilterFingerprints, 0..u32::MAX, &mut fingerprints)?;
        Ok(SegmentFilter::new(descriptor, fingerprints))
    }

    /// How many entities, scopes and kinds the segment has.
    pub(crate) fn name_counts(&self) -> (u32, u32, u32) {
        let names = |column| self.directory.column(column).count.saturating_sub(1);
        let kinds = self.directory.column(Column::Kinds).count;
        (names(Column::EntityNameStarts), names(Column::ScopeNameStarts), kinds)
    }

    /// The name of an entity.
    pub(crate) fn entity_name(&mut self, number: u32) -> Result<String, IndexError> {
        self.name(number, ENTITY_NAMES)
    }

    /// The name of a scope.
    pub(crate) fn scope_name(&mut self, number: u32) -> Result<String, IndexError> {
        self.name(number, SCOPE_NAMES)
    }

    /// The kind at `index` of those that occur, and how many events have it.
    pub(crate) fn kind_count(&mut self, index: u32) -> Result<(EventKind, u64), IndexError> {
        let kind = self.kind(index)?;
        let range = self.starts(Column::KindPostingStarts, index)?;
        Ok((kind, u64::from(range.end - range.start)))
    }

    /// The newest event of an entity: its version and ordinal.
    pub(crate) fn head(&mut self, entity: &str) -> Result<Option<(Version, Ordinal)>, IndexError> {
        let Some(number) = self.entity(entity)? else { return Ok(None) };
        let Some(list) = self.postings(PostingKey::Entity(number))? else { return Ok(None) };
        let Some(last) = list.len.checked_sub(1) else { return Ok(None) };
        let ordinal = self.posting(&list, last)?;
        Ok(Some((self.version_at(ordinal)?, ordinal)))
    }

    /// The newest event of an entity, where it is pruned and no other of the segment is newer.
    pub(crate) fn pruned_head(&mut self, entity: &str) -> Result<Option<PrunedHead>, IndexError> {
        let Some(number) = self.find_name(PRUNED_NAMES, entity, None)? else { return Ok(None) };
        let version = Version::new(self.value(Column::PrunedVersions, number)?);
        let sequence = Sequence::new(self.value(Column::PrunedSequences, number)?);
        let mut hash = Vec::with_capacity(32);
        let at = number.saturating_mul(32);
        self.blob(Column::PrunedHashes, at..at.saturating_add(32), &mut hash)?;
        let damaged = self.damaged(Column::PrunedHashes, "hashes of 32 bytes");
        let hash: [u8; 32] = hash.try_into().map_err(|_| damaged)?;
        Ok(Some(PrunedHead { version, sequence, hash: Hash::from_bytes(hash) }))
    }

    fn kind(&mut self, index: u32) -> Result<EventKind, IndexError> {
        let number = self.value(Column::Kinds, index)?;
        let damaged = self.damaged(Column::Kinds, "a kind above 16 bits");
        u16::try_from(number).map(EventKind::from_stored).map_err(|_| damaged)
    }

    /// Elements `index` and `index + 1` of a column of starts.
    fn starts(&mut self, column: Column, index: u32) -> Result<Range<u32>, IndexError> {
        let start = self.small(column, index)?;
        let end = self.small(column, index.saturating_add(1))?;
        if start > end {
            Err(self.damaged(column, "a list that ends before it starts"))
        } else {
            Ok(start..end)
        }
    }

    fn small(&mut self, column: Column, index: u32) -> Result<u32, IndexError> {
        let value = self.value(column, index)?;
        u32::try_from(value).map_err(|_| self.damaged(column, "a number above 32 bits"))
    }

    /// A column's value as an ordinal of this segment.
    fn ordinal(&self, column: Column, value: u64) -> Result<Ordinal, IndexError> {
        match u32::try_from(value) {
            Ok(ordinal) if ordinal < self.directory.ordinals => Ok(ordinal),
            _ => Err(self.damaged(column, "an ordinal behind the last")),
        }
    }

    fn value(&mut self, column: Column, index: u32) -> Result<u64, IndexError> {
        let place = self.directory.column(column);
        if index >= place.count {
            return Err(self.damaged(column, "an index behind the column's end"));
        }
        if place.width == 0 {
            return Ok(place.min);
        }
        let (at, drop) = place.place(index);
        let word = self.word(column, &place, at)?;
        Ok(place.element(word, drop))
    }

    /// Appends a range of a column, page by page.
    fn values(
        &mut self,
        column: Column,
        range: Range<u32>,
        out: &mut Vec<u64>,
    ) -> Result<(), IndexError> {
        let place = self.directory.column(column);
        if range.end > place.count {
            return Err(self.damaged(column, "an index behind the column's end"));
        }
        let mut index = range.start;
        while index < range.end {
            // The element at a page's border, and any of a column without bytes.
            out.push(self.value(column, index)?);
            index += 1;
            let (number, _) = page_of(place.place(index).0);
            if place.width == 0 || index == range.end {
                continue;
            }
            let page = Page::clone(self.page(column, number)?);
            let page_at = u64::from(number) * PAGE_PAYLOAD_LEN as u64;
            while index < range.end {
                let (at, drop) = place.place(index);
                let within = usize::try_from(at - page_at).unwrap_or(usize::MAX);
                let Some(word) = read_u64(&page, within) else { break };
                out.push(place.element(word, drop));
                index += 1;
            }
        }
        Ok(())
    }

    /// The eight bytes of the stream from `at`; zeros stand behind the column's end.
    fn word(&mut self, column: Column, place: &ColumnRef, at: u64) -> Result<u64, IndexError> {
        let (number, within) = page_of(at);
        let page = self.page(column, number)?;
        if let Some(word) = read_u64(page, within) {
            return Ok(word);
        }
        let mut bytes = [0; 8];
        let part = page.get(within..).unwrap_or_default();
        let have = part.len().min(8);
        bytes[..have].copy_from_slice(&part[..have]);
        if place.offset + place.byte_len() > at + have as u64 {
            let next = self.page(column, number + 1)?;
            let more = (8 - have).min(next.len());
            bytes[have..have + more].copy_from_slice(&next[..more]);
        }
        Ok(u64::from_le_bytes(bytes))
    }

    /// Appends a range of a column of bytes to `out`, as much of it as there is.
    fn blob(
        &mut self,
        column: Column,
        range: Range<u32>,
        out: &mut Vec<u8>,
    ) -> Result<(), IndexError> {
        let end = self.byte_place(column, range.end)?;
        let mut at = self.byte_place(column, range.start)?;
        while at < end {
            let (number, within) = page_of(at);
            let page = self.page(column, number)?;
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let part = page.get(within..).unwrap_or_default();
            let part = &part[..part.len().min(left)];
            if part.is_empty() {
                return Err(self.damaged(column, "a column that ends early"));
            }
            out.extend_from_slice(part);
            at += part.len() as u64;
        }
        Ok(())
    }

    /// Where in the stream a byte of a column of bytes stands, or else where the column ends.
    fn byte_place(&self, column: Column, index: u32) -> Result<u64, IndexError> {
        let place = self.directory.column(column);
        if place.width != 8 && place.count > 0 {
            return Err(self.damaged(column, "a column of bytes with another width"));
        }
        Ok(place.offset + u64::from(index.min(place.count)))
    }

    fn page(&mut self, column: Column, number: u32) -> Result<&Page, IndexError> {
        let held = &mut self.held[column as usize];
        if held.as_ref().is_none_or(|(of, _)| *of != number) {
            // What is read whole, once, is not to push out what is asked for again and again.
            let once = matches!(column, Column::FilterDescriptor | Column::FilterFingerprints);
            let page = if once { self.source.page_once(number) } else { self.source.page(number) };
            *held = Some((number, page?));
        }
        let (_, page) = held.as_ref().expect("filled above");
        Ok(page)
    }

    fn damaged(&self, column: Column, what: &'static str) -> IndexError {
        let at = self.directory.column(column).offset;
        let (page, within) = page_of(at);
        IndexError::Damaged { offset: u64::from(page) * PAGE_LEN as u64 + within as u64, what }
    }

    fn find_key(&mut self, keys: Column, id: EventId) -> Result<Option<u32>, IndexError> {
        let (mut low, mut high) = (0, self.directory.column(keys).count / 16);
        let mut stored = Vec::with_capacity(16);
        while low < high {
            let middle = low + (high - low) / 2;
            stored.clear();
            self.blob(keys, middle * 16..middle * 16 + 16, &mut stored)?;
            match stored.as_slice().cmp(id.as_bytes()) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(Some(middle)),
            }
        }
        Ok(None)
    }

    fn list(&mut self, of: ListOf, starts: Column, index: u32) -> Result<PostingList, IndexError> {
        let range = self.starts(starts, index)?;
        Ok(PostingList { of, start: range.start, len: range.end - range.start })
    }
}

impl<P: PageSource> SegmentIndex for SealedIndex<'_, P> {
    type Error = IndexError;

    fn event_count(&self) -> u32 {
        self.directory.ordinals
    }

    fn entity(&mut self, name: &str) -> Result<Option<u32>, IndexError> {
        self.find_entity(name)
    }

    fn entities_with_prefix(&mut self, prefix: &str) -> Result<Option<Range<u32>>, IndexError> {
        let prefix = prefix.as_bytes();
        let start = self.partition(ENTITY_NAMES, |stored| stored < prefix)?;
        let end =
            self.partition(ENTITY_NAMES, |stored| stored < prefix || stored.starts_with(prefix))?;
        Ok(Some(start..end))
    }

    fn entity_matches(&mut self, entity: u32, filter: &EntityFilter) -> Result<bool, IndexError> {
        Ok(filter.matches(&self.entity_name(entity)?))
    }

    fn scope(&mut self, name: &str) -> Result<Option<u32>, IndexError> {
        self.find_name(SCOPE_NAMES, name, None)
    }

    fn coordinate_at(&mut self, ordinal: Ordinal) -> Result<(u32, u32), IndexError> {
        let coordinate = self.small(Column::Coordinates, ordinal)?;
        let entity = self.small(Column::CoordinateEntities, coordinate)?;
        Ok((entity, self.small(Column::CoordinateScopes, coordinate)?))
    }

    fn kind_at(&mut self, ordinal: Ordinal) -> Result<EventKind, IndexError> {
        let index = self.small(Column::KindIndexes, ordinal)?;
        let at = usize_of(index);
        if let Some(Some(kind)) = self.kinds.get(at) {
            return Ok(*kind);
        }
        let kind = self.kind(index)?;
        if at < KINDS_KNOWN_MAX {
            self.kinds.resize(self.kinds.len().max(at + 1), None);
            self.kinds[at] = Some(kind);
        }
        Ok(kind)
    }

    fn time_us_at(&mut self, ordinal: Ordinal) -> Result<i64, IndexError> {
        Ok((self.value(Column::Times, ordinal)? ^ (1 << 63)).cast_signed())
    }

    fn version_at(&mut self, ordinal: Ordinal) -> Result<Version, IndexError> {
        self.value(Column::Versions, ordinal).map(Version::new)
    }

    fn sequence_at(&mut self, ordinal: Ordinal) -> Result<Sequence, IndexError> {
        let runs = self.directory.column(Column::RunOrdinals).count;
        let (mut low, mut high) = (0, runs);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.small(Column::RunOrdinals, middle)? <= ordinal {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let run = low.saturating_sub(1);
        let first = self.small(Column::RunOrdinals, run)?;
        let sequence = self.value(Column::RunSequences, run)?;
        let within = u64::from(ordinal.saturating_sub(first));
        Ok(Sequence::new(sequence.saturating_add(within)))
    }

    fn offset_at(&mut self, ordinal: Ordinal) -> Result<u64, IndexError> {
        self.value(Column::Offsets, ordinal)
    }

    fn offsets_in(
        &mut self,
        ordinals: Range<Ordinal>,
        out: &mut Vec<u64>,
    ) -> Result<(), IndexError> {
        self.values(Column::Offsets, ordinals, out)
    }

    fn ordinal_from(&mut self, sequence: Sequence) -> Result<Ordinal, IndexError> {
        let runs = self.directory.column(Column::RunSequences).count;
        let (mut low, mut high) = (0, runs);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.value(Column::RunSequences, middle)? <= sequence.get() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let Some(run) = low.checked_sub(1) else { return Ok(0) };
        let first = self.small(Column::RunOrdinals, run)?;
        let end = if low < runs {
            self.small(Column::RunOrdinals, low)?
        } else {
            self.directory.ordinals
        };
        let within = sequence.get() - self.value(Column::RunSequences, run)?;
        Ok(first.saturating_add(u32::try_from(within).unwrap_or(u32::MAX)).min(end))
    }

    fn postings(&mut self, key: PostingKey) -> Result<Option<PostingList>, IndexError> {
        match key {
            PostingKey::Entity(number) => {
                self.list(ListOf::Entity(number), Column::EntityPostingStarts, number).map(Some)
            }
            PostingKey::Scope(number) => {
                self.list(ListOf::Scope(number), Column::ScopePostingStarts, number).map(Some)
            }
            PostingKey::Kind(kind) => {
                for index in 0..self.directory.column(Column::Kinds).count {
                    if self.kind(index)? == kind {
                        let of = ListOf::Kind(index);
                        return self.list(of, Column::KindPostingStarts, index).map(Some);
                    }
                }
                Ok(None)
            }
            PostingKey::Correlation(id) => match self.find_key(Column::CorrelationKeys, id)? {
                Some(at) => {
                    let of = ListOf::Correlation(id);
                    self.list(of, Column::CorrelationPostingStarts, at).map(Some)
                }
                None => Ok(None),
            },
            PostingKey::Causation(id) => match self.find_key(Column::CausationKeys, id)? {
                Some(at) => {
                    let of = ListOf::Causation(id);
                    self.list(of, Column::CausationPostingStarts, at).map(Some)
                }
                None => Ok(None),
            },
        }
    }

    fn posting(&mut self, list: &PostingList, index: u32) -> Result<Ordinal, IndexError> {
        let value = self.value(column_of(list), list.start.saturating_add(index))?;
        self.ordinal(column_of(list), value)
    }

    fn postings_in(
        &mut self,
        list: &PostingList,
        part: Range<u32>,
        out: &mut Vec<Ordinal>,
    ) -> Result<(), IndexError> {
        let column = column_of(list);
        let (start, end) =
            (list.start.saturating_add(part.start), list.start.saturating_add(part.end));
        let mut values = Vec::with_capacity(part.len());
        self.values(column, start..end, &mut values)?;
        out.reserve(values.len());
        for value in values {
            out.push(self.ordinal(column, value)?);
        }
        Ok(())
    }

    fn candidates_of_id(
        &mut self,
        id: EventId,
        visit: &mut dyn FnMut(Ordinal),
    ) -> Result<(), IndexError> {
        let hash = self.hasher.id(id);
        let events = self.directory.ordinals;
        let shift = ordinal_bits(events);
        let bucket = self.starts(Column::IdBucketStarts, id_bucket(hash, id_buckets(events)))?;
        for index in bucket {
            let entry = self.value(Column::IdEntries, index)?;
            let ordinal = u32::try_from(entry & ((1 << shift) - 1)).unwrap_or(u32::MAX);
            if entry >> shift == u64::from(hash & 0xFFFF) {
                if ordinal >= events {
                    return Err(self.damaged(Column::IdEntries, "an ordinal behind the last"));
                }
                visit(ordinal);
            }
        }
        Ok(())
    }
}

fn column_of(list: &PostingList) -> Column {
    match list.of {
        ListOf::Entity(_) => Column::EntityPostings,
        ListOf::Scope(_) => Column::ScopePostings,
        ListOf::Kind(_) => Column::KindPostings,
        ListOf::Correlation(_) => Column::CorrelationPostings,
        ListOf::Causation(_) => Column::CausationPostings,
    }
}

/// The page that holds a byte of the stream, and the byte's place in it.
fn page_of(at: u64) -> (u32, usize) {
    let payload = PAGE_PAYLOAD_LEN as u64;
    let number = u32::try_from(at / payload).unwrap_or(u32::MAX);
    (number, usize_of(u32::try_from(at % payload).unwrap_or(0)))
}
