//! A cache in a `redb` database: one file, pages with checksums.

use annals_core::{CacheError, ProjectionCache, ProjectionKey};
use parking_lot::Mutex;
use redb::{Database, Durability, ReadableDatabase, TableDefinition};
use std::path::Path;

/// Entries in a [`redb`](https://docs.rs/redb) database, in a file of their own.
///
/// Reading never waits for writing. A put is not synced; every so often all before it are, and
/// when the cache is dropped. What a crash takes is made anew. The file grows with the number of
/// what is projected and keeps what belongs to former versions of projections: it may be removed
/// whenever no store has it open.
///
/// # Examples
///
/// ```
/// use annals::{RedbCache, Store, StoreConfig};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let cache = RedbCache::open(path.join("projections.redb"))?;
/// let store = Store::open_with_cache(StoreConfig::new(path.join("events")), cache)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedbCache {
    database: Database,
    /// Bytes of changes that are not known to be on stable storage.
    unsynced_bytes: Mutex<usize>,
}

const ENTRIES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("annals.projections.1");
/// Changes are synced when there are so many bytes of them: until then pages can't be used again.
const UNSYNCED_BYTES_MAX: usize = 256 * 1024;
/// What a change counts besides its entry: the pages on the way to it.
const CHANGE_OVERHEAD: usize = 4 * 1024;

impl std::fmt::Debug for RedbCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedbCache").finish_non_exhaustive()
    }
}

impl RedbCache {
    /// Opens the cache in a file, or begins one there.
    ///
    /// # Errors
    ///
    /// Where the file can't be opened, is no redb database, is damaged, or is open already. What it
    /// holds can always be made anew: it may be removed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CacheError> {
        let path = path.as_ref();
        let database = Database::create(path).map_err(|error| {
            let path = path.display();
            failed(format!("{path} can't be opened; it can be removed and is made anew"), error)
        })?;
        let cache = RedbCache { database, unsynced_bytes: Mutex::new(0) };
        // The table is there from now on, so that reading needs not make it.
        cache.write(Durability::Immediate, |_| Ok(()))?;
        Ok(cache)
    }

    /// Puts all changes on stable storage.
    ///
    /// # Errors
    ///
    /// redb's.
    pub fn sync(&self) -> Result<(), CacheError> {
        let mut unsynced_bytes = self.unsynced_bytes.lock();
        if *unsynced_bytes > 0 {
            self.write(Durability::Immediate, |_| Ok(()))?;
            *unsynced_bytes = 0;
        }
        Ok(())
    }

    fn change(
        &self,
        entry_bytes: usize,
        act: impl FnOnce(&mut redb::Table<'_, &[u8], &[u8]>) -> Result<(), redb::Error>,
    ) -> Result<(), CacheError> {
        let mut unsynced_bytes = self.unsynced_bytes.lock();
        let bytes = *unsynced_bytes + entry_bytes + CHANGE_OVERHEAD;
        let sync = bytes >= UNSYNCED_BYTES_MAX;
        self.write(if sync { Durability::Immediate } else { Durability::None }, act)?;
        *unsynced_bytes = if sync { 0 } else { bytes };
        Ok(())
    }

    fn write(
        &self,
        durability: Durability,
        act: impl FnOnce(&mut redb::Table<'_, &[u8], &[u8]>) -> Result<(), redb::Error>,
    ) -> Result<(), CacheError> {
        let written = || -> Result<(), redb::Error> {
            let mut txn = self.database.begin_write()?;
            txn.set_durability(durability)?;
            act(&mut txn.open_table(ENTRIES)?)?;
            Ok(txn.commit()?)
        };
        written().map_err(|error| failed("a change can't be written", error))
    }
}

fn failed(reason: impl Into<String>, error: impl Into<redb::Error>) -> CacheError {
    CacheError::new(reason).with_source(error.into())
}

impl Drop for RedbCache {
    fn drop(&mut self) {
        // What is not on stable storage is made anew.
        let _ = self.sync();
    }
}

impl ProjectionCache for RedbCache {
    fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
        let found = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.database.begin_read()?.open_table(ENTRIES)?;
            Ok(table.get(key.as_bytes())?.map(|entry| entry.value().to_vec()))
        };
        found().map_err(|error| failed("an entry can't be read", error))
    }

    fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError> {
        self.change(entry.len(), |table| {
            table.insert(key.as_bytes(), entry)?;
            Ok(())
        })
    }

    fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError> {
        self.change(0, |table| {
            table.remove(key.as_bytes())?;
            Ok(())
        })
    }
}
