//! Pages of sealed indexes, kept within a budget of bytes.
//!
//! Where a page has to go, places are looked at by chance: one whose page was used since it was
//! last looked at is passed over once. So pages in use stay, and of pages that are asked for in
//! turns, more than fit, a part stays too; by age alone each would go just before it is asked for.

use crate::format::index_block::PAGE_LEN;
use crate::sync::Mutex;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;
use core::sync::atomic::{AtomicU64, Ordering};
use hashbrown::HashMap;

/// A page whose CRC was right. It shows the payload.
#[derive(Debug, Clone)]
pub(crate) struct Page(Arc<[u8]>);

/// Bytes of a page behind its payload.
const CRC_LEN: usize = 4;

impl Page {
    /// A page of `len` bytes, its CRC included, that `load` has filled and checked.
    pub(crate) fn load<E>(
        len: usize,
        load: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut page = Page::blank(len);
        load(page.bytes_mut().expect("nobody else has it yet"))?;
        Ok(page)
    }

    fn blank(len: usize) -> Self {
        Page(core::iter::repeat_n(0, len).collect())
    }

    /// `None` where somebody else looks at it.
    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        Arc::get_mut(&mut self.0)
    }
}

impl Deref for Page {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0[..self.0.len().saturating_sub(CRC_LEN)]
    }
}

/// A segment and a page of its index.
type Key = (u64, u32);

struct Slot {
    key: Key,
    page: Page,
    used: bool,
}

#[derive(Default)]
struct Slots {
    places: HashMap<Key, usize>,
    slots: Vec<Slot>,
    /// Which place is looked at next, as a number that seems to be by chance.
    turn: u64,
}

/// See the module. One for all segments of a store.
pub(crate) struct PageCache {
    slots: Mutex<Slots>,
    pages_max: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl core::fmt::Debug for PageCache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PageCache").field("bytes", &self.memory_bytes()).finish()
    }
}

impl PageCache {
    /// Keeps at most `bytes` bytes, and one page at least.
    pub(crate) fn new(bytes: usize) -> Self {
        PageCache {
            slots: Mutex::default(),
            pages_max: (bytes / PAGE_LEN).max(1),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The page of `len` bytes, from the cache or else filled by `load`, which runs without the
    /// lock and checks what it has read.
    pub(crate) fn page<E>(
        &self,
        segment: u64,
        number: u32,
        len: usize,
        load: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Page, E> {
        let key = (segment, number);
        let room = {
            let mut slots = self.slots.lock();
            if let Some(page) = slots.get(key) {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(page);
            }
            if slots.slots.len() < self.pages_max { None } else { slots.give_up_one() }
        };
        self.misses.fetch_add(1, Ordering::Relaxed);
        // The memory of the page that went is read into, unless somebody still looks at it.
        let mut page = room.filter(|page| page.0.len() == len).unwrap_or_else(|| Page::blank(len));
        if page.bytes_mut().is_none() {
            page = Page::blank(len);
        }
        load(page.bytes_mut().expect("nobody else has it"))?;
        let mut slots = self.slots.lock();
        slots.put(key, &page);
        if slots.slots.len() > self.pages_max {
            slots.give_up_one();
        }
        Ok(page)
    }

    /// Look-ups that were served from memory, and those that were not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// Roughly the bytes that it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.slots.lock().slots.len() * PAGE_LEN
    }
}

impl Slots {
    fn get(&mut self, key: Key) -> Option<Page> {
        let slot = &mut self.slots[*self.places.get(&key)?];
        slot.used = true;
        Some(slot.page.clone())
    }

    fn put(&mut self, key: Key, page: &Page) {
        // Of two that load a page at a time, the first one's stays.
        if self.places.contains_key(&key) {
            return;
        }
        self.places.insert(key, self.slots.len());
        self.slots.push(Slot { key, page: page.clone(), used: false });
    }

    /// Takes out a page that was not used lately.
    fn give_up_one(&mut self) -> Option<Page> {
        loop {
            self.turn = self.turn.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let chance = u128::from(self.turn ^ (self.turn >> 29)) * self.slots.len() as u128;
            let at = usize::try_from(chance >> u64::BITS).unwrap_or(0);
            let slot = self.slots.get_mut(at)?;
            if !core::mem::take(&mut slot.used) {
                let Slot { key, page, .. } = self.slots.swap_remove(at);
                self.places.remove(&key);
                if let Some(moved) = self.slots.get(at) {
                    self.places.insert(moved.key, at);
                }
                return Some(page);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(cache: &PageCache, number: u32) -> Page {
        let load = |bytes: &mut [u8]| {
            bytes.fill(u8::try_from(number % 251).unwrap_or(0));
            Ok::<(), ()>(())
        };
        cache.page(7, number, PAGE_LEN, load).unwrap()
    }

    fn misses_of(cache: &PageCache, ask_all: impl FnOnce()) -> u64 {
        let before = cache.counts().1;
        ask_all();
        cache.counts().1 - before
    }

    #[test]
    fn a_page_comes_back_and_shows_its_payload_alone() {
        let cache = PageCache::new(4 * PAGE_LEN);
        for number in [3, 4, 3, 250] {
            let page = ask(&cache, number);
            assert_eq!(page.len(), PAGE_LEN - CRC_LEN);
            assert!(page.iter().all(|byte| u32::from(*byte) == number));
        }
        assert_eq!(cache.counts(), (1, 3));
    }

    #[test]
    fn its_memory_stays_within_the_budget() {
        let cache = PageCache::new(10 * PAGE_LEN);
        (0..1_000).for_each(|number| drop(ask(&cache, number)));
        assert_eq!(cache.memory_bytes(), 10 * PAGE_LEN);
        let none = PageCache::new(0);
        (0..10).for_each(|number| drop(ask(&none, number)));
        assert_eq!(none.memory_bytes(), PAGE_LEN);
    }

    #[test]
    fn a_page_that_went_stays_as_it_was_for_who_looks_at_it() {
        let cache = PageCache::new(PAGE_LEN);
        let held = ask(&cache, 1);
        (2..20).for_each(|number| drop(ask(&cache, number)));
        assert!(held.iter().all(|byte| *byte == 1));
    }

    #[test]
    fn a_page_that_could_not_be_loaded_is_asked_for_again() {
        let cache = PageCache::new(PAGE_LEN);
        drop(ask(&cache, 1));
        assert_eq!(cache.page(7, 2, PAGE_LEN, |_| Err("broken")).err(), Some("broken"));
        assert!(ask(&cache, 2).iter().all(|byte| *byte == 2));
    }

    #[test]
    fn a_part_of_what_is_asked_for_in_turns_stays_though_not_all_fits() {
        let cache = PageCache::new(100 * PAGE_LEN);
        let turns =
            |count: u32| (0..count).for_each(|_| (0..140).for_each(|n| drop(ask(&cache, n))));
        turns(20);
        let misses = misses_of(&cache, || turns(10));
        assert!(misses < 10 * 140 * 7 / 10, "{misses} of 1400 were not there");
    }

    #[test]
    fn pages_in_use_stay_while_others_come_and_go() {
        let cache = PageCache::new(100 * PAGE_LEN);
        let misses = misses_of(&cache, || {
            for at in 0..5_000 {
                drop(ask(&cache, at % 10));
                drop(ask(&cache, 1_000 + at));
            }
        });
        assert!(misses < 5_000 + 5_000 / 20, "{misses}");
    }
}
