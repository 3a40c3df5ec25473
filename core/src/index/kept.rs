//! A bounded map of what was used lately, of which each entry costs little and a look-up changes
//! nothing but a mark.
//!
//! What has to go is met by chance: an entry that was used since it was last met is passed over
//! once. So what is in use stays, and of more than fits that is asked for in turns a part stays
//! too; by age alone each would go just before it is asked for.

use crate::format::usize_of;
use alloc::vec::Vec;
use core::hash::{BuildHasher as _, Hash};
use hashbrown::{DefaultHashBuilder, HashTable};

struct Slot<K, V> {
    key: K,
    value: V,
    used: bool,
}

/// See the module. How many there may be, says who inserts.
pub(crate) struct Kept<K, V> {
    hasher: DefaultHashBuilder,
    /// Places in `slots`.
    places: HashTable<u32>,
    slots: Vec<Slot<K, V>>,
    /// Which place is met next, as a number that seems to be by chance.
    turn: u64,
}

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        let (places, slots) = (HashTable::new(), Vec::new());
        Kept { hasher: DefaultHashBuilder::default(), places, slots, turn: 0 }
    }
}

impl<K: Hash + Eq, V> Kept<K, V> {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// What is kept for `key`, which counts as a use.
    pub(crate) fn get(&mut self, key: &K) -> Option<&mut V> {
        let slots = &self.slots;
        let is_it = |place: &u32| slots[usize_of(*place)].key == *key;
        let place = *self.places.find(self.hasher.hash_one(key), is_it)?;
        let slot = &mut self.slots[usize_of(place)];
        slot.used = true;
        Some(&mut slot.value)
    }

    /// Keeps a value for `key`, in place of what is kept for it, as one of at most `len_max`.
    pub(crate) fn insert(&mut self, key: K, value: V, len_max: usize) {
        if let Some(kept) = self.get(&key) {
            *kept = value;
            return;
        }
        while self.slots.len() >= len_max.max(1) {
            self.give_up_one();
        }
        if self.slots.len() == self.slots.capacity() {
            // Never memory for more than there may be.
            let more = self.slots.len().clamp(4, 1 << 20);
            self.slots.reserve_exact(more.min(len_max.max(1) - self.slots.len()));
        }
        let place = u32::try_from(self.slots.len()).expect("fewer entries than 4 billion");
        let (hasher, slots) = (&self.hasher, &self.slots);
        let hash_of = |place: &u32| hasher.hash_one(&slots[usize_of(*place)].key);
        self.places.insert_unique(hasher.hash_one(&key), place, hash_of);
        self.slots.push(Slot { key, value, used: false });
    }

    /// Takes out one that was not used lately.
    pub(crate) fn give_up_one(&mut self) -> Option<V> {
        loop {
            self.turn = self.turn.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let chance = u128::from(self.turn ^ (self.turn >> 29)) * self.slots.len() as u128;
            let at = usize::try_from(chance >> u64::BITS).unwrap_or(0);
            if !core::mem::take(&mut self.slots.get_mut(at)?.used) {
                return self.take_out(at);
            }
        }
    }

    fn take_out(&mut self, at: usize) -> Option<V> {
        let last = self.slots.len().checked_sub(1)?;
        let (place, last_place) = (u32::try_from(at).ok()?, u32::try_from(last).ok()?);
        let hash = self.hasher.hash_one(&self.slots[at].key);
        if let Ok(entry) = self.places.find_entry(hash, |found| *found == place) {
            entry.remove();
        }
        let last_hash = self.hasher.hash_one(&self.slots[last].key);
        if let Some(moved) = self.places.find_mut(last_hash, |found| *found == last_place) {
            *moved = place;
        }
        Some(self.slots.swap_remove(at).value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_put_last(
            steps in prop::collection::vec((0_u8..30, any::<bool>()), 1..400), len_max in 0_usize..12,
        ) {
            let (mut kept, mut newest) = (Kept::default(), BTreeMap::new());
            for (at, (key, puts)) in steps.into_iter().enumerate() {
                if puts {
                    kept.insert(key, at, len_max);
                    newest.insert(key, at);
                    prop_assert_eq!(kept.get(&key), Some(&mut at.clone()));
                } else if let Some(value) = kept.get(&key) {
                    prop_assert_eq!(Some(&*value), newest.get(&key));
                }
                prop_assert!(kept.len() <= len_max.max(1));
                prop_assert!(kept.slots.capacity() <= len_max.max(4));
                prop_assert_eq!(kept.len(), kept.places.len());
            }
        }
    }

    #[test]
    fn a_part_of_what_is_asked_for_in_turns_stays_though_not_all_fits() {
        let mut kept = Kept::default();
        let mut misses = 0;
        for at in 0..140 * 30_u32 {
            if kept.get(&(at % 140)).is_none() {
                kept.insert(at % 140, (), 100);
                misses += u32::from(at >= 140 * 20);
            }
        }
        assert!(misses < 140 * 10 * 7 / 10, "{misses} of 1400 were not there");
    }

    #[test]
    fn what_is_in_use_stays_while_others_come_and_go() {
        let (mut kept, mut misses) = (Kept::default(), 0);
        for at in 0..5_000_u32 {
            if kept.get(&(at % 10)).is_none() {
                kept.insert(at % 10, (), 100);
                misses += 1;
            }
            kept.insert(1_000 + at, (), 100);
        }
        assert!(misses < 5_000 / 20, "{misses}");
    }
}
