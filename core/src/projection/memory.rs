//! A cache in memory that keeps what was used last, within a budget of bytes.

use super::cache::{CacheError, ProjectionCache, ProjectionKey};
use crate::sync::Mutex;
use alloc::vec::Vec;
use lru::LruCache;

/// See the module. Shared by reference between threads.
pub struct MemoryCache {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

struct Inner {
    entries: LruCache<ProjectionKey, Vec<u8>>,
    bytes: usize,
}

/// What an entry takes up besides its key and its bytes, roughly.
const ENTRY_OVERHEAD: usize = 128;

impl core::fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut debug = f.debug_struct("MemoryCache");
        debug.field("bytes", &self.bytes()).field("bytes_max", &self.bytes_max).finish()
    }
}

impl MemoryCache {
    /// Keeps at most `bytes_max` bytes, keys and overhead included.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let inner = Inner { entries: LruCache::unbounded(), bytes: 0 };
        MemoryCache { inner: Mutex::new(inner), bytes_max }
    }

    /// How many entries it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.lock().entries.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Roughly the bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut inner = self.inner.lock();
        inner.entries.clear();
        inner.bytes = 0;
    }
}

impl Inner {
    fn remove(&mut self, key: &ProjectionKey) {
        if let Some(entry) = self.entries.pop(key) {
            self.bytes -= entry_len(key, &entry);
        }
    }
}

fn entry_len(key: &ProjectionKey, entry: &[u8]) -> usize {
    ENTRY_OVERHEAD + key.as_bytes().len() + entry.len()
}

impl ProjectionCache for MemoryCache {
    fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
        Ok(self.inner.lock().entries.get(key).cloned())
    }

    fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError> {
        let len = entry_len(key, entry);
        let mut inner = self.inner.lock();
        inner.remove(key);
        if len > self.bytes_max {
            return Ok(());
        }
        inner.entries.put(key.clone(), entry.to_vec());
        inner.bytes += len;
        while inner.bytes > self.bytes_max {
            let Some((key, entry)) = inner.entries.pop_lru() else { break };
            inner.bytes -= entry_len(&key, &entry);
        }
        Ok(())
    }

    fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError> {
        self.inner.lock().remove(key);
        Ok(())
    }
}
