//! The storage of the native adapter: numbered files in one directory.
//!
//! Owns the directory's lock, its descriptors and its spare segment. A directory has one
//! writer at a time (`LOCK`); readers take no lock. Files beyond the descriptor budget are
//! closed and opened again on demand, but never one that has unsynced writes, so no failed
//! sync goes unseen. Names that are no [`FileId`] belong to nobody and are left alone.

mod descriptors;
mod directory;
mod kept_reads;
mod positioned;
mod spare;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use annals_core::{FileId, FileKind, Storage, StorageError, StorageErrorKind, StorageFile};

use self::{
    descriptors::{Descriptors, OpenFile},
    directory::Directory,
    spare::Spare,
};

/// Files in a directory. Clones are handles to the same open directory.
///
/// The lock is held until the last clone is dropped. Files that outlive it can still be
/// read; writing, resizing and syncing through them is refused from then on, because another
/// writer may own the directory.
///
/// ```
/// use annals::{FileId, FsOptions, FsStorage, Storage, StorageFile};
///
/// let dir = tempfile::tempdir()?;
/// let storage = FsStorage::open(dir.path(), FsOptions::default())?;
/// let file = storage.create(FileId::segment(1))?;
/// file.write_all_at(b"event", 0)?;
/// file.sync_data()?;
/// storage.sync_dir()?;
/// assert!(dir.path().join("0000000001.seg").exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct FsStorage {
    owner: Arc<Owner>,
}

impl FsStorage {
    /// Opens a directory as its only writer, making it (durably) if it does not exist.
    ///
    /// The lock is an exclusive lock on the file `LOCK`, which stays behind; the operating
    /// system gives it up when the process ends, however it ends.
    ///
    /// # Errors
    ///
    /// [`FsOpenError::Locked`] if another writer has it open, in this process or another;
    /// [`FsOpenError::Storage`] if the directory can't be made or opened.
    pub fn open(dir: impl AsRef<Path>, options: FsOptions) -> Result<Self, FsOpenError> {
        let directory = Directory::open_exclusive(dir.as_ref())?;
        let spare = options
            .segment_preallocate_len
            .map(|len| Spare::new(directory.path().join(SPARE_NAME), len));
        // A process that was killed may have left one.
        let _ = std::fs::remove_file(directory.path().join(SPARE_NAME));
        Ok(Self::from_parts(directory, spare, options, true))
    }

    /// Opens an existing directory for reading, beside a writer if there is one.
    ///
    /// It takes no lock and makes no file: it can neither hinder a writer nor be refused
    /// because of one. So files may appear and disappear while it is open. A file that the
    /// writer removes stays readable here for as long as its descriptor is open; one whose
    /// descriptor had to be closed for the budget answers
    /// [`NotFound`](StorageErrorKind::NotFound).
    ///
    /// # Errors
    ///
    /// [`FsOpenError::Storage`] if the directory does not exist or can't be opened.
    pub fn open_read_only(dir: impl AsRef<Path>, options: FsOptions) -> Result<Self, FsOpenError> {
        let directory = Directory::open_shared(dir.as_ref())?;
        Ok(Self::from_parts(directory, None, options, false))
    }

    /// The directory, as it was given.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.owner.directory.path()
    }

    /// How many files of this storage hold a descriptor now. The lock, the directory and a
    /// spare segment hold one each besides.
    #[must_use]
    pub fn descriptor_count(&self) -> usize {
        self.owner.descriptors.open_count()
    }

    /// Bytes of memory that hold events read lately, of [`FsOptions::read_cache_bytes`] at most.
    #[must_use]
    pub fn read_cache_bytes(&self) -> u64 {
        self.owner.descriptors.kept_bytes()
    }

    /// Whether a spare segment is ready to be taken over.
    #[must_use]
    pub fn has_spare(&self) -> bool {
        self.owner.spare.as_ref().is_some_and(Spare::is_ready)
    }

    fn from_parts(
        directory: Directory,
        spare: Option<Spare>,
        options: FsOptions,
        writable: bool,
    ) -> Self {
        let path = directory.path().to_path_buf();
        let descriptors = Arc::new(Descriptors::new(path, options, writable));
        Self { owner: Arc::new(Owner { descriptors, spare, directory }) }
    }

    fn file(&self, file: Arc<OpenFile>) -> FsFile {
        FsFile { descriptors: Arc::clone(&self.owner.descriptors), file }
    }
}

impl fmt::Debug for FsStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsStorage").field("dir", &self.dir()).finish_non_exhaustive()
    }
}

impl Storage for FsStorage {
    type File = FsFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        self.owner.directory.list()
    }

    fn create(&self, id: FileId) -> Result<FsFile, StorageError> {
        let spare = self.owner.spare.as_ref().filter(|_| id.kind == FileKind::Segment);
        self.owner.descriptors.create(id, spare).map(|file| self.file(file))
    }

    fn open(&self, id: FileId) -> Result<FsFile, StorageError> {
        self.owner.descriptors.open(id).map(|file| self.file(file))
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.owner.descriptors.remove(id)
    }

    fn sync_dir(&self) -> Result<(), StorageError> {
        self.owner.descriptors.check_writable("sync_dir", None)?;
        self.owner.directory.sync()
    }

    /// Zero-fills a spare segment in the background when one is expected and
    /// [`FsOptions::segment_preallocate_len`] is set; gives it up when none is.
    fn prepare(&self, upcoming: &[FileId]) {
        if let Some(spare) = &self.owner.spare {
            spare.request(upcoming.iter().any(|id| id.kind == FileKind::Segment));
        }
    }
}

/// An open file of an [`FsStorage`]. Its descriptor may be closed while nobody uses it.
pub struct FsFile {
    descriptors: Arc<Descriptors>,
    file: Arc<OpenFile>,
}

impl fmt::Debug for FsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsFile").field("id", &self.file.id()).finish_non_exhaustive()
    }
}

impl Drop for FsFile {
    fn drop(&mut self) {
        self.descriptors.release(&self.file);
    }
}

impl StorageFile for FsFile {
    fn len(&self) -> Result<u64, StorageError> {
        let descriptor = self.descriptors.descriptor(&self.file)?;
        let metadata = descriptor.metadata();
        metadata.map(|found| found.len()).map_err(|error| self.error("len", error))
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.descriptors.change(&self.file, "set_len", len, |descriptor| descriptor.set_len(len))
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.descriptors.read(&self.file, buf, offset)
    }

    fn read_committed_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.descriptors.read_committed(&self.file, buf, offset)
    }

    fn read_sealed_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.descriptors.read_sealed(&self.file, buf, offset)
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        self.descriptors.change(&self.file, "write_all_at", offset, |descriptor| {
            positioned::write_all_at(descriptor, buf, offset)
        })
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.descriptors.sync(&self.file)
    }
}

impl FsFile {
    fn error(&self, operation: &'static str, error: io::Error) -> StorageError {
        storage_error(error, operation, Some(self.file.id()))
    }
}

/// How an [`FsStorage`] treats its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsOptions {
    /// How many files may hold a descriptor at a time, at least 1; 256 by default. Files
    /// with unsynced writes and removed files that are still open may exceed it.
    pub fd_budget: usize,
    /// What a sync makes durable.
    pub sync_mode: SyncMode,
    /// How long the next segment is made ahead, in bytes, filled with zeros by a thread in
    /// the background; `None`, the default, lets segments grow as they are written.
    ///
    /// Appending to a segment that has its full length already changes no metadata, so a
    /// sync of its data is one device write. What is prepared counts against the disk. If
    /// there is no space for it, there is no spare, and nothing fails for that.
    pub segment_preallocate_len: Option<u64>,
    /// Bytes of memory for events that were read lately, so that reading them again costs no
    /// system call: 8 MiB by default, 0 for none.
    ///
    /// Kept are reads of 4 KiB at most: of single events, not of long runs.
    pub read_cache_bytes: usize,
}

impl FsOptions {
    /// These options with another descriptor budget.
    #[must_use]
    pub const fn with_fd_budget(mut self, fd_budget: usize) -> Self {
        self.fd_budget = fd_budget;
        self
    }

    /// These options with another sync mode.
    #[must_use]
    pub const fn with_sync_mode(mut self, sync_mode: SyncMode) -> Self {
        self.sync_mode = sync_mode;
        self
    }

    /// These options with segments of this length in bytes prepared ahead.
    #[must_use]
    pub const fn with_segment_preallocate_len(mut self, len: u64) -> Self {
        self.segment_preallocate_len = Some(len);
        self
    }

    /// These options with so much memory for events that were read lately.
    #[must_use]
    pub const fn with_read_cache_bytes(mut self, read_cache_bytes: usize) -> Self {
        self.read_cache_bytes = read_cache_bytes;
        self
    }
}

impl Default for FsOptions {
    fn default() -> Self {
        Self {
            fd_budget: 256,
            sync_mode: SyncMode::Data,
            segment_preallocate_len: None,
            read_cache_bytes: READ_CACHE_BYTES,
        }
    }
}

/// What a sync of a file makes durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SyncMode {
    /// The bytes and what it takes to read them back (`fdatasync`): enough for every promise
    /// of the store.
    #[default]
    Data,
    /// All metadata too, such as times (`fsync`).
    All,
}

/// Why a directory could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FsOpenError {
    /// Another writer has the directory open.
    #[error("{} is locked by another writer: close that one, or open read-only", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory can't be used.
    #[error("can't open {}", dir.display())]
    Storage {
        /// The directory.
        dir: PathBuf,
        /// What failed.
        source: StorageError,
    },
}

/// What goes away with the last clone of a storage. The fields are dropped in order: the
/// spare is removed while the directory is still locked.
struct Owner {
    descriptors: Arc<Descriptors>,
    spare: Option<Spare>,
    directory: Directory,
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.descriptors.close();
    }
}

/// What is held of events that were read lately, where nobody says otherwise.
pub(crate) const READ_CACHE_BYTES: usize = 8 * 1024 * 1024;

/// The spare's name is no [`FileId`], so no listing shows it.
const SPARE_NAME: &str = "segment.spare";

/// An I/O error as the core's error, mapped by what a caller can do about it.
fn storage_error(error: io::Error, operation: &'static str, file: Option<FileId>) -> StorageError {
    let kind = match error.kind() {
        io::ErrorKind::AlreadyExists => StorageErrorKind::AlreadyExists,
        io::ErrorKind::NotFound => StorageErrorKind::NotFound,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StorageErrorKind::NoSpace
        }
        io::ErrorKind::UnexpectedEof => StorageErrorKind::OutOfBounds,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            StorageErrorKind::PermissionDenied
        }
        _ => StorageErrorKind::Other,
    };
    let storage_error =
        StorageError::new(kind, operation).with_detail(error.to_string()).with_source(error);
    match file {
        Some(file) => storage_error.with_file(file),
        None => storage_error,
    }
}
