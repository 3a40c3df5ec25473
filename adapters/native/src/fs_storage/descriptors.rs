//! Which files hold a descriptor, and what is unsynced in them.
//!
//! Invariants: every open number has exactly one [`OpenFile`], shared by all its handles. A
//! file is *pinned* while it has unsynced changes, or was removed while open: it keeps its
//! descriptor. All others are *idle* and closed, the longest unused first, when the budget
//! is exceeded. A file whose sync failed stays pinned, and so remembered, for good.
//!
//! Lock order: `names`, then a file's `sync`, its `changes`, `table`, its `descriptor`.
//! Readers take only `descriptor`, and `table` when their file is closed. `table` is never
//! held across I/O other than closing a clean file.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use annals_core::{FileId, StorageError, StorageErrorKind};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};

use super::{
    FsOptions, SyncMode,
    directory::remembered,
    kept_reads::{KeptOfFile, KeptReads},
    positioned,
    spare::Spare,
    storage_error,
};

/// The open files of one directory.
pub(super) struct Descriptors {
    dir: PathBuf,
    sync_mode: SyncMode,
    budget: usize,
    writable: AtomicBool,
    /// Held while a name is created, opened or removed, so that table and directory agree.
    names: Mutex<()>,
    table: Mutex<Table>,
    kept: KeptReads,
}

/// One file that handles are open on, or that has unsynced changes.
pub(super) struct OpenFile {
    id: FileId,
    /// Unlike the number, never used again.
    key: u64,
    descriptor: RwLock<Option<Arc<File>>>,
    /// Used since it was last considered for closing.
    used: AtomicBool,
    changes: Mutex<Changes>,
    /// The failure that every later sync repeats. Held across a sync: of two at a time only
    /// one would be told of the failure.
    sync: Mutex<Option<StorageError>>,
    kept: KeptOfFile,
}

impl OpenFile {
    pub(super) fn id(&self) -> FileId {
        self.id
    }
}

impl Descriptors {
    pub(super) fn new(dir: PathBuf, options: FsOptions, writable: bool) -> Self {
        Self {
            dir,
            sync_mode: options.sync_mode,
            budget: options.fd_budget.max(1),
            writable: AtomicBool::new(writable),
            names: Mutex::new(()),
            table: Mutex::new(Table::default()),
            kept: KeptReads::new(options.read_cache_bytes),
        }
    }

    /// Refuses every change from now on: the directory may get another writer.
    pub(super) fn close(&self) {
        self.writable.store(false, Ordering::Release);
    }

    pub(super) fn check_writable(
        &self,
        operation: &'static str,
        file: Option<FileId>,
    ) -> Result<(), StorageError> {
        if self.writable.load(Ordering::Acquire) {
            return Ok(());
        }
        let error = StorageError::new(StorageErrorKind::PermissionDenied, operation)
            .with_detail("the storage is read-only or closed");
        Err(match file {
            Some(file) => error.with_file(file),
            None => error,
        })
    }

    pub(super) fn open_count(&self) -> usize {
        let table = self.table.lock();
        table.idle.len() + table.pinned
    }

    /// Makes a file, from the spare if there is one.
    pub(super) fn create(
        &self,
        id: FileId,
        spare: Option<&Spare>,
    ) -> Result<Arc<OpenFile>, StorageError> {
        self.check_writable("create", Some(id))?;
        let _names = self.names.lock();
        let path = self.path(id);
        let taken = spare
            .filter(|_| matches!(path.try_exists(), Ok(false)))
            .and_then(|spare| spare.take_over(&path));
        let created = match taken {
            Some(file) => Ok(file),
            None => OpenOptions::new().read(true).write(true).create_new(true).open(&path),
        };
        let file = created.map_err(|error| storage_error(error, "create", Some(id)))?;
        Ok(self.admit(id, file))
    }

    /// Opens a file, or adds a handle to one that is open.
    pub(super) fn open(&self, id: FileId) -> Result<Arc<OpenFile>, StorageError> {
        let _names = self.names.lock();
        if let Some(file) = self.table.lock().add_handle(id) {
            return Ok(file);
        }
        let file = self.open_path(id).map_err(|error| storage_error(error, "open", Some(id)))?;
        Ok(self.admit(id, file))
    }

    /// Removes a file; handles keep their descriptor and go on reading.
    pub(super) fn remove(&self, id: FileId) -> Result<(), StorageError> {
        self.check_writable("remove", Some(id))?;
        let _names = self.names.lock();
        let open = self.table.lock().by_id(id);
        if let Some(file) = &open {
            // Once the name is gone, the descriptor can't be had again.
            self.table.lock().pin(file);
            if let Err(error) = self.descriptor(file) {
                self.unpin(file);
                return Err(error);
            }
        }
        let removed = fs::remove_file(self.path(id));
        if let Some(file) = &open {
            match removed {
                Ok(()) => self.table.lock().detach(file),
                Err(_) => self.unpin(file),
            }
        }
        removed.map_err(|error| storage_error(error, "remove", Some(id)))?;
        self.kept.forget(id);
        Ok(())
    }

    /// Takes back a handle.
    pub(super) fn release(&self, file: &OpenFile) {
        let removed = self.table.lock().drop_handle(file);
        if removed {
            // Its handles may have read on since it was removed.
            self.kept.forget(file.id);
        }
    }

    /// Bytes of committed reads that are kept in memory.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept.bytes()
    }

    /// Fills `buf` with the bytes at `offset`.
    pub(super) fn read(
        &self,
        file: &Arc<OpenFile>,
        buf: &mut [u8],
        offset: u64,
    ) -> Result<(), StorageError> {
        let descriptor = self.descriptor(file)?;
        positioned::read_exact_at(&descriptor, buf, offset)
            .map_err(|error| storage_error(error, "read_exact_at", Some(file.id)))
    }

    /// As [`read`](Self::read), of bytes that only this storage may change, from memory where they
    /// were read before.
    pub(super) fn read_committed(
        &self,
        file: &Arc<OpenFile>,
        buf: &mut [u8],
        offset: u64,
    ) -> Result<(), StorageError> {
        if self.writable.load(Ordering::Acquire) {
            self.read_sealed(file, buf, offset)
        } else {
            self.read(file, buf, offset)
        }
    }

    /// As [`read`](Self::read), of bytes that nobody changes, from memory where they were read
    /// before.
    pub(super) fn read_sealed(
        &self,
        file: &Arc<OpenFile>,
        buf: &mut [u8],
        offset: u64,
    ) -> Result<(), StorageError> {
        let Some(key) = self.kept.key(file.id, &file.kept, offset, buf.len()) else {
            return self.read(file, buf, offset);
        };
        if self.kept.read(&key, buf) {
            return Ok(());
        }
        file.kept.reach(&key, buf.len());
        self.read(file, buf, offset)?;
        self.kept.keep(key, buf);
        Ok(())
    }

    /// The file's descriptor, opened again if it was closed.
    pub(super) fn descriptor(&self, file: &Arc<OpenFile>) -> Result<Arc<File>, StorageError> {
        if let Some(descriptor) = &*file.descriptor.read() {
            file.used.store(true, Ordering::Relaxed);
            return Ok(Arc::clone(descriptor));
        }
        let opened = self.open_path(file.id);
        let mut table = self.table.lock();
        let mut slot = file.descriptor.write();
        if let Some(descriptor) = &*slot {
            // Someone else was faster. If the file was removed meanwhile, `opened` failed or
            // is another file of the same number, and this is the right one.
            return Ok(Arc::clone(descriptor));
        }
        let opened = opened.map_err(|error| storage_error(error, "reopen", Some(file.id)))?;
        let descriptor = Arc::new(opened);
        *slot = Some(Arc::clone(&descriptor));
        drop(slot);
        table.opened(file);
        table.close_beyond(self.budget);
        Ok(descriptor)
    }

    /// Changes the file's bytes or length; it is unsynced, and so pinned, from before.
    /// Bytes before `from` stay as they are.
    pub(super) fn change(
        &self,
        file: &Arc<OpenFile>,
        operation: &'static str,
        from: u64,
        change: impl FnOnce(&File) -> io::Result<()>,
    ) -> Result<(), StorageError> {
        self.check_writable(operation, Some(file.id))?;
        {
            let mut changes = file.changes.lock();
            changes.begun += 1;
            changes.running += 1;
            if !changes.unsynced {
                changes.unsynced = true;
                self.table.lock().pin(file);
            }
        }
        let _running = Running(file);
        let descriptor = self.descriptor(file)?;
        let changed = change(&descriptor);
        self.kept.note_change(&file.kept, from);
        changed.map_err(|error| storage_error(error, operation, Some(file.id)))
    }

    /// Makes the file's changes durable, and lets it be closed if there were no others
    /// meanwhile.
    pub(super) fn sync(&self, file: &Arc<OpenFile>) -> Result<(), StorageError> {
        self.check_writable("sync_data", Some(file.id))?;
        let mut failure = file.sync.lock();
        if let Some(error) = &*failure {
            return Err(error.clone());
        }
        let (begun, quiet) = {
            let changes = file.changes.lock();
            (changes.begun, changes.running == 0)
        };
        let descriptor = self.descriptor(file)?;
        let synced = match self.sync_mode {
            SyncMode::Data => descriptor.sync_data(),
            SyncMode::All => descriptor.sync_all(),
        };
        if let Err(error) = synced {
            let error = storage_error(error, "sync_data", Some(file.id));
            *failure = Some(remembered(&error));
            self.pin_failed(file);
            return Err(error);
        }
        let mut changes = file.changes.lock();
        if quiet && changes.unsynced && changes.begun == begun {
            changes.unsynced = false;
            self.unpin(file);
        }
        Ok(())
    }

    /// Keeps a file whose sync failed in the table for good, so that a handle opened later
    /// finds the failure too.
    fn pin_failed(&self, file: &Arc<OpenFile>) {
        let mut changes = file.changes.lock();
        if !changes.unsynced {
            changes.unsynced = true;
            self.table.lock().pin(file);
        }
    }

    fn unpin(&self, file: &Arc<OpenFile>) {
        let mut table = self.table.lock();
        table.unpin(file);
        table.close_beyond(self.budget);
    }

    /// Enters a file that was just opened, with one handle.
    fn admit(&self, id: FileId, descriptor: File) -> Arc<OpenFile> {
        let mut table = self.table.lock();
        table.last_key += 1;
        let file = Arc::new(OpenFile {
            id,
            key: table.last_key,
            descriptor: RwLock::new(Some(Arc::new(descriptor))),
            used: AtomicBool::new(true),
            changes: Mutex::default(),
            sync: Mutex::new(None),
            kept: self.kept.of_file(),
        });
        table.keys.insert(id, file.key);
        let entry = Entry { file: Arc::clone(&file), handles: 1, pins: 0 };
        table.entries.insert(file.key, entry);
        table.opened(&file);
        table.close_beyond(self.budget);
        file
    }

    fn open_path(&self, id: FileId) -> io::Result<File> {
        let writable = self.writable.load(Ordering::Acquire);
        OpenOptions::new().read(true).write(writable).open(self.path(id))
    }

    fn path(&self, id: FileId) -> PathBuf {
        self.dir.join(id.name())
    }
}

/// Counts changes, so that a sync knows whether it covered all of them.
#[derive(Default)]
struct Changes {
    begun: u64,
    running: u32,
    unsynced: bool,
}

/// A change in progress; it ends also when it panics.
struct Running<'a>(&'a OpenFile);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.changes.lock().running -= 1;
    }
}

/// The files by number and by key, and the order in which idle ones are closed.
struct Table {
    last_key: u64,
    /// Only files that still have their name.
    keys: HashMap<FileId, u64>,
    entries: HashMap<u64, Entry>,
    /// Open and not pinned, the least recently used last.
    idle: LruCache<u64, Arc<OpenFile>>,
    /// How many entries are pinned.
    pinned: usize,
}

struct Entry {
    file: Arc<OpenFile>,
    handles: usize,
    pins: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self {
            last_key: 0,
            keys: HashMap::new(),
            entries: HashMap::new(),
            idle: LruCache::unbounded(),
            pinned: 0,
        }
    }
}

impl Table {
    fn by_id(&self, id: FileId) -> Option<Arc<OpenFile>> {
        let entry = self.entries.get(self.keys.get(&id)?)?;
        Some(Arc::clone(&entry.file))
    }

    fn add_handle(&mut self, id: FileId) -> Option<Arc<OpenFile>> {
        let entry = self.entries.get_mut(self.keys.get(&id)?)?;
        entry.handles += 1;
        Some(Arc::clone(&entry.file))
    }

    /// Forgets a file with its last handle, unless it has changes that nobody synced. Says whether
    /// that was the last of a removed file.
    fn drop_handle(&mut self, file: &OpenFile) -> bool {
        let Some(entry) = self.entries.get_mut(&file.key) else { return false };
        entry.handles -= 1;
        let detached = self.keys.get(&file.id) != Some(&file.key);
        let last = entry.handles == 0;
        if last && (detached || entry.pins == 0) {
            self.forget(file);
        }
        last && detached
    }

    /// Takes the number away from a removed file; its handles keep it.
    fn detach(&mut self, file: &OpenFile) {
        self.keys.remove(&file.id);
        if self.entries.get(&file.key).is_some_and(|entry| entry.handles == 0) {
            self.forget(file);
        }
    }

    fn pin(&mut self, file: &OpenFile) {
        let Some(entry) = self.entries.get_mut(&file.key) else { return };
        entry.pins += 1;
        if entry.pins == 1 {
            self.pinned += 1;
            self.idle.pop(&file.key);
        }
    }

    fn unpin(&mut self, file: &Arc<OpenFile>) {
        let Some(entry) = self.entries.get_mut(&file.key) else { return };
        entry.pins -= 1;
        if entry.pins > 0 {
            return;
        }
        self.pinned -= 1;
        if entry.handles == 0 {
            self.keys.remove(&file.id);
            self.entries.remove(&file.key);
        } else if file.descriptor.read().is_some() {
            self.idle.put(file.key, Arc::clone(file));
        }
    }

    /// A file got its descriptor.
    fn opened(&mut self, file: &Arc<OpenFile>) {
        file.used.store(true, Ordering::Relaxed);
        if self.entries.get(&file.key).is_some_and(|entry| entry.pins == 0) {
            self.idle.put(file.key, Arc::clone(file));
        }
    }

    fn forget(&mut self, file: &OpenFile) {
        if self.keys.get(&file.id) == Some(&file.key) {
            self.keys.remove(&file.id);
        }
        if self.entries.remove(&file.key).is_some_and(|entry| entry.pins > 0) {
            self.pinned -= 1;
        }
        self.idle.pop(&file.key);
    }

    /// Closes idle files until the budget holds. Readers note their use without this lock,
    /// so a file that was used since it was last looked at goes to the front once more.
    fn close_beyond(&mut self, budget: usize) {
        // Readers go on meanwhile, so without a bound this might go round for long.
        let mut second_chances = self.idle.len();
        while self.idle.len() + self.pinned > budget {
            let Some((key, file)) = self.idle.pop_lru() else { return };
            if second_chances > 0 && file.used.swap(false, Ordering::Relaxed) {
                second_chances -= 1;
                self.idle.put(key, file);
            } else {
                *file.descriptor.write() = None;
            }
        }
    }
}
