//! A cache that the store itself keeps, among the checkpoints of its meta log: on every backend, in
//! a browser too, without another file to care for.
//!
//! Entries are in memory, within a budget. Now and then, and before the log closes, the host saves
//! those that have changed; in between they cost no write at all. What is not saved when the
//! process ends is made anew from the older entry and the events since.
//!
//! ```text
//! name "cache/" | digest of the key [32]      value stamp u64 LE | entry
//! ```

use super::cache::{CacheError, ProjectionCache, ProjectionKey};
use super::entry;
use crate::log::{CheckpointName, Host, Log, MetaSync, Reader, StoreError};
use crate::model::Hash;
use crate::storage::Storage;
use crate::sync::Mutex;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use lru::LruCache;

/// See the module. `Store::open_with_cache` loads and saves it by itself; other hosts call
/// [`load`](CheckpointCache::load) and [`save`](CheckpointCache::save).
///
/// # Examples
///
/// ```
/// # use annals_core::{Append, Coordinate, Host, Log, LogConfig, MemoryStorage, Payload};
/// # use annals_core::{CodecError, EventKind, EventSourced, SourceEvent};
/// # struct Fixed;
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7); }
/// # }
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Changes(u64);
/// # impl EventSourced for Changes {
/// #     const NAME: &'static str = "changes";
/// #     fn apply(&mut self, _event: &SourceEvent<'_>) -> Result<(), CodecError> {
/// #         self.0 += 1;
/// #         Ok(())
/// #     }
/// # }
/// use annals_core::{CheckpointCache, Projector};
///
/// # let storage = MemoryStorage::new();
/// let mut log = Log::open(storage, Fixed, LogConfig::default())?;
/// # let order = Coordinate::new("order:5", "shop")?;
/// # log.append(&Append::new(order, EventKind::new(1, 1), Payload::raw("apples")))?;
/// let cache = CheckpointCache::new(4 * 1024 * 1024);
/// cache.load(&log);
/// let reader = log.reader();
/// let changes = Projector::new(&reader).with_cache(&cache, 0).project_cached::<Changes>("order:5")?;
/// cache.save(&mut log)?;
/// assert_eq!(cache.unsaved_bytes(), 0);
/// # assert_eq!(changes.map(|changes| changes.state.0), Some(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CheckpointCache {
    inner: Mutex<Inner>,
    bytes_max: usize,
}

struct Inner {
    entries: LruCache<Hash, Kept>,
    bytes: usize,
    unsaved_bytes: usize,
    /// What the log has and is to forget.
    gone: BTreeSet<[u8; 32]>,
    next_stamp: u64,
}

/// What the log is to be told.
struct Unsaved {
    gone: Vec<[u8; 32]>,
    /// In the order in which they changed.
    changed: Vec<(u64, Hash, Vec<u8>)>,
}

struct Kept {
    entry: Vec<u8>,
    /// Rises with each put.
    stamp: u64,
    unsaved: bool,
}

const NAME_PREFIX: &[u8] = b"cache/";
const NAME_LEN: usize = NAME_PREFIX.len() + 32;
const STAMP_LEN: usize = 8;
/// What an entry takes up in the meta log besides its bytes.
const ENTRY_OVERHEAD: usize = NAME_LEN + STAMP_LEN + 16;
/// Half of what all values of a meta log may take up.
const BYTES_MAX_MAX: usize = 32 * 1024 * 1024;

impl core::fmt::Debug for CheckpointCache {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut debug = f.debug_struct("CheckpointCache");
        debug.field("bytes", &self.bytes()).field("bytes_max", &self.bytes_max).finish()
    }
}

impl CheckpointCache {
    /// The most bytes of one entry, which is a state and about 100 bytes more. A larger one is
    /// not kept: it is a matter for a cache in a database.
    pub const ENTRY_BYTES_MAX: usize = 60 * 1024;

    /// Keeps at most `bytes_max` bytes, 32 MiB at most; what was not used for longest goes first.
    ///
    /// They are held in memory twice, here and as values of the meta log, and take up to four
    /// times as much in its file before that is written anew.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let inner = Inner {
            entries: LruCache::unbounded(),
            bytes: 0,
            unsaved_bytes: 0,
            gone: BTreeSet::new(),
            next_stamp: 0,
        };
        CheckpointCache { inner: Mutex::new(inner), bytes_max: bytes_max.min(BYTES_MAX_MAX) }
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

    /// The bytes that it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    /// Roughly the bytes that saving would write.
    #[must_use]
    pub fn unsaved_bytes(&self) -> usize {
        let inner = self.inner.lock();
        inner.unsaved_bytes + inner.gone.len() * ENTRY_OVERHEAD
    }

    /// Forgets everything, here and with the next save in the log: what to do before an
    /// [erasure](Log::erase) ends, as `Store::erase` does by itself.
    pub fn clear(&self) {
        let mut inner = self.inner.lock();
        while let Some((key, _)) = inner.entries.peek_lru() {
            let key = *key;
            inner.remove(&key);
        }
    }

    /// Takes over what the log has kept. What is here already stays.
    pub fn load<S: Storage, H: Host>(&self, log: &Log<S, H>) {
        let mut found: Vec<(u64, [u8; 32], &[u8])> =
            log.projection_checkpoints().filter_map(parse).collect();
        found.sort_unstable();
        let mut inner = self.inner.lock();
        for (stamp, name, entry) in found {
            inner.next_stamp = inner.next_stamp.max(stamp.saturating_add(1));
            let key = Hash::from_bytes(name);
            if inner.entries.contains(&key) {
                continue;
            }
            inner.insert(key, Kept { entry: entry.to_vec(), stamp, unsaved: false });
        }
        inner.evict(self.bytes_max);
    }

    /// Has the log keep what has changed since the last time. It is written lazily
    /// ([`MetaSync::Later`]): losing it costs time, nothing else. A state made from events that were
    /// dropped or erased meanwhile is not written, but forgotten.
    ///
    /// # Errors
    ///
    /// As [`Log::set_checkpoint`]. What was not written is written the next time.
    pub fn save<S: Storage, H: Host>(&self, log: &mut Log<S, H>) -> Result<(), StoreError> {
        let Unsaved { gone, changed } = {
            let (mut inner, reader) = (self.inner.lock(), log.reader());
            inner.remove_lost(&reader);
            inner.unsaved()
        };
        for name in gone {
            let full = full_name(&name);
            log.remove_checkpoint(CheckpointName::projection(&full), MetaSync::Later)?;
            self.inner.lock().gone.remove(&name);
        }
        for (stamp, key, value) in changed {
            let full = full_name(key.as_bytes());
            log.set_checkpoint(CheckpointName::projection(&full), &value, MetaSync::Later)?;
            self.inner.lock().saved(&key, stamp);
        }
        Ok(())
    }
}

impl Inner {
    fn insert(&mut self, key: Hash, kept: Kept) {
        self.bytes += kept.len();
        if kept.unsaved {
            self.unsaved_bytes += kept.len();
        }
        if let Some(old) = self.entries.put(key, kept) {
            self.forget(&old);
        }
    }

    fn forget(&mut self, old: &Kept) {
        self.bytes -= old.len();
        if old.unsaved {
            self.unsaved_bytes -= old.len();
        }
    }

    fn remove(&mut self, key: &Hash) {
        if let Some(old) = self.entries.pop(key) {
            self.forget(&old);
            // An older one may be in the log even where this one is not.
            self.gone.insert(*key.as_bytes());
        }
    }

    fn evict(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max
            && let Some((key, _)) = self.entries.peek_lru()
        {
            let key = *key;
            self.remove(&key);
        }
    }

    /// Removes what is not saved and must not be any more.
    fn remove_lost<S: Storage>(&mut self, reader: &Reader<S>) {
        let unsaved = self.entries.iter().filter(|(_, kept)| kept.unsaved);
        let lost = unsaved.filter(|(_, kept)| entry::is_lost(&kept.entry, reader));
        let lost: Vec<Hash> = lost.map(|(key, _)| *key).collect();
        lost.iter().for_each(|key| self.remove(key));
    }

    /// What is gone, and what has changed, in the order in which it did.
    fn unsaved(&self) -> Unsaved {
        let unsaved = self.entries.iter().filter(|(_, kept)| kept.unsaved);
        let value_of = |kept: &Kept| [&kept.stamp.to_le_bytes(), kept.entry.as_slice()].concat();
        let mut changed: Vec<_> =
            unsaved.map(|(key, kept)| (kept.stamp, *key, value_of(kept))).collect();
        changed.sort_unstable_by_key(|(stamp, ..)| *stamp);
        Unsaved { gone: self.gone.iter().copied().collect(), changed }
    }

    /// Notes that the log has an entry, unless it has changed meanwhile.
    fn saved(&mut self, key: &Hash, stamp: u64) {
        let Some(kept) = self.entries.peek_mut(key) else { return };
        if kept.unsaved && kept.stamp == stamp {
            kept.unsaved = false;
            self.unsaved_bytes -= kept.len();
        }
    }
}

impl Kept {
    fn len(&self) -> usize {
        ENTRY_OVERHEAD + self.entry.len()
    }
}

fn full_name(name: &[u8; 32]) -> [u8; NAME_LEN] {
    let mut full = [0; NAME_LEN];
    full[..NAME_PREFIX.len()].copy_from_slice(NAME_PREFIX);
    full[NAME_PREFIX.len()..].copy_from_slice(name);
    full
}

/// The stamp, the name and the entry of a checkpoint, if it is one of ours.
fn parse<'a>((name, value): (&[u8], &'a [u8])) -> Option<(u64, [u8; 32], &'a [u8])> {
    let name = name.strip_prefix(NAME_PREFIX)?.try_into().ok()?;
    let (stamp, entry) = value.split_first_chunk::<STAMP_LEN>()?;
    Some((u64::from_le_bytes(*stamp), name, entry))
}

impl ProjectionCache for CheckpointCache {
    fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
        Ok(self.inner.lock().entries.get(&key.digest()).map(|kept| kept.entry.clone()))
    }

    fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError> {
        let key = key.digest();
        let mut inner = self.inner.lock();
        let too_long = entry.len() > Self::ENTRY_BYTES_MAX;
        if too_long || ENTRY_OVERHEAD + entry.len() > self.bytes_max {
            inner.remove(&key);
            return Ok(());
        }
        let stamp = inner.next_stamp;
        inner.next_stamp = stamp.saturating_add(1);
        inner.gone.remove(key.as_bytes());
        inner.insert(key, Kept { entry: entry.to_vec(), stamp, unsaved: true });
        inner.evict(self.bytes_max);
        Ok(())
    }

    fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError> {
        self.inner.lock().remove(&key.digest());
        Ok(())
    }

    fn as_checkpoints(&self) -> Option<&CheckpointCache> {
        Some(self)
    }
}
