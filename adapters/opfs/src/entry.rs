//! One file: what it is now, who reads it, what is not flushed.
//!
//! A file is open (an exclusive access handle), closed (a `File`, which can still be read
//! synchronously) or gone. The length is kept here, because there is one writer. Only the
//! upkeep opens and closes; everything else is synchronous.

use std::cell::{Cell, RefCell};

use annals_core::{FileId, StorageError, StorageErrorKind};
use web_sys::{File, FileReaderSync, FileSystemFileHandle, FileSystemSyncAccessHandle};

use crate::access;
use crate::error::storage_error;
use crate::kept_reads::KeptReads;

/// See the module.
pub(crate) struct Entry {
    pub(crate) id: FileId,
    pub(crate) name: FileSystemFileHandle,
    body: RefCell<Body>,
    len: Cell<u64>,
    /// Written since the last flush.
    dirty: Cell<bool>,
    sync_failed: Cell<bool>,
    removed: Cell<bool>,
    /// Files of the storage's user.
    users: Cell<usize>,
    /// A tick that grows with every use, of any file.
    last_use: Cell<u64>,
    last_write: Cell<u64>,
    /// Something was refused because the file is closed.
    wanted: Cell<bool>,
    /// Under which its reads are kept.
    stamp: Cell<u64>,
    /// No read is kept that ends behind this.
    kept_end: Cell<u64>,
}

/// What stands behind a file's number.
pub(crate) enum Body {
    /// Held exclusively, readable and writable.
    Open(FileSystemSyncAccessHandle),
    /// Only readable.
    Closed(File),
    /// Neither: the storage was closed, or the file was removed and has no reader.
    Gone,
}

impl Entry {
    pub(crate) fn open(
        id: FileId,
        name: FileSystemFileHandle,
        handle: FileSystemSyncAccessHandle,
    ) -> Result<Self, StorageError> {
        let len = access::len(&handle, id)?;
        Ok(Self::new(id, name, Body::Open(handle), len))
    }

    pub(crate) fn closed(id: FileId, name: FileSystemFileHandle, file: File) -> Self {
        let len = access::file_len(&file);
        Self::new(id, name, Body::Closed(file), len)
    }

    fn new(id: FileId, name: FileSystemFileHandle, body: Body, len: u64) -> Self {
        Self {
            id,
            name,
            body: RefCell::new(body),
            len: Cell::new(len),
            dirty: Cell::new(false),
            sync_failed: Cell::new(false),
            removed: Cell::new(false),
            users: Cell::new(0),
            last_use: Cell::new(0),
            last_write: Cell::new(0),
            wanted: Cell::new(false),
            stamp: Cell::new(0),
            kept_end: Cell::new(0),
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.len.get()
    }

    pub(crate) fn read(
        &self,
        tick: u64,
        buffer: &mut [u8],
        offset: u64,
        reader: Option<&FileReaderSync>,
    ) -> Result<(), StorageError> {
        self.last_use.set(tick);
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.len.get()) {
            return Err(self.error(StorageErrorKind::OutOfBounds, "read_exact_at"));
        }
        if buffer.is_empty() {
            return Ok(());
        }
        let outcome = match &*self.body.borrow() {
            Body::Open(handle) => access::read(handle, self.id, buffer, offset),
            Body::Closed(file) => match reader {
                Some(reader) => access::read_closed(reader, file, self.id, buffer, offset),
                None => Err(self.error(StorageErrorKind::NotReady, "read_exact_at")),
            },
            Body::Gone => Err(self.closed_error("read_exact_at")),
        };
        self.note_wanted(outcome)
    }

    pub(crate) fn write(&self, tick: u64, bytes: &[u8], offset: u64) -> Result<(), StorageError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.change(tick, "write_all_at", |handle| {
            access::write(handle, self.id, bytes, offset)?;
            self.len.set(self.len.get().max(offset + bytes.len() as u64));
            Ok(())
        })
    }

    pub(crate) fn set_len(&self, tick: u64, len: u64) -> Result<(), StorageError> {
        self.change(tick, "set_len", |handle| {
            access::truncate(handle, self.id, len)?;
            self.len.set(len);
            Ok(())
        })
    }

    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        if self.sync_failed.get() {
            let error = self.error(StorageErrorKind::Other, "sync_data");
            return Err(error.with_detail("an earlier sync of this file failed"));
        }
        if !self.dirty.get() {
            return Ok(());
        }
        match &*self.body.borrow() {
            Body::Open(handle) => {
                let flushed = handle.flush();
                flushed.map_err(|thrown| {
                    self.sync_failed.set(true);
                    storage_error("sync_data", Some(self.id), &thrown)
                })?;
                self.dirty.set(false);
                Ok(())
            }
            Body::Closed(_) | Body::Gone => Err(self.closed_error("sync_data")),
        }
    }

    /// Empties an open file that nobody uses, so that it is as good as new. Whether it is.
    pub(crate) fn recycle(&self) -> bool {
        if self.users.get() > 0 || self.sync_failed.get() {
            return false;
        }
        let body = self.body.borrow();
        let Body::Open(handle) = &*body else { return false };
        let is_emptied = access::truncate(handle, self.id, 0).is_ok();
        if is_emptied {
            self.len.set(0);
            self.dirty.set(true);
        }
        is_emptied
    }

    /// Marks the file as removed: it goes when its last user does.
    pub(crate) fn remove(&self) {
        self.removed.set(true);
        self.let_go_if_unused();
    }

    /// Under which its reads are kept; `None` where the file is on its way out.
    pub(crate) fn stamp(&self, kept: &KeptReads) -> Option<u64> {
        if self.stamp.get() == 0 {
            self.stamp.set(kept.next_stamp());
        }
        (!self.removed.get()).then(|| self.stamp.get())
    }

    /// Notes that a read up to `end` may be kept.
    pub(crate) fn note_kept(&self, end: u64) {
        self.kept_end.set(self.kept_end.get().max(end));
    }

    /// Forgets what is kept of the file where bytes from `offset` on change.
    pub(crate) fn note_change(&self, kept: &KeptReads, offset: u64) {
        if offset < self.kept_end.replace(offset.min(self.kept_end.get())) {
            kept.forget(self.stamp.get());
        }
    }

    pub(crate) fn add_user(&self) {
        self.users.set(self.users.get() + 1);
    }

    pub(crate) fn drop_user(&self) {
        self.users.set(self.users.get().saturating_sub(1));
        self.let_go_if_unused();
    }

    /// Whether nobody reads a removed file any more, so that its name can be deleted.
    pub(crate) fn is_deletable(&self) -> bool {
        self.removed.get() && self.users.get() == 0
    }

    /// Whether something was refused because the file is closed, since the last time it was
    /// opened.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.get()
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(*self.body.borrow(), Body::Open(_))
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(*self.body.borrow(), Body::Closed(_))
    }

    pub(crate) fn last_use(&self) -> u64 {
        self.last_use.get()
    }

    pub(crate) fn last_write(&self) -> u64 {
        self.last_write.get()
    }

    /// Gives the file an access handle, as long as it is closed.
    pub(crate) fn reopen(&self, handle: FileSystemSyncAccessHandle) {
        self.wanted.set(false);
        if self.is_closed() {
            self.body.replace(Body::Open(handle));
        } else {
            handle.close();
        }
    }

    /// Replaces the access handle by a `File` that was taken after the last flush.
    pub(crate) fn close_into(&self, file: File) {
        if let Body::Open(handle) = self.body.replace(Body::Closed(file)) {
            handle.close();
        }
    }

    /// Gives the file up, with what it has not flushed.
    pub(crate) fn close(&self) {
        if let Body::Open(handle) = self.body.replace(Body::Gone) {
            handle.close();
        }
    }

    fn change(
        &self,
        tick: u64,
        operation: &'static str,
        change: impl FnOnce(&FileSystemSyncAccessHandle) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        self.last_use.set(tick);
        if self.removed.get() {
            let error = self.error(StorageErrorKind::Other, operation);
            return Err(error.with_detail("the file was removed"));
        }
        let body = self.body.borrow();
        let outcome = match &*body {
            Body::Open(handle) => {
                self.last_write.set(tick);
                self.dirty.set(true);
                let changed = change(handle);
                if changed.is_err()
                    && let Ok(len) = access::len(handle, self.id)
                {
                    self.len.set(len);
                }
                changed
            }
            Body::Closed(_) => Err(self.error(StorageErrorKind::NotReady, operation)),
            Body::Gone => Err(self.closed_error(operation)),
        };
        drop(body);
        self.note_wanted(outcome)
    }

    fn note_wanted(&self, outcome: Result<(), StorageError>) -> Result<(), StorageError> {
        if outcome.as_ref().is_err_and(|error| error.kind() == StorageErrorKind::NotReady) {
            self.wanted.set(true);
        }
        outcome
    }

    fn let_go_if_unused(&self) {
        if !self.is_deletable() {
            return;
        }
        if let Body::Open(handle) = self.body.replace(Body::Gone) {
            // The bytes are to be gone at once; the name is deleted later. If this fails, they
            // go with the name.
            let _ = access::truncate(&handle, self.id, 0);
            handle.close();
        }
    }

    fn closed_error(&self, operation: &'static str) -> StorageError {
        self.error(StorageErrorKind::Other, operation).with_detail("the storage was closed")
    }

    fn error(&self, kind: StorageErrorKind, operation: &'static str) -> StorageError {
        StorageError::new(kind, operation).with_file(self.id)
    }
}
