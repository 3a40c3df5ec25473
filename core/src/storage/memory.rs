//! Files in memory: for tests, for stores that need not outlive the process, and for hosts
//! without files.
//!
//! A [`MemoryStorage`] is a handle; clones see the same files, so a store can be dropped and
//! opened again. The files live as long as any handle or file does. A sync has nothing to
//! do, and each file's bytes stand behind their own lock, held for a copy at most.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::fmt;

use super::{FileId, Storage, StorageError, StorageErrorKind, StorageFile};
use crate::sync::{Mutex, RwLock};

/// A storage in memory; clones share their files.
///
/// ```
/// use annals_core::{FileId, MemoryStorage, Storage, StorageFile};
///
/// let storage = MemoryStorage::new();
/// storage.create(FileId::meta(1))?.write_all_at(b"kept", 0)?;
///
/// let same_files = storage.clone();
/// assert_eq!(same_files.open(FileId::meta(1))?.len()?, 4);
/// # Ok::<(), annals_core::StorageError>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryStorage {
    files: Arc<Mutex<BTreeMap<FileId, Arc<Bytes>>>>,
}

impl MemoryStorage {
    /// A storage without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of every file as it is now, that shares nothing with this storage.
    #[must_use]
    pub fn fork(&self) -> Self {
        let files = self.files.lock();
        let copies = files.iter().map(|(id, bytes)| {
            let copy = bytes.read().clone();
            (*id, Arc::new(RwLock::new(copy)))
        });
        Self { files: Arc::new(Mutex::new(copies.collect())) }
    }
}

impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.files.lock();
        f.debug_map().entries(files.iter().map(|(id, bytes)| (id, bytes.read().len()))).finish()
    }
}

impl Storage for MemoryStorage {
    type File = MemoryFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        Ok(self.files.lock().keys().copied().collect())
    }

    fn create(&self, id: FileId) -> Result<MemoryFile, StorageError> {
        let mut files = self.files.lock();
        if files.contains_key(&id) {
            return Err(StorageError::new(StorageErrorKind::AlreadyExists, "create").with_file(id));
        }
        let bytes = Arc::<Bytes>::default();
        files.insert(id, Arc::clone(&bytes));
        Ok(MemoryFile { id, bytes })
    }

    fn open(&self, id: FileId) -> Result<MemoryFile, StorageError> {
        match self.files.lock().get(&id) {
            Some(bytes) => Ok(MemoryFile { id, bytes: Arc::clone(bytes) }),
            None => Err(StorageError::new(StorageErrorKind::NotFound, "open").with_file(id)),
        }
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        match self.files.lock().remove(&id) {
            Some(_) => Ok(()),
            None => Err(StorageError::new(StorageErrorKind::NotFound, "remove").with_file(id)),
        }
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// An open file of a [`MemoryStorage`].
pub struct MemoryFile {
    id: FileId,
    bytes: Arc<Bytes>,
}

impl MemoryFile {
    fn error(&self, kind: StorageErrorKind, operation: &'static str) -> StorageError {
        StorageError::new(kind, operation).with_file(self.id)
    }
}

impl fmt::Debug for MemoryFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryFile")
            .field("id", &self.id)
            .field("len", &self.bytes.read().len())
            .finish()
    }
}

impl StorageFile for MemoryFile {
    fn len(&self) -> Result<u64, StorageError> {
        u64::try_from(self.bytes.read().len())
            .map_err(|_| self.error(StorageErrorKind::Other, "len"))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        let no_space = || self.error(StorageErrorKind::NoSpace, "set_len");
        let len = usize::try_from(len).map_err(|_| no_space())?;
        resize(&mut self.bytes.write(), len).ok_or_else(no_space)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        let out_of_bounds = || self.error(StorageErrorKind::OutOfBounds, "read_exact_at");
        let start = usize::try_from(offset).map_err(|_| out_of_bounds())?;
        let end = start.checked_add(buf.len()).ok_or_else(out_of_bounds)?;
        let bytes = self.bytes.read();
        buf.copy_from_slice(bytes.get(start..end).ok_or_else(out_of_bounds)?);
        Ok(())
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        if buf.is_empty() {
            return Ok(());
        }
        let no_space = || self.error(StorageErrorKind::NoSpace, "write_all_at");
        let start = usize::try_from(offset).map_err(|_| no_space())?;
        let end = start.checked_add(buf.len()).ok_or_else(no_space)?;
        let mut bytes = self.bytes.write();
        if start == bytes.len() {
            // An append copies each byte once, where growing first would also zero it.
            bytes.try_reserve(buf.len()).map_err(|_| no_space())?;
            bytes.extend_from_slice(buf);
            return Ok(());
        }
        if end > bytes.len() {
            resize(&mut bytes, end).ok_or_else(no_space)?;
        }
        bytes[start..end].copy_from_slice(buf);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

type Bytes = RwLock<Vec<u8>>;

/// Cuts or zero-fills to `len`; `None` if there is no memory for it.
fn resize(bytes: &mut Vec<u8>, len: usize) -> Option<()> {
    if let Some(more) = len.checked_sub(bytes.len()) {
        bytes.try_reserve(more).ok()?;
    }
    bytes.resize(len, 0);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_and_files_can_cross_threads() {
        fn assert_send_sync<T: Send + Sync>() {}
        assert_send_sync::<MemoryStorage>();
        assert_send_sync::<MemoryFile>();
    }

    #[test]
    fn clones_share_files_and_forks_do_not() {
        let storage = MemoryStorage::new();
        let file = storage.create(FileId::segment(1)).unwrap();
        file.write_all_at(b"before", 0).unwrap();
        let fork = storage.fork();
        file.write_all_at(b"behind", 0).unwrap();

        let mut read = [0; 6];
        storage.clone().open(FileId::segment(1)).unwrap().read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"behind");
        fork.open(FileId::segment(1)).unwrap().read_exact_at(&mut read, 0).unwrap();
        assert_eq!(&read, b"before");
    }

    #[test]
    fn an_impossible_length_is_no_space_and_changes_nothing() {
        let storage = MemoryStorage::new();
        let file = storage.create(FileId::segment(1)).unwrap();
        file.write_all_at(b"kept", 0).unwrap();
        for error in [
            file.set_len(u64::MAX).unwrap_err(),
            file.write_all_at(b"x", u64::MAX).unwrap_err(),
            file.write_all_at(b"x", u64::MAX / 2).unwrap_err(),
        ] {
            assert_eq!(error.kind(), StorageErrorKind::NoSpace);
        }
        assert_eq!(file.len().unwrap(), 4);
    }
}
