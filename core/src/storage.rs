//! The files a host gives to the core: [`Storage`], [`StorageFile`] and their contract.
//!
//! The contract stands on the two traits and binds every adapter; `storage_contract` in the
//! tests checks it on each. Nothing here knows what a file holds. There is no rename, no
//! path and no cursor: a file has a number, and bytes are read and written at an offset.
//! The traits ask for neither `Send` nor `Sync`: an adapter that has threads adds them.

mod error;
mod file_id;
mod memory;

pub use error::{StorageError, StorageErrorKind};
pub use file_id::{FileId, FileKind};
pub use memory::{MemoryFile, MemoryStorage};

use alloc::{rc::Rc, sync::Arc, vec::Vec};

/// A flat set of numbered files.
///
/// A file is replaced by writing a new number, syncing it, syncing the directory, and
/// removing the old number: there is no rename, because not every host has one.
///
/// # Contract
///
/// **One writer.** At most one owner creates, removes and writes. It may read through as
/// many handles as it likes, from as many threads as the adapter's handles allow, and they
/// all see the bytes of a write as soon as that write has returned.
///
/// **The directory.** `create` and `remove` take effect at once for this process and are
/// durable only after [`sync_dir`](Self::sync_dir) has returned `Ok`; one that failed has
/// changed nothing. A crash before the sync
/// may keep or undo each of them independently, whatever became of the file's own bytes: a
/// file whose bytes are synced can still lose its name.
///
/// **Removal under open handles.** After `remove` the number is gone from `list` and `open`
/// at once. Handles that were open before keep reading the file's bytes as they were until
/// they are dropped; a read through them never returns other bytes, not even when the number
/// has been created again. Writing, resizing and syncing through such a handle may fail and
/// keeps nothing. An adapter that can't unlink an open file empties and deletes it when the
/// last handle is dropped, and the number may come back after a crash.
///
/// **Failed syncs.** A failed `sync_data` or `sync_dir` says that what was written since the
/// last success may be lost for good, although it can still be read (a kernel may have
/// dropped the pages and called them clean). It is never retried: the same storage
/// answers every later sync of that file, or of that directory, with an error, also through
/// a handle opened later. Whoever opens the storage anew must not trust what it reads behind
/// the last byte known to be synced until it has written those bytes again and synced them.
///
/// **Errors.** An error is never a state of the file: only [`StorageErrorKind::OutOfBounds`]
/// speaks of the end of a file, only [`StorageErrorKind::NotFound`] of a missing one. A host
/// that fails for any other reason says so with another kind.
///
/// # Examples
///
/// ```
/// use annals_core::{FileId, MemoryStorage, Storage, StorageFile};
///
/// let storage = MemoryStorage::new();
/// let file = storage.create(FileId::segment(1))?;
/// file.write_all_at(b"event", 0)?;
/// file.sync_data()?;
/// storage.sync_dir()?;
///
/// let mut read = [0; 5];
/// storage.open(FileId::segment(1))?.read_exact_at(&mut read, 0)?;
/// assert_eq!(&read, b"event");
/// assert_eq!(storage.list()?, [FileId::segment(1)]);
/// # Ok::<(), annals_core::StorageError>(())
/// ```
pub trait Storage {
    /// An open file.
    type File: StorageFile;

    /// The files that exist, in ascending order; names that are no [`FileId`] are left out.
    ///
    /// # Errors
    ///
    /// Whatever the host reports.
    fn list(&self) -> Result<Vec<FileId>, StorageError>;

    /// Makes a new file and opens it for reading and writing.
    ///
    /// It is empty, or, for [`FileKind::Segment`] only, preallocated: then its length is
    /// greater than zero and all of it reads as zero.
    ///
    /// # Errors
    ///
    /// [`AlreadyExists`](StorageErrorKind::AlreadyExists) if the number is taken: the
    /// existing file is untouched. [`NotReady`](StorageErrorKind::NotReady) if this host
    /// must open files ahead and was not told of this one through [`prepare`](Self::prepare)
    /// in time. [`NoSpace`](StorageErrorKind::NoSpace),
    /// [`PermissionDenied`](StorageErrorKind::PermissionDenied) and whatever else the host
    /// reports.
    fn create(&self, id: FileId) -> Result<Self::File, StorageError>;

    /// Opens an existing file, for writing too unless the storage is read-only.
    ///
    /// # Errors
    ///
    /// [`NotFound`](StorageErrorKind::NotFound) if there is no such file, and whatever the
    /// host reports.
    fn open(&self, id: FileId) -> Result<Self::File, StorageError>;

    /// Removes a file. What open handles may still do is part of the contract above.
    ///
    /// # Errors
    ///
    /// [`NotFound`](StorageErrorKind::NotFound) if there is no such file, and whatever the
    /// host reports.
    fn remove(&self, id: FileId) -> Result<(), StorageError>;

    /// Makes every `create` and `remove` that has returned durable.
    ///
    /// # Errors
    ///
    /// Whatever the host reports; after a first failure, always an error.
    fn sync_dir(&self) -> Result<(), StorageError>;

    /// Says which files the core will probably create next, the soonest first.
    ///
    /// A hint: it returns at once, can't fail and promises nothing. The newest list replaces
    /// the one before, and an empty list says that nothing is expected. A host that opens
    /// files only asynchronously (OPFS) opens exactly these numbers before the next
    /// operation; a host with threads zero-fills a spare file meanwhile. A file that is
    /// prepared but not created is not listed and can't be opened. After a crash it may
    /// be listed, and is empty or reads as zero.
    ///
    /// The default does nothing.
    fn prepare(&self, upcoming: &[FileId]) {
        let _ = upcoming;
    }
}

/// An open file: bytes at offsets. The names follow `std::fs::File` and `FileExt`.
///
/// # Contract
///
/// **Writes.** A write that returned `Ok` is whole for every reader. Until the next
/// successful [`sync_data`](Self::sync_data) a crash may keep any subset of the writes and
/// length changes since the last one, in any order, each write torn at any byte. Bytes
/// outside the written ranges never change. A write that failed leaves its own range
/// unspecified, and may have grown the file up to the end of that range, no further.
///
/// **Growth.** A write or [`set_len`](Self::set_len) beyond the end grows the file; bytes
/// that nobody wrote read as zero, also after a shrink and a new growth.
///
/// **Reads.** A read wholly inside the file returns the newest bytes written; one that
/// touches a byte behind the end fails with
/// [`OutOfBounds`](StorageErrorKind::OutOfBounds). An empty read inside or at the end
/// succeeds. After an error the buffer is unspecified.
///
/// **Readers and the writer.** Reads run beside the one writer. A read that overlaps a write
/// in progress may see any mix of old and new bytes, so readers stop at a watermark below it.
#[expect(clippy::len_without_is_empty, reason = "a preallocated file has no useful emptiness")]
pub trait StorageFile {
    /// The length in bytes.
    ///
    /// # Errors
    ///
    /// Whatever the host reports.
    fn len(&self) -> Result<u64, StorageError>;

    /// Cuts or grows the file to `len` bytes; what is grown reads as zero.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](StorageErrorKind::NoSpace),
    /// [`PermissionDenied`](StorageErrorKind::PermissionDenied) on a read-only storage, and
    /// whatever the host reports. After an error the length is the old one or the new one.
    fn set_len(&self, len: u64) -> Result<(), StorageError>;

    /// Fills `buf` with the bytes at `offset`.
    ///
    /// # Errors
    ///
    /// [`OutOfBounds`](StorageErrorKind::OutOfBounds) if `offset + buf.len()` is behind the
    /// end, and whatever the host reports.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError>;

    /// As [`read_exact_at`](Self::read_exact_at), of bytes that are committed: who writes through
    /// this storage may still cut them off after a failure, nobody else changes them. An adapter
    /// that owns its files may answer from what it has read before.
    ///
    /// # Errors
    ///
    /// As [`read_exact_at`](Self::read_exact_at).
    fn read_committed_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.read_exact_at(buf, offset)
    }

    /// As [`read_exact_at`](Self::read_exact_at), of a sealed file's bytes, which never change
    /// again: any adapter may answer from what it has read before.
    ///
    /// # Errors
    ///
    /// As [`read_exact_at`](Self::read_exact_at).
    fn read_sealed_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.read_committed_at(buf, offset)
    }

    /// How many bytes between two that are wanted are sooner read than left out by a second read.
    fn read_gap(&self) -> u64 {
        4 * 1024
    }

    /// Writes all of `buf` at `offset`, growing the file where needed; an empty `buf` changes
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`NoSpace`](StorageErrorKind::NoSpace),
    /// [`PermissionDenied`](StorageErrorKind::PermissionDenied) on a read-only storage, and
    /// whatever the host reports.
    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError>;

    /// Makes every write and length change that has returned durable.
    ///
    /// # Errors
    ///
    /// Whatever the host reports; after a first failure, always an error. It is never
    /// retried, see [`Storage`].
    fn sync_data(&self) -> Result<(), StorageError>;
}

macro_rules! forward_through_pointer {
    ($($pointer:ty),*) => {$(
        impl<S: Storage + ?Sized> Storage for $pointer {
            type File = S::File;

            fn list(&self) -> Result<Vec<FileId>, StorageError> {
                (**self).list()
            }

            fn create(&self, id: FileId) -> Result<Self::File, StorageError> {
                (**self).create(id)
            }

            fn open(&self, id: FileId) -> Result<Self::File, StorageError> {
                (**self).open(id)
            }

            fn remove(&self, id: FileId) -> Result<(), StorageError> {
                (**self).remove(id)
            }

            fn sync_dir(&self) -> Result<(), StorageError> {
                (**self).sync_dir()
            }

            fn prepare(&self, upcoming: &[FileId]) {
                (**self).prepare(upcoming);
            }
        }

        impl<S: StorageFile + ?Sized> StorageFile for $pointer {
            fn len(&self) -> Result<u64, StorageError> {
                (**self).len()
            }

            fn set_len(&self, len: u64) -> Result<(), StorageError> {
                (**self).set_len(len)
            }

            fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
                (**self).read_exact_at(buf, offset)
            }

            fn read_committed_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
                (**self).read_committed_at(buf, offset)
            }

            fn read_sealed_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
                (**self).read_sealed_at(buf, offset)
            }

            fn read_gap(&self) -> u64 {
                (**self).read_gap()
            }

            fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
                (**self).write_all_at(buf, offset)
            }

            fn sync_data(&self) -> Result<(), StorageError> {
                (**self).sync_data()
            }
        }
    )*};
}

forward_through_pointer!(&S, Arc<S>, Rc<S>);
