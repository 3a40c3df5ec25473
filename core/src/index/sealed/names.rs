//! Finding a name among the sorted names of a sealed segment.
//!
//! Each look at a name costs a page or two, and memory that nothing else has touched. So whoever
//! has found a name in one segment says where: in the next one it mostly stands at about the same
//! part of the names, and a search that begins there stays on one page.

use super::{IndexError, PageSource, SealedIndex, page_of};
use crate::format::index_block::Column;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// The columns of where names start and end, and of the names.
pub(super) type Names = [Column; 2];

pub(super) const ENTITY_NAMES: Names = [Column::EntityNameStarts, Column::EntityNames];
pub(super) const PRUNED_NAMES: Names = [Column::PrunedNameStarts, Column::PrunedNames];
pub(super) const SCOPE_NAMES: Names = [Column::ScopeNameStarts, Column::ScopeNames];

/// Where among a segment's sorted names one stands. To another segment it is a guess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rank {
    at: u32,
    of: u32,
}

impl Rank {
    /// The same part of so many names.
    fn among(self, names: u32) -> u32 {
        let at = u64::from(self.at) * u64::from(names) / u64::from(self.of.max(1));
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}

/// How much farther each step goes from a guess that was wrong.
const STRIDE: u32 = 4;

impl<P: PageSource> SealedIndex<'_, P> {
    /// Says where the entity stood in another segment that is looked for next.
    pub(crate) fn expect_entity(&mut self, rank: Option<Rank>) {
        self.rank = rank;
    }

    /// Where the entity stands that was looked for last; what was expected, if it is not there.
    pub(crate) fn entity_rank(&self) -> Option<Rank> {
        self.rank
    }

    pub(super) fn find_entity(&mut self, name: &str) -> Result<Option<u32>, IndexError> {
        let of = self.names_in(ENTITY_NAMES);
        let guess = self.rank.map(|rank| rank.among(of));
        let found = self.find_name(ENTITY_NAMES, name, guess)?;
        if let Some(at) = found {
            self.rank = Some(Rank { at, of });
        }
        Ok(found)
    }

    /// The number of a name; the search begins at `guess`, where there is one.
    pub(super) fn find_name(
        &mut self,
        names: Names,
        name: &str,
        guess: Option<u32>,
    ) -> Result<Option<u32>, IndexError> {
        let (mut low, mut high) = (0, self.names_in(names));
        let (mut near, mut stride, mut upward) = (guess, 1, None);
        while low < high {
            let middle = match near {
                Some(at) => at.clamp(low, high - 1),
                None => low + (high - low) / 2,
            };
            let goes_up = match self.compare(names, middle, name.as_bytes())? {
                Ordering::Equal => return Ok(Some(middle)),
                Ordering::Less => true,
                Ordering::Greater => false,
            };
            if goes_up {
                low = middle + 1;
            } else {
                high = middle;
            }
            // Ever farther the same way, until the name is passed: it is in between then.
            let beyond =
                if goes_up { middle.saturating_add(stride) } else { middle.saturating_sub(stride) };
            let passed = upward.is_some_and(|upward| upward != goes_up);
            near = near.filter(|_| !passed && (low..high).contains(&beyond)).map(|_| beyond);
            (stride, upward) = (stride.saturating_mul(STRIDE), Some(goes_up));
        }
        Ok(None)
    }

    /// The number of the first of the sorted names that `below` is false for.
    pub(super) fn partition(
        &mut self,
        names: Names,
        mut below: impl FnMut(&[u8]) -> bool,
    ) -> Result<u32, IndexError> {
        let (mut low, mut high) = (0, self.names_in(names));
        let mut stored = Vec::new();
        while low < high {
            let middle = low + (high - low) / 2;
            let range = self.starts(names[0], middle)?;
            stored.clear();
            self.blob(names[1], range, &mut stored)?;
            if below(&stored) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    pub(super) fn name(&mut self, number: u32, names: Names) -> Result<String, IndexError> {
        let range = self.starts(names[0], number)?;
        let mut bytes = Vec::new();
        self.blob(names[1], range, &mut bytes)?;
        let damaged = self.damaged(names[1], "a name that is not UTF-8");
        String::from_utf8(bytes).map_err(|_| damaged)
    }

    fn names_in(&self, names: Names) -> u32 {
        self.directory.column(names[0]).count.saturating_sub(1)
    }

    /// Compares a stored name with `name`, where it stands.
    fn compare(
        &mut self,
        [starts, names]: Names,
        number: u32,
        name: &[u8],
    ) -> Result<Ordering, IndexError> {
        let range = self.starts(starts, number)?;
        let mut rest = name;
        let mut at = self.byte_place(names, range.start)?;
        let end = self.byte_place(names, range.end)?;
        while at < end {
            let (page, within) = page_of(at);
            let left = usize::try_from(end - at).unwrap_or(usize::MAX);
            let stored = self.page(names, page)?.get(within..).unwrap_or_default();
            let stored = &stored[..stored.len().min(left)];
            if stored.is_empty() {
                return Err(self.damaged(names, "a column that ends early"));
            }
            let (part, behind) = rest.split_at(rest.len().min(stored.len()));
            match stored.cmp(part) {
                Ordering::Equal => rest = behind,
                other => return Ok(other),
            }
            at += stored.len() as u64;
        }
        Ok(if rest.is_empty() { Ordering::Equal } else { Ordering::Less })
    }
}

#[cfg(test)]
mod tests {
    use super::super::directory;
    use super::*;
    use crate::format::index_block::{PAGE_LEN, page_payload, stream_len};
    use crate::format::segment::StoreId;
    use crate::index::page_cache::Page;
    use crate::index::{Address, GrowingIndex, IndexEntry, KeyHasher};
    use crate::model::{EventId, EventKind, Sequence, Version};
    use alloc::collections::BTreeSet;
    use alloc::format;
    use core::cell::Cell;
    use proptest::prelude::*;

    const SALT: u32 = 5;

    struct Block {
        bytes: Vec<u8>,
        asked: Cell<u32>,
    }

    impl PageSource for Block {
        fn page(&self, number: u32) -> Result<Page, IndexError> {
            self.asked.set(self.asked.get() + 1);
            let at = usize::try_from(number).unwrap() * PAGE_LEN;
            let bytes = &self.bytes[at..self.bytes.len().min(at + PAGE_LEN)];
            assert!(page_payload(bytes, SALT).is_some());
            Page::load(bytes.len(), |page| {
                page.copy_from_slice(bytes);
                Ok(())
            })
        }

        fn page_once(&self, number: u32) -> Result<Page, IndexError> {
            self.page(number)
        }

        fn stream_len(&self) -> u64 {
            stream_len(self.bytes.len() as u64)
        }

        fn is_rebuilt(&self) -> bool {
            false
        }
    }

    fn hasher() -> KeyHasher {
        KeyHasher::new(&StoreId::from_bytes([3; 16]))
    }

    /// The index block of a segment with one event of each of these entities.
    fn block<'a>(names: impl Iterator<Item = &'a str>) -> Block {
        let mut index = GrowingIndex::new(hasher());
        for (at, name) in (0_u64..).zip(names) {
            let entry = IndexEntry {
                sequence: Sequence::new(at),
                offset: at * 100,
                address: Address::Names { entity: name, scope: "scope" },
                entity_hash: hasher().name(name),
                kind: EventKind::new(1, 1),
                timestamp_us: 0,
                version: Version::ZERO,
                id: EventId::from_key(&format!("{at}")),
                correlation: None,
                causation: None,
                event_hash: None,
            };
            index.push(&entry).unwrap();
        }
        Block { bytes: index.encode(SALT), asked: Cell::new(0) }
    }

    proptest! {
        #[test]
        fn a_name_is_found_from_any_guess_and_what_is_no_name_is_not(
            names in prop::collection::btree_set("[a-c]{1,6}", 1..60),
            others in prop::collection::vec("[a-c]{0,6}", 1..10),
            guesses in prop::collection::vec((0..70_u32, 0..70_u32), 1..6),
        ) {
            let block = block(names.iter().map(String::as_str));
            let directory = directory(&block).unwrap();
            for name in names.iter().chain(&others) {
                let expected = names.iter().position(|known| known == name);
                let expected = expected.map(|at| u32::try_from(at).unwrap());
                for (at, of) in &guesses {
                    let mut index = SealedIndex::new(&block, &directory, hasher());
                    index.expect_entity(Some(Rank { at: *at, of: *of }));
                    prop_assert_eq!(index.find_entity(name).unwrap(), expected);
                }
                let mut index = SealedIndex::new(&block, &directory, hasher());
                prop_assert_eq!(index.find_entity(name).unwrap(), expected);
            }
        }
    }

    #[test]
    fn where_a_name_stands_in_one_segment_leads_to_it_in_the_next() {
        let all: BTreeSet<String> = (0..20_000).map(|at| format!("order:{at:08}")).collect();
        let some = || all.iter().enumerate().filter(|(at, _)| at % 3 != 1).map(|(_, name)| &**name);
        let (whole, part) = (block(all.iter().map(String::as_str)), block(some()));
        let (of_whole, of_part) = (directory(&whole).unwrap(), directory(&part).unwrap());
        for name in some().step_by(997) {
            let mut first = SealedIndex::new(&whole, &of_whole, hasher());
            assert!(first.find_entity(name).unwrap().is_some());
            part.asked.set(0);
            let mut blind = SealedIndex::new(&part, &of_part, hasher());
            let found = blind.find_entity(name).unwrap();
            let asked_blind = part.asked.take();
            let mut led = SealedIndex::new(&part, &of_part, hasher());
            led.expect_entity(first.entity_rank());
            assert_eq!(led.find_entity(name).unwrap(), found);
            assert!(
                part.asked.get() <= 4,
                "{} pages, {asked_blind} without a guess",
                part.asked.get()
            );
        }
    }

    #[test]
    fn a_name_over_a_pages_border_is_compared_whole() {
        let long = |end: char| format!("{}{end}", "a".repeat(200));
        let names: Vec<String> = (0..500).map(|at| format!("{at:04}{}", long('x'))).collect();
        let block = block(names.iter().map(String::as_str));
        let directory = directory(&block).unwrap();
        for (at, name) in names.iter().enumerate() {
            let mut index = SealedIndex::new(&block, &directory, hasher());
            assert_eq!(index.find_entity(name).unwrap(), Some(u32::try_from(at).unwrap()));
            let other = format!("{at:04}{}", long('y'));
            assert_eq!(index.find_entity(&other).unwrap(), None);
            assert_eq!(index.entity_name(u32::try_from(at).unwrap()).unwrap(), *name);
        }
    }
}
