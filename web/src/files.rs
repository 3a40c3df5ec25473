//! The storages of the browser and Node as one type, so that the log is compiled once.

use annals_core::{FileId, MemoryFile, MemoryStorage, Storage, StorageError, StorageFile};
use annals_opfs::{OpfsFile, OpfsStorage};

use crate::host_files::{HostStorage, OpenHostFile};

/// Where a store's files are.
#[derive(Clone)]
pub(crate) enum AnyStorage {
    Memory(MemoryStorage),
    Opfs(OpfsStorage),
    Host(HostStorage),
}

/// An open file of any of them.
pub(crate) enum AnyFile {
    Memory(MemoryFile),
    Opfs(OpfsFile),
    Host(OpenHostFile),
}

macro_rules! each {
    ($self:ident, $inner:ident => $call:expr) => {
        match $self {
            Self::Memory($inner) => $call,
            Self::Opfs($inner) => $call,
            Self::Host($inner) => $call,
        }
    };
}

impl Storage for AnyStorage {
    type File = AnyFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        each!(self, storage => storage.list())
    }

    fn create(&self, id: FileId) -> Result<AnyFile, StorageError> {
        match self {
            Self::Memory(storage) => storage.create(id).map(AnyFile::Memory),
            Self::Opfs(storage) => storage.create(id).map(AnyFile::Opfs),
            Self::Host(storage) => storage.create(id).map(AnyFile::Host),
        }
    }

    fn open(&self, id: FileId) -> Result<AnyFile, StorageError> {
        match self {
            Self::Memory(storage) => storage.open(id).map(AnyFile::Memory),
            Self::Opfs(storage) => storage.open(id).map(AnyFile::Opfs),
            Self::Host(storage) => storage.open(id).map(AnyFile::Host),
        }
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        each!(self, storage => storage.remove(id))
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        each!(self, storage => storage.sync_dir())
    }

    fn prepare(&self, upcoming: &[FileId]) {
        each!(self, storage => storage.prepare(upcoming));
    }
}

impl StorageFile for AnyFile {
    fn len(&self) -> Result<u64, StorageError> {
        each!(self, file => file.len())
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        each!(self, file => file.set_len(len))
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        each!(self, file => file.read_exact_at(buf, offset))
    }

    fn read_committed_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        each!(self, file => file.read_committed_at(buf, offset))
    }

    fn read_gap(&self) -> u64 {
        each!(self, file => file.read_gap())
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        each!(self, file => file.write_all_at(buf, offset))
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        each!(self, file => file.sync_data())
    }
}
