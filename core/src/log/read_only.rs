//! A store opened for reading only, also beside a writer in another process.

use crate::format::segment::StoreId;
use crate::index::KeyHasher;
use crate::log::StoreError;
use crate::log::config::LogConfig;
use crate::log::meta::{Travelling, is_consumer};
use crate::log::reader::Reader;
use crate::log::recovery::{Access, Recovered, Recovery, recover};
use crate::log::shared::{Published, Shared};
use crate::storage::{Storage, StorageErrorKind};
use alloc::sync::Arc;

/// How often opening starts over because the writer removed a file meanwhile.
const TRIES_MAX: usize = 8;

/// See the module. It changes nothing in the storage and takes no lock.
///
/// It sees the events that were in the files when it was opened, or last refreshed. What a
/// writer has written but not acknowledged may be among them.
pub struct ReadOnlyLog<S: Storage> {
    storage: Arc<S>,
    config: LogConfig,
    reader: Reader<S>,
    report: Recovery,
}

impl<S: Storage> core::fmt::Debug for ReadOnlyLog<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ReadOnlyLog").field("end", &self.reader.end).finish_non_exhaustive()
    }
}

impl<S: Storage> ReadOnlyLog<S> {
    /// Opens the store in `storage`. An empty storage is an empty store.
    ///
    /// # Errors
    ///
    /// Corruption, a newer format, storage errors.
    pub fn open(storage: S, config: LogConfig) -> Result<Self, StoreError> {
        config.check()?;
        let storage = Arc::new(storage);
        let (reader, report) = look(&storage, &config)?;
        Ok(ReadOnlyLog { storage, config, reader, report })
    }

    /// Where its files are.
    #[must_use]
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// What opening found. Nothing was cut or removed: a torn tail is left to the writer.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.report
    }

    /// A reader of what was there when this was opened or last refreshed.
    #[must_use]
    pub fn reader(&self) -> Reader<S> {
        self.reader.clone()
    }

    /// A reader of what is in the files now, and the values that go with it to another place: no
    /// checkpoint is of events behind the reader's end.
    pub(crate) fn look_for_export(
        &self,
        consumers: bool,
    ) -> Result<(Reader<S>, Travelling), StoreError> {
        let before = self.recover()?.meta.values;
        let recovered = self.recover()?;
        // A name is registered before its first event, a checkpoint set behind the last.
        let mut values = before.travelling(consumers);
        values.retain(|(key, _)| is_consumer(key));
        values.extend(recovered.meta.values.travelling(false));
        Ok((reader_of(recovered, &self.config).0, values))
    }

    fn recover(&self) -> Result<Recovered<S>, StoreError> {
        recover_steadily(&self.storage)
    }

    /// Looks at the files again, so that the next [`reader`](Self::reader) sees what a writer
    /// has appended since.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); the old state stays readable then.
    pub fn refresh(&mut self) -> Result<(), StoreError> {
        (self.reader, self.report) = look(&self.storage, &self.config)?;
        Ok(())
    }
}

fn look<S: Storage>(
    storage: &Arc<S>,
    config: &LogConfig,
) -> Result<(Reader<S>, Recovery), StoreError> {
    Ok(reader_of(recover_steadily(storage)?, config))
}

fn recover_steadily<S: Storage>(storage: &Arc<S>) -> Result<Recovered<S>, StoreError> {
    let mut tries = 0;
    loop {
        tries += 1;
        match recover(storage, Access::Read, KeyHasher::new) {
            Err(StoreError::Storage(error))
                if error.kind() == StorageErrorKind::NotFound && tries < TRIES_MAX => {}
            Ok(Recovered { missing: Some(_), .. }) if tries < TRIES_MAX => {}
            Ok(Recovered { missing: Some(missing), .. }) => return Err(missing.into()),
            recovered => return recovered,
        }
    }
}

fn reader_of<S: Storage>(recovered: Recovered<S>, config: &LogConfig) -> (Reader<S>, Recovery) {
    let Recovered { store_id, view, end, meta, report, .. } = recovered;
    let store_id = store_id.unwrap_or(StoreId::from_bytes([0; 16]));
    let published = Published { view: Arc::new(view), end, durable_end: end };
    let shared = Arc::new(Shared::new(store_id, config.index_cache_bytes, published));
    *shared.names.write() = meta.names;
    (Reader::new(&shared), report)
}
