//! What backups and snapshots take of a running store.

use crate::fs_storage::FsStorage;
use crate::store::Store;
use annals_core::{ExportOptions, ExportStart, Storage, StoreError};
use std::path::PathBuf;
use std::sync::Arc;

impl<S: Storage> Store<S> {
    /// All that is committed, taken at once; no file is looked at while the writer is held.
    pub(crate) fn begin_export(
        &self,
        options: &ExportOptions,
    ) -> Result<ExportStart<Arc<S>>, StoreError> {
        self.inner.committer.with_log(|log| Ok(log.begin_export(options)))
    }
}

impl Store<FsStorage> {
    pub(crate) fn data_dir(&self) -> Result<PathBuf, StoreError> {
        self.inner.committer.with_log(|log| Ok(log.storage().dir().to_path_buf()))
    }
}
