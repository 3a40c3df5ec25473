//! Pages of sealed indexes, kept within a budget of bytes.

use super::kept::Kept;
use crate::format::index_block::PAGE_LEN;
use crate::sync::Mutex;
use alloc::sync::Arc;
use core::ops::Deref;
use core::sync::atomic::{AtomicU64, Ordering};

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

/// See the module. One for all segments of a store.
pub(crate) struct PageCache {
    /// By the number of the segment and that of the page.
    pages: Mutex<Kept<(u64, u32), Page>>,
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
            pages: Mutex::default(),
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
            let mut pages = self.pages.lock();
            if let Some(page) = pages.get(&key) {
                self.hits.fetch_add(1, Ordering::Relaxed);
                return Ok(page.clone());
            }
            if pages.len() < self.pages_max { None } else { pages.give_up_one() }
        };
        self.misses.fetch_add(1, Ordering::Relaxed);
        // The memory of the page that went is read into, unless somebody still looks at it.
        let mut page = room.filter(|page| page.0.len() == len).unwrap_or_else(|| Page::blank(len));
        if page.bytes_mut().is_none() {
            page = Page::blank(len);
        }
        load(page.bytes_mut().expect("nobody else has it"))?;
        self.pages.lock().insert(key, page.clone(), self.pages_max);
        Ok(page)
    }

    /// Look-ups that were served from memory, and those that were not.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed))
    }

    /// Roughly the bytes that it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.pages.lock().len() * PAGE_LEN
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
}
