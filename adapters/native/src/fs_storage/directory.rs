//! The directory itself: making it, locking it, listing it, making its names durable.
//!
//! The lock lies on an open file, not on a name, so a `LOCK` that a dead process left behind
//! locks nothing, and the file is never deleted (deleting a lock file races with the next
//! opener). A failed sync of the directory is remembered and never retried.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

use annals_core::{FileId, StorageError, StorageErrorKind};
use parking_lot::Mutex;

use super::{FsOpenError, storage_error};

/// An existing directory, locked if it was opened for writing.
pub(super) struct Directory {
    path: PathBuf,
    /// The descriptor that the directory is synced through, where directories have one.
    handle: Option<File>,
    failed_sync: Mutex<Option<StorageError>>,
    /// Held for the lock on it.
    _lock: Option<File>,
}

impl Directory {
    /// Makes the directory if need be and takes the writer's lock.
    pub(super) fn open_exclusive(path: &Path) -> Result<Self, FsOpenError> {
        create_durably(path).map_err(|error| failed(path, "create_dir", error))?;
        let lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK_NAME))
            .map_err(|error| failed(path, "open LOCK", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FsOpenError::Locked { dir: path.to_path_buf() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(path, "lock LOCK", error)),
        }
        Self::new(path, Some(lock))
    }

    /// Takes an existing directory without a lock.
    pub(super) fn open_shared(path: &Path) -> Result<Self, FsOpenError> {
        Self::new(path, None)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The files of the store, in ascending order.
    pub(super) fn list(&self) -> Result<Vec<FileId>, StorageError> {
        let list_error = |error| storage_error(error, "list", None);
        let mut ids = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(list_error)? {
            let name = entry.map_err(list_error)?.file_name();
            ids.extend(name.to_str().and_then(FileId::parse));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// Makes names that were created and removed durable.
    pub(super) fn sync(&self) -> Result<(), StorageError> {
        let Some(handle) = &self.handle else { return Ok(()) };
        // Held across the sync: of two syncs at a time only one would see the failure.
        let mut failed_sync = self.failed_sync.lock();
        if let Some(error) = &*failed_sync {
            return Err(error.clone());
        }
        handle.sync_all().map_err(|error| {
            let error = storage_error(error, "sync_dir", None);
            *failed_sync = Some(remembered(&error));
            error
        })
    }

    fn new(path: &Path, lock: Option<File>) -> Result<Self, FsOpenError> {
        let handle = open_for_sync(path).map_err(|error| failed(path, "open", error))?;
        Ok(Self { path: path.to_path_buf(), handle, failed_sync: Mutex::new(None), _lock: lock })
    }
}

/// What every sync after a failed one answers.
pub(super) fn remembered(failure: &StorageError) -> StorageError {
    let error = StorageError::new(StorageErrorKind::Other, failure.operation())
        .with_detail(
            "an earlier sync failed, so nothing written since is safe: open the store anew",
        )
        .with_source(failure.clone());
    match failure.file() {
        Some(file) => error.with_file(file),
        None => error,
    }
}

const LOCK_NAME: &str = "LOCK";

fn failed(dir: &Path, operation: &'static str, error: io::Error) -> FsOpenError {
    FsOpenError::Storage { dir: dir.to_path_buf(), source: storage_error(error, operation, None) }
}

/// Makes a directory and what is missing above it, and syncs each name that it made.
fn create_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(Path::new(".")),
        parent => parent,
    };
    if let Some(parent) = parent {
        create_durably(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    match parent.map(open_for_sync).transpose()?.flatten() {
        Some(handle) => handle.sync_all(),
        None => Ok(()),
    }
}

#[cfg(unix)]
fn open_for_sync(path: &Path) -> io::Result<Option<File>> {
    let handle = File::open(path)?;
    match handle.metadata()?.is_dir() {
        true => Ok(Some(handle)),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}

/// Directories can't be synced here; the file system journals its names itself.
#[cfg(not(unix))]
fn open_for_sync(path: &Path) -> io::Result<Option<File>> {
    match fs::metadata(path)?.is_dir() {
        true => Ok(None),
        false => Err(io::ErrorKind::NotADirectory.into()),
    }
}
