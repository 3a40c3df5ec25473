//! Pages of sealed indexes, kept within a budget of bytes, the least recently used go first.

use crate::format::index_block::PAGE_LEN;
use crate::sync::Mutex;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use lru::LruCache;

/// The payload of a page whose CRC was right.
pub(crate) type Page = Arc<[u8]>;

/// See the module. One for all segments of a store.
pub(crate) struct PageCache {
    pages: Mutex<LruCache<(u64, u32), Page>>,
    pages_max: usize,
    hits: AtomicU64,
    misses: AtomicU64,
}

impl core::fmt::Debug for PageCache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PageCache").field("pages", &self.pages.lock().len()).finish()
    }
}

impl PageCache {
    /// Keeps at most `bytes` bytes, and one page at least.
    pub(crate) fn new(bytes: usize) -> Self {
        PageCache {
            // One with a bound would take the memory of its table at once.
            pages: Mutex::new(LruCache::unbounded()),
            pages_max: (bytes / PAGE_LEN).max(1),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// The page, from the cache or else from `load`, which runs without the lock.
    pub(crate) fn page<E>(
        &self,
        segment: u64,
        number: u32,
        load: impl FnOnce() -> Result<Page, E>,
    ) -> Result<Page, E> {
        if let Some(page) = self.pages.lock().get(&(segment, number)) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Arc::clone(page));
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let page = load()?;
        let mut pages = self.pages.lock();
        pages.put((segment, number), Arc::clone(&page));
        if pages.len() > self.pages_max {
            pages.pop_lru();
        }
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
