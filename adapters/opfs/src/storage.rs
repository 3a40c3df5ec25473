//! The synchronous half: files that are open already, read and written at once.
//!
//! What is not ready is refused with `NotReady` and remembered, so that the next upkeep makes
//! it ready. Nothing here awaits, and no borrow is held while the browser is called back.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use annals_core::{FileId, FileKind, Storage, StorageError, StorageErrorKind, StorageFile};
use web_sys::{FileReaderSync, FileSystemDirectoryHandle, FileSystemSyncAccessHandle};

use crate::entry::Entry;
use crate::kept_reads::KeptReads;

/// Handles kept free at opening, for files that will be created.
pub(crate) const SPARE_HANDLES: usize = 2;

/// How many files are held, and how long an occupied one is waited for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpfsOptions {
    /// Access handles held at a time, the lock's among them: at least 4. Browsers limit them
    /// per origin.
    pub handles_max: usize,
    /// How long to try while another worker holds a file, in milliseconds. A worker that was
    /// closed while busy lets go after about two seconds.
    pub busy_timeout_ms: u32,
}

impl Default for OpfsOptions {
    fn default() -> Self {
        Self { handles_max: 8, busy_timeout_ms: 8_000 }
    }
}

impl OpfsOptions {
    /// Sets `handles_max`.
    #[must_use]
    pub fn with_handles_max(mut self, handles_max: usize) -> Self {
        self.handles_max = handles_max.max(4);
        self
    }

    /// Sets `busy_timeout_ms`.
    #[must_use]
    pub fn with_busy_timeout_ms(mut self, busy_timeout_ms: u32) -> Self {
        self.busy_timeout_ms = busy_timeout_ms;
        self
    }
}

/// The files of one OPFS directory, held exclusively by this worker. Clones are the same files.
///
/// Made by [`OpfsStorage::open`], together with the [`OpfsUpkeep`](crate::OpfsUpkeep) that
/// serves it. A number that was not announced through [`Storage::prepare`] and made ready by
/// the upkeep can't be created, and a file that had to be closed can be read but not written
/// before the next upkeep: both are [`StorageErrorKind::NotReady`], after which one upkeep and
/// one more try succeed.
#[derive(Clone)]
pub struct OpfsStorage {
    pub(crate) shared: Rc<Shared>,
}

/// What all clones and files share.
pub(crate) struct Shared {
    pub(crate) dir: FileSystemDirectoryHandle,
    pub(crate) options: OpfsOptions,
    /// The fence: whoever has this file open owns the directory.
    pub(crate) lock: RefCell<Option<FileSystemSyncAccessHandle>>,
    pub(crate) files: RefCell<BTreeMap<FileId, Rc<Entry>>>,
    /// Removed files whose names are still there.
    pub(crate) doomed: RefCell<Vec<Rc<Entry>>>,
    /// Opened ahead, empty, and not created yet.
    pub(crate) ready: RefCell<BTreeMap<FileId, Rc<Entry>>>,
    pub(crate) upcoming: RefCell<Vec<FileId>>,
    pub(crate) kept: KeptReads,
    reader: Option<FileReaderSync>,
    tick: Cell<u64>,
}

impl Shared {
    pub(crate) fn new(
        dir: FileSystemDirectoryHandle,
        options: OpfsOptions,
        lock: FileSystemSyncAccessHandle,
    ) -> Self {
        Self {
            dir,
            options,
            lock: RefCell::new(Some(lock)),
            files: RefCell::default(),
            doomed: RefCell::default(),
            ready: RefCell::default(),
            upcoming: RefCell::default(),
            kept: KeptReads::default(),
            // Only workers have it; elsewhere closed files wait for the upkeep.
            reader: FileReaderSync::new().ok(),
            tick: Cell::new(0),
        }
    }

    /// Access handles that are open now.
    pub(crate) fn open_count(&self) -> usize {
        let open = |entries: &mut dyn Iterator<Item = &Rc<Entry>>| {
            entries.filter(|entry| entry.is_open()).count()
        };
        usize::from(self.lock.borrow().is_some())
            + open(&mut self.files.borrow().values())
            + open(&mut self.doomed.borrow().iter())
            + open(&mut self.ready.borrow().values())
    }

    /// Access handles that are open now, but for files that were opened ahead.
    pub(crate) fn open_count_listed(&self) -> usize {
        self.open_count() - self.ready.borrow().len()
    }

    /// Takes a file that stands in the directory. An empty one is as good as new, most likely
    /// opened ahead by the worker before: it is not made anew then.
    pub(crate) fn take_found(&self, entry: Entry) -> Result<(), StorageError> {
        let is_new = entry.is_open()
            && entry.len() == 0
            && entry.id.kind != FileKind::Import
            && self.ready.borrow().len() < SPARE_HANDLES;
        let files = if is_new { &self.ready } else { &self.files };
        files.borrow_mut().insert(entry.id, Rc::new(entry));
        Ok(())
    }

    /// Takes a file that was opened ahead.
    pub(crate) fn take_new(&self, entry: Entry) -> Result<(), StorageError> {
        // Bytes of a file with this number that was removed, and not yet deleted when the worker
        // ended.
        if entry.len() > 0 {
            entry.set_len(0, 0)?;
        }
        self.ready.borrow_mut().insert(entry.id, Rc::new(entry));
        Ok(())
    }

    /// Closes every file, the lock last.
    pub(crate) fn close(&self) {
        for entry in self.files.borrow().values() {
            entry.close();
        }
        for entry in self.ready.borrow().values() {
            entry.close();
        }
        for entry in self.doomed.borrow().iter() {
            entry.close();
        }
        self.kept.clear();
        if let Some(lock) = self.lock.take() {
            lock.close();
        }
    }

    fn next_tick(&self) -> u64 {
        let tick = self.tick.get() + 1;
        self.tick.set(tick);
        tick
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close();
    }
}

impl OpfsStorage {
    /// Access handles that are open now, the lock's among them.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        self.shared.open_count()
    }

    fn file(&self, entry: &Rc<Entry>) -> OpfsFile {
        entry.add_user();
        OpfsFile { entry: Rc::clone(entry), shared: Rc::clone(&self.shared) }
    }
}

impl fmt::Debug for OpfsStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files = self.shared.files.borrow();
        f.debug_map().entries(files.iter().map(|(id, entry)| (id, entry.len()))).finish()
    }
}

impl Storage for OpfsStorage {
    type File = OpfsFile;

    fn list(&self) -> Result<Vec<FileId>, StorageError> {
        Ok(self.shared.files.borrow().keys().copied().collect())
    }

    fn create(&self, id: FileId) -> Result<OpfsFile, StorageError> {
        let refuse = |kind| Err(StorageError::new(kind, "create").with_file(id));
        if self.shared.files.borrow().contains_key(&id) {
            return refuse(StorageErrorKind::AlreadyExists);
        }
        let Some(entry) = self.shared.ready.borrow_mut().remove(&id) else {
            let mut upcoming = self.shared.upcoming.borrow_mut();
            if !upcoming.contains(&id) {
                upcoming.insert(0, id);
            }
            return refuse(StorageErrorKind::NotReady);
        };
        let file = self.file(&entry);
        self.shared.files.borrow_mut().insert(id, entry);
        Ok(file)
    }

    fn open(&self, id: FileId) -> Result<OpfsFile, StorageError> {
        match self.shared.files.borrow().get(&id) {
            Some(entry) => Ok(self.file(entry)),
            None => Err(StorageError::new(StorageErrorKind::NotFound, "open").with_file(id)),
        }
    }

    fn remove(&self, id: FileId) -> Result<(), StorageError> {
        let Some(entry) = self.shared.files.borrow_mut().remove(&id) else {
            return Err(StorageError::new(StorageErrorKind::NotFound, "remove").with_file(id));
        };
        // An empty file that is open is what the number would be prepared with. If nobody wants
        // it, the upkeep deletes it like any other that was opened ahead in vain.
        if entry.recycle() {
            self.shared.ready.borrow_mut().insert(id, entry);
            return Ok(());
        }
        entry.note_change(&self.shared.kept, 0);
        entry.remove();
        self.shared.doomed.borrow_mut().push(entry);
        Ok(())
    }

    /// Does nothing: a browser offers no way to make a name durable, and keeps its own journal
    /// of names.
    fn sync_dir(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn prepare(&self, upcoming: &[FileId]) {
        self.shared.upcoming.replace(upcoming.to_vec());
    }
}

/// An open file of an [`OpfsStorage`].
pub struct OpfsFile {
    entry: Rc<Entry>,
    shared: Rc<Shared>,
}

impl Drop for OpfsFile {
    fn drop(&mut self) {
        self.entry.drop_user();
    }
}

impl fmt::Debug for OpfsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpfsFile")
            .field("id", &self.entry.id)
            .field("len", &self.entry.len())
            .finish_non_exhaustive()
    }
}

impl StorageFile for OpfsFile {
    fn len(&self) -> Result<u64, StorageError> {
        Ok(self.entry.len())
    }

    fn set_len(&self, len: u64) -> Result<(), StorageError> {
        self.entry.note_change(&self.shared.kept, len);
        self.entry.set_len(self.shared.next_tick(), len)
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        self.entry.read(self.shared.next_tick(), buf, offset, self.shared.reader.as_ref())
    }

    fn read_committed_at(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        let kept = &self.shared.kept;
        let Some(stamp) = self.entry.stamp(kept) else { return self.read_exact_at(buf, offset) };
        if kept.read(stamp, buf, offset) {
            return Ok(());
        }
        self.read_exact_at(buf, offset)?;
        self.entry.note_kept(offset + buf.len() as u64);
        kept.keep(stamp, buf, offset);
        Ok(())
    }

    /// A read costs 1 to 3 us for its call, and 64 KiB more cost another.
    fn read_gap(&self) -> u64 {
        64 * 1024
    }

    fn write_all_at(&self, buf: &[u8], offset: u64) -> Result<(), StorageError> {
        self.entry.note_change(&self.shared.kept, offset);
        self.entry.write(self.shared.next_tick(), buf, offset)
    }

    fn sync_data(&self) -> Result<(), StorageError> {
        self.entry.sync()
    }
}
