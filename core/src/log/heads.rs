//! Heads of streams whose newest event is in a sealed segment, kept for the next append to them.
//!
//! An entry says which event was the newest of its stream among all events before a border. It
//! never turns wrong: what comes later stands behind the border, and a compaction changes neither
//! versions nor hashes. So a look-up searches only the segments that reach behind the border.

use crate::model::{Hash, Sequence, Version};
use crate::sync::Mutex;
use alloc::boxed::Box;
use lru::LruCache;

/// What an entry takes up, without the name.
const ENTRY_BYTES: usize = 192;

/// The newest event of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: Version,
    pub(crate) sequence: Sequence,
    /// The event's hash, where somebody has needed it.
    pub(crate) hash: Option<Hash>,
}

/// A head, and the end of the events that it is the newest of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownHead {
    pub(crate) head: Head,
    pub(crate) border: Sequence,
}

struct Entry {
    entity: Box<str>,
    known: KnownHead,
}

/// See the module. One for a store and all its readers.
pub(crate) struct Heads {
    /// By the hash of the entity's name. Two names of one hash take turns.
    entries: Mutex<LruCache<u64, Entry>>,
    len_max: usize,
}

impl Heads {
    /// Keeps about `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        Heads { entries: Mutex::new(LruCache::unbounded()), len_max: bytes / ENTRY_BYTES }
    }

    /// The head of a stream that a reader may use whose sealed segments end at `border`.
    pub(crate) fn get(&self, hash: u64, entity: &str, border: Sequence) -> Option<KnownHead> {
        let mut entries = self.entries.lock();
        let entry = entries.get(&hash).filter(|entry| *entry.entity == *entity)?;
        // To a reader of an older view, an event behind its border is not there yet.
        Some(entry.known).filter(|known| known.head.sequence < border)
    }

    /// Keeps what a search has found, unless something newer is known.
    pub(crate) fn put(&self, hash: u64, entity: &str, known: KnownHead) {
        if self.len_max == 0 {
            return;
        }
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get_mut(&hash).filter(|entry| *entry.entity == *entity) {
            if known.border >= entry.known.border {
                entry.known = known;
            }
            return;
        }
        if entries.len() >= self.len_max {
            entries.pop_lru();
        }
        entries.put(hash, Entry { entity: entity.into(), known });
    }

    /// How many heads are held.
    pub(crate) fn len(&self) -> usize {
        self.entries.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(version: u64, sequence: u64, border: u64) -> KnownHead {
        let (version, sequence) = (Version::new(version), Sequence::new(sequence));
        let head = Head { version, sequence, hash: None };
        KnownHead { head, border: Sequence::new(border) }
    }

    #[test]
    fn a_head_behind_the_border_of_a_reader_is_not_its() {
        let heads = Heads::new(ENTRY_BYTES);
        heads.put(1, "a", known(3, 30, 40));
        assert_eq!(heads.get(1, "a", Sequence::new(31)), Some(known(3, 30, 40)));
        assert_eq!(heads.get(1, "a", Sequence::new(30)), None);
    }

    #[test]
    fn names_of_one_hash_are_told_apart() {
        let heads = Heads::new(ENTRY_BYTES);
        heads.put(1, "a", known(3, 30, 40));
        assert_eq!(heads.get(1, "b", Sequence::MAX), None);
    }

    #[test]
    fn an_older_finding_does_not_replace_a_newer_one() {
        let heads = Heads::new(ENTRY_BYTES);
        heads.put(1, "a", known(3, 30, 40));
        heads.put(1, "a", known(2, 10, 20));
        assert_eq!(heads.get(1, "a", Sequence::MAX), Some(known(3, 30, 40)));
        heads.put(1, "a", known(3, 30, 50));
        assert_eq!(heads.get(1, "a", Sequence::MAX), Some(known(3, 30, 50)));
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let heads = Heads::new(2 * ENTRY_BYTES);
        heads.put(1, "a", known(0, 0, 9));
        heads.put(2, "b", known(0, 1, 9));
        assert!(heads.get(1, "a", Sequence::MAX).is_some());
        heads.put(3, "c", known(0, 2, 9));
        assert_eq!(heads.get(2, "b", Sequence::MAX), None);
        assert!(heads.get(1, "a", Sequence::MAX).is_some());
        assert_eq!(heads.len(), 2);
    }

    #[test]
    fn without_a_budget_nothing_is_kept() {
        let heads = Heads::new(0);
        heads.put(1, "a", known(0, 0, 9));
        assert_eq!(heads.get(1, "a", Sequence::MAX), None);
    }
}
