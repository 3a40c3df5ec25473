//! A projection cache in [LMDB](https://www.symas.com/lmdb), through `heed`.
//!
//! A crate of its own because opening an LMDB environment is `unsafe`, which every other crate of
//! Annals forbids. Programs get it from `annals` with the feature `heed`, as `annals::HeedCache`.

use annals_core::{CacheError, ProjectionCache, ProjectionKey};
use heed::types::Bytes;
use heed::{Database, Env, EnvOpenOptions, MdbError, WithoutTls};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

/// Entries in LMDB, in a directory of their own.
///
/// Reading never waits for writing, not even of another process's. Changes are gathered and
/// written together, one commit for many; those not written when the process ends are made anew.
/// Dropping the cache writes them.
///
/// LMDB maps its file into memory and trusts what stands there. Nothing but LMDB may write to it,
/// and where a damaged file must not take the process with it, a `RedbCache` is the choice: `redb`
/// checks its pages.
///
/// # Examples
///
/// ```
/// use annals_cache_heed::HeedCache;
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let cache = HeedCache::open(path.join("projections"), 256 * 1024 * 1024)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct HeedCache {
    env: Env<WithoutTls>,
    entries: Database<Bytes, Bytes>,
    waiting: Mutex<Waiting>,
    /// Held by who writes.
    writing: Mutex<()>,
}

type Digest = [u8; 32];

/// Changes that are not written yet.
#[derive(Debug, Default)]
struct Waiting {
    changes: HashMap<Digest, Change>,
    bytes: usize,
    next_stamp: u64,
}

/// The newest entry of a key, or `None` where it is to go.
#[derive(Debug, Clone)]
struct Change {
    stamp: u64,
    entry: Option<Arc<[u8]>>,
}

impl Change {
    fn bytes(&self) -> usize {
        CHANGE_OVERHEAD + self.entry.as_ref().map_or(0, |entry| entry.len())
    }
}

impl Waiting {
    fn insert(&mut self, key: Digest, change: Change) {
        self.bytes += change.bytes();
        if let Some(old) = self.changes.insert(key, change) {
            self.bytes -= old.bytes();
        }
    }

    /// Notes what became of a change, unless there is a newer one.
    fn settle(&mut self, key: Digest, change: &Change, written: bool) {
        if self.changes.get(&key).is_none_or(|now| now.stamp != change.stamp) {
            return;
        }
        if written {
            self.changes.remove(&key);
            self.bytes -= change.bytes();
        } else {
            // It can't wait for ever, but what is older must not come back in its place.
            self.insert(key, Change { stamp: change.stamp, entry: None });
        }
    }
}

/// Changes are written when there are so many bytes of them.
const WAITING_BYTES_MAX: usize = 256 * 1024;
/// What a change counts besides its entry.
const CHANGE_OVERHEAD: usize = 128;
/// No digest is so short.
const CLEARED_KEY: &[u8] = b"cleared";
/// Less has no room for the changes that are written together, twice.
const MAP_BYTES_MIN: usize = 4 * 1024 * 1024;
const DATABASE_NAME: &str = "annals.projections.1";

impl std::fmt::Debug for HeedCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeedCache").field("path", &self.env.path()).finish_non_exhaustive()
    }
}

impl HeedCache {
    /// Opens the cache in a directory, or begins one there. Its file grows to `map_bytes_max` bytes
    /// at most, 4 MiB at least: when it is full, everything is forgotten and it begins anew.
    ///
    /// # Errors
    ///
    /// Where the directory can't be made or opened, holds something else, or is open in this
    /// process already. What it holds can always be made anew: it may be removed.
    pub fn open(dir: impl AsRef<Path>, map_bytes_max: usize) -> Result<Self, CacheError> {
        let dir = dir.as_ref();
        std::fs::create_dir_all(dir).map_err(|error| {
            CacheError::new(format!("the directory {} can't be made", dir.display()))
                .with_source(error)
        })?;
        let env = open_env(dir, map_bytes_max).map_err(|error| {
            let dir = dir.display();
            failed(format!("{dir} can't be opened; it can be removed and is made anew"), error)
        })?;
        let mut txn = env.write_txn().map_err(|error| failed("a write can't begin", error))?;
        let entries = env.create_database(&mut txn, Some(DATABASE_NAME));
        let entries = entries.map_err(|error| failed("the table can't be made", error))?;
        txn.commit().map_err(|error| failed("the table can't be made", error))?;
        Ok(HeedCache { env, entries, waiting: Mutex::default(), writing: Mutex::default() })
    }

    /// Writes the changes that wait.
    ///
    /// # Errors
    ///
    /// LMDB's. What could not be written is forgotten.
    pub fn flush(&self) -> Result<(), CacheError> {
        // Whoever reads meanwhile finds the changes where they wait.
        let _alone = self.writing.lock();
        let changes: Vec<(Digest, Change)> = {
            let waiting = self.waiting.lock();
            waiting.changes.iter().map(|(key, change)| (*key, change.clone())).collect()
        };
        if changes.is_empty() {
            return Ok(());
        }
        let written = match self.try_write(&changes, false) {
            Err(heed::Error::Mdb(MdbError::MapFull)) => self.try_write(&changes, true),
            written => written,
        };
        let mut waiting = self.waiting.lock();
        for (key, change) in changes {
            waiting.settle(key, &change, written.is_ok());
        }
        written.map_err(|error| failed("the changes can't be written", error))
    }

    fn change(&self, key: &ProjectionKey, entry: Option<&[u8]>) -> Result<(), CacheError> {
        let is_due = {
            let mut waiting = self.waiting.lock();
            let stamp = waiting.next_stamp;
            waiting.next_stamp += 1;
            waiting.insert(*key.digest().as_bytes(), Change { stamp, entry: entry.map(Arc::from) });
            waiting.bytes >= WAITING_BYTES_MAX
        };
        if is_due { self.flush() } else { Ok(()) }
    }

    fn try_write(&self, changes: &[(Digest, Change)], clear: bool) -> Result<(), heed::Error> {
        let mut txn = self.env.write_txn()?;
        if clear {
            self.entries.clear(&mut txn)?;
            txn.commit()?;
            // LMDB uses pages again two commits after they were freed, and an empty commit is none.
            txn = self.env.write_txn()?;
            self.entries.put(&mut txn, CLEARED_KEY, &[])?;
            txn.commit()?;
            txn = self.env.write_txn()?;
        }
        for (key, change) in changes {
            match &change.entry {
                Some(entry) => self.entries.put(&mut txn, key, entry)?,
                None => drop(self.entries.delete(&mut txn, key)?),
            }
        }
        txn.commit()
    }
}

#[expect(unsafe_code, reason = "heed has no other way to open an environment")]
fn open_env(dir: &Path, map_bytes_max: usize) -> Result<Env<WithoutTls>, heed::Error> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    // LMDB wants whole pages, which are 64 KiB at most.
    let map_bytes = map_bytes_max.max(MAP_BYTES_MIN).next_multiple_of(64 * 1024);
    options.map_size(map_bytes).max_dbs(1);
    // SAFETY: The file is mapped, so it must change through LMDB alone while it is open. No flag
    // takes LMDB's own locks away or makes the map writable, so every opener, in this process or
    // another, is kept apart by its lock file, and a stray write of ours can't reach the pages; a
    // second opening in this process is refused by heed. Nothing here writes to the directory in
    // another way, and the type's documentation tells its owner not to. No transaction outlives a
    // call, and nothing borrowed from the map leaves one: entries are copied.
    unsafe { options.open(dir) }
}

fn failed(reason: impl Into<String>, error: heed::Error) -> CacheError {
    CacheError::new(reason).with_source(error)
}

impl Drop for HeedCache {
    fn drop(&mut self) {
        // What is not written is made anew.
        let _ = self.flush();
    }
}

impl ProjectionCache for HeedCache {
    fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
        let digest = key.digest();
        if let Some(change) = self.waiting.lock().changes.get(digest.as_bytes()) {
            return Ok(change.entry.as_ref().map(|entry| entry.to_vec()));
        }
        let txn = self.env.read_txn().map_err(|error| failed("a read can't begin", error))?;
        let entry = self.entries.get(&txn, digest.as_bytes());
        let entry = entry.map_err(|error| failed("an entry can't be read", error))?;
        Ok(entry.map(<[u8]>::to_vec))
    }

    fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError> {
        self.change(key, Some(entry))
    }

    fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError> {
        self.change(key, None)
    }
}
