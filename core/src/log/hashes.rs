//! Hashes of events that were asked for lately, by sequence, so that they are not computed again.
//!
//! An entry never turns wrong while a store is open: what is visible is neither taken back nor
//! given another hash, and a hash outlives the event that retention drops. It is no payload, nor
//! can one be made of it, so an erasure leaves it.

use crate::model::{Hash, Sequence};
use crate::sync::Mutex;
use alloc::vec::Vec;

/// How many there are at most: some 40 KiB, taken when the first one is kept.
const LEN_MAX: u64 = 1_024;

/// See the module. One for a store and all its readers.
#[derive(Default)]
pub(crate) struct Hashes {
    /// Each sequence has one place, which it shares with those that are a multiple of the table's
    /// length away: neighbours do not push one another out.
    slots: Mutex<Vec<Option<(Sequence, Hash)>>>,
}

impl Hashes {
    pub(crate) fn get(&self, sequence: Sequence) -> Option<Hash> {
        let slots = self.slots.lock();
        let (of, hash) = (*slots.get(place_of(sequence))?)?;
        (of == sequence).then_some(hash)
    }

    pub(crate) fn put(&self, sequence: Sequence, hash: Hash) {
        let mut slots = self.slots.lock();
        if slots.is_empty() {
            slots.resize(place_of(Sequence::new(LEN_MAX - 1)) + 1, None);
        }
        slots[place_of(sequence)] = Some((sequence, hash));
    }

    /// Roughly the bytes that it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.lock().len() * size_of::<Option<(Sequence, Hash)>>()
    }
}

fn place_of(sequence: Sequence) -> usize {
    usize::try_from(sequence.get() % LEN_MAX).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(byte: u8) -> Hash {
        Hash::from_bytes([byte; 32])
    }

    #[test]
    fn a_hash_is_found_by_its_own_sequence_alone() {
        let hashes = Hashes::default();
        let (first, same_place) = (Sequence::new(7), Sequence::new(7 + LEN_MAX));
        assert_eq!(hashes.get(first), None);
        hashes.put(first, hash(1));
        assert_eq!((hashes.get(first), hashes.get(same_place)), (Some(hash(1)), None));
        hashes.put(same_place, hash(2));
        assert_eq!((hashes.get(first), hashes.get(same_place)), (None, Some(hash(2))));
    }

    #[test]
    fn its_memory_does_not_grow_with_what_is_kept() {
        let hashes = Hashes::default();
        assert_eq!(hashes.memory_bytes(), 0);
        hashes.put(Sequence::ZERO, hash(1));
        let taken = hashes.memory_bytes();
        (0..5 * LEN_MAX).for_each(|at| hashes.put(Sequence::new(at), hash(2)));
        assert_eq!(hashes.memory_bytes(), taken);
        assert!(taken <= 64 * 1_024);
    }
}
