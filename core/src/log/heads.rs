//! Heads of streams whose newest event is in a sealed segment, kept for the next append to them.
//!
//! An entry says which event was the newest of its stream among all events before a border. It
//! never turns wrong: what comes later stands behind the border, and a compaction changes neither
//! versions nor hashes. So a look-up searches only the segments that reach behind the border. A
//! segment that is sealed hands over the heads that its index had in memory.

use crate::index::Kept;
use crate::model::{Hash, Sequence, Version};
use crate::sync::Mutex;
use core::hash::BuildHasher as _;
use hashbrown::DefaultHashBuilder;

/// What an entry takes up.
const ENTRY_BYTES: usize = 104;

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

/// Two hashes of an entity's name, which no other name shares. One is seeded by the store, the other by
/// what nobody outside of the process knows: else whoever knows the store's id and chooses names could
/// give one stream the head of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct HeadKey {
    of_store: u64,
    of_process: u64,
}

/// See the module. One for a store and all its readers.
pub(crate) struct Heads {
    entries: Mutex<Kept<HeadKey, KnownHead>>,
    /// Numbers of this process.
    secret: DefaultHashBuilder,
    len_max: usize,
}

impl Heads {
    /// Keeps about `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let secret = DefaultHashBuilder::default();
        Heads { entries: Mutex::default(), secret, len_max: bytes / ENTRY_BYTES }
    }

    /// What the head of an entity is kept under, whose hash in the store's indexes this is.
    pub(crate) fn key(&self, entity: &str, entity_hash: u64) -> HeadKey {
        HeadKey { of_store: entity_hash, of_process: self.secret.hash_one(entity) }
    }

    /// The head of a stream that a reader may use whose sealed segments end at `border`.
    pub(crate) fn get(&self, entity: HeadKey, border: Sequence) -> Option<KnownHead> {
        let known = *self.entries.lock().get(&entity)?;
        // To a reader of an older view, an event behind its border is not there yet.
        Some(known).filter(|known| known.head.sequence < border)
    }

    /// Keeps what a search has found, unless something newer is known.
    pub(crate) fn put(&self, entity: HeadKey, known: KnownHead) {
        if self.len_max == 0 {
            return;
        }
        let mut entries = self.entries.lock();
        match entries.get(&entity) {
            Some(kept) if known.border >= kept.border => *kept = known,
            Some(_) => {}
            None => entries.insert(entity, known, self.len_max),
        }
    }

    /// How many heads are held at most.
    pub(crate) fn len_max(&self) -> usize {
        self.len_max
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

    fn key(number: u64) -> HeadKey {
        HeadKey { of_store: number, of_process: 0 }
    }

    #[test]
    fn names_that_share_the_hash_of_the_store_share_no_head() {
        let heads = Heads::new(10 * ENTRY_BYTES);
        heads.put(heads.key("order:1", 7), known(3, 30, 40));
        assert_eq!(heads.get(heads.key("order:2", 7), Sequence::MAX), None);
        assert_eq!(heads.get(heads.key("order:1", 7), Sequence::MAX), Some(known(3, 30, 40)));
    }

    #[test]
    fn a_head_behind_the_border_of_a_reader_is_not_its() {
        let heads = Heads::new(ENTRY_BYTES);
        heads.put(key(1), known(3, 30, 40));
        assert_eq!(heads.get(key(1), Sequence::new(31)), Some(known(3, 30, 40)));
        assert_eq!(heads.get(key(1), Sequence::new(30)), None);
    }

    #[test]
    fn an_older_finding_does_not_replace_a_newer_one() {
        let heads = Heads::new(ENTRY_BYTES);
        heads.put(key(1), known(3, 30, 40));
        heads.put(key(1), known(2, 10, 20));
        assert_eq!(heads.get(key(1), Sequence::MAX), Some(known(3, 30, 40)));
        heads.put(key(1), known(3, 30, 50));
        assert_eq!(heads.get(key(1), Sequence::MAX), Some(known(3, 30, 50)));
    }

    #[test]
    fn the_budget_is_not_exceeded() {
        let heads = Heads::new(10 * ENTRY_BYTES);
        (0..1_000).for_each(|at| heads.put(key(at), known(0, 0, 9)));
        assert_eq!(heads.len(), 10);
        assert!(heads.get(key(999), Sequence::MAX).is_some());
    }

    #[test]
    fn without_a_budget_nothing_is_kept() {
        let heads = Heads::new(0);
        heads.put(key(1), known(0, 0, 9));
        assert_eq!(heads.get(key(1), Sequence::MAX), None);
    }
}
