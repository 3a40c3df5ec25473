//! The asynchronous half: opening ahead, closing beyond the budget, deleting names.
//!
//! There is one upkeep a storage and it borrows itself mutably, so two never run at a time.
//! Operations of the storage may run while it awaits: it looks again after every await, and
//! holds no borrow across one.

use std::fmt;
use std::rc::Rc;

use annals_core::{FileId, FileKind, StorageError};
use js_sys::{Array, AsyncIterator, IteratorNext};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    File, FileSystemDirectoryHandle, FileSystemFileHandle, FileSystemGetDirectoryOptions,
    FileSystemGetFileOptions, FileSystemHandle, FileSystemSyncAccessHandle, WorkerGlobalScope,
};

use crate::entry::Entry;
use crate::error::{OpfsError, describe, storage_error, thrown_name};
use crate::storage::{OpfsOptions, OpfsStorage, SPARE_HANDLES, Shared};
use crate::wait::open_exclusively;

/// The file whose handle says who owns the directory. Its name is the native one.
const LOCK_NAME: &str = "LOCK";

/// A file in the directory, not opened yet.
type Named = (FileId, FileSystemFileHandle);

/// What an [`OpfsStorage`] needs done between operations. Dropping it stops that, and no more.
pub struct OpfsUpkeep {
    shared: Rc<Shared>,
}

impl fmt::Debug for OpfsUpkeep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpfsUpkeep").finish_non_exhaustive()
    }
}

/// The directory at `path` in the origin's private file system, made where it is missing.
///
/// # Errors
///
/// [`OpfsError::Unavailable`] where the browser has none or refuses it.
pub async fn opfs_directory(path: &[&str]) -> Result<FileSystemDirectoryHandle, OpfsError> {
    let unavailable = |thrown: JsValue| OpfsError::Unavailable { reason: describe(&thrown) };
    let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
    let storage = js_sys::Reflect::get(&scope.navigator(), &"storage".into());
    if storage.map_err(unavailable)?.is_undefined() {
        return Err(OpfsError::Unavailable { reason: "there is no navigator.storage".into() });
    }
    let root = JsFuture::from(scope.navigator().storage().get_directory()).await;
    let mut dir: FileSystemDirectoryHandle = root.map_err(unavailable)?.unchecked_into();
    let options = FileSystemGetDirectoryOptions::new();
    options.set_create(true);
    for name in path {
        let next = dir.get_directory_handle_with_options(name, &options);
        dir = JsFuture::from(next).await.map_err(unavailable)?.unchecked_into();
    }
    Ok(dir)
}

impl OpfsStorage {
    /// Takes a directory as its only owner and opens its files.
    ///
    /// Owning it means holding the file `LOCK` open; the browser lets go of it when the worker
    /// ends, however it ends. The newest files are held open, the others can only be read.
    ///
    /// # Errors
    ///
    /// [`OpfsError::Busy`] if another worker holds the directory for longer than the options
    /// allow, and whatever else the browser reports.
    pub async fn open(
        dir: FileSystemDirectoryHandle,
        options: OpfsOptions,
    ) -> Result<(Self, OpfsUpkeep), OpfsError> {
        let lock = file_handle(&dir, LOCK_NAME, true).await?;
        let lock = open_exclusively(&lock, options.busy_timeout_ms).await?;
        let shared = Rc::new(Shared::new(dir, options, lock));
        let upkeep = OpfsUpkeep { shared: Rc::clone(&shared) };
        // An error drops `shared`, which closes what was opened so far.
        upkeep.open_existing().await?;
        Ok((Self { shared }, upkeep))
    }
}

impl OpfsUpkeep {
    /// Makes ready what was announced or refused since the last time, deletes the names of
    /// removed files, and closes what exceeds the budget. To be awaited before an operation
    /// that appends, and after one that was refused as not ready.
    ///
    /// # Errors
    ///
    /// The first failure; what is left is done the next time.
    pub async fn top_up(&mut self) -> Result<(), OpfsError> {
        if self.is_idle() {
            return Ok(());
        }
        self.delete_removed().await?;
        self.drop_unexpected().await?;
        self.serve_wanted().await?;
        self.open_upcoming().await?;
        self.close_beyond(self.shared.options.handles_max).await
    }

    /// Whether there is nothing to do, as is mostly the case: then nobody needs to wait for
    /// [`top_up`](OpfsUpkeep::top_up).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let shared = &self.shared;
        let (files, ready) = (shared.files.borrow(), shared.ready.borrow());
        let upcoming = shared.upcoming.borrow();
        let is_expected = |id: &FileId| files.contains_key(id) || ready.contains_key(id);
        upcoming.iter().all(is_expected)
            && ready.keys().all(|id| upcoming.contains(id))
            && !shared.doomed.borrow().iter().any(|entry| entry.is_deletable())
            && !files.values().any(|entry| entry.is_wanted())
            && shared.open_count() <= shared.options.handles_max
    }

    /// Closes every file at once, without flushing, and gives the directory up. What the
    /// storage is asked for afterwards fails.
    pub fn close(self) {
        self.shared.close();
    }

    async fn open_existing(&self) -> Result<(), OpfsError> {
        let mut found = Vec::new();
        let entries: AsyncIterator = self.shared.dir.entries();
        loop {
            let next = entries.next().map_err(|thrown| storage_error("list", None, &thrown))?;
            let next = JsFuture::from(next).await;
            let next = next.map_err(|thrown| storage_error("list", None, &thrown))?;
            let next: IteratorNext = next.unchecked_into();
            if next.done() {
                break;
            }
            let pair: Array = next.value().unchecked_into();
            let id = pair.get(0).as_string().as_deref().and_then(FileId::parse);
            if let Some(id) = id {
                found.push((id, pair.get(1).unchecked_into::<FileSystemFileHandle>()));
            }
        }
        let ids: Vec<FileId> = found.iter().map(|(id, _)| *id).collect();
        let newer = |id: FileId| {
            ids.iter().filter(|other| other.kind == id.kind && other.number > id.number).count()
        };
        let open_max = self.shared.options.handles_max.saturating_sub(SPARE_HANDLES);
        loop {
            // What was opened ahead takes none of the room, so there may be some for others.
            let room = open_max.saturating_sub(self.shared.open_count_listed());
            let mut some = Vec::new();
            while some.len() < room {
                // The newest of each kind first: those are written, or are to be.
                let all = found.iter().enumerate();
                let Some((at, _)) = all.min_by_key(|(_, (id, _))| (newer(*id), id.kind)) else {
                    break;
                };
                some.push(found.swap_remove(at));
            }
            if some.is_empty() {
                break;
            }
            self.open_together(some, Shared::take_found).await?;
        }
        for (id, name) in found {
            let file = snapshot(&name).await?;
            self.shared.take_found(Entry::closed(id, name, file))?;
        }
        Ok(())
    }

    /// Deletes the names of removed files that nobody reads any more.
    async fn delete_removed(&self) -> Result<(), OpfsError> {
        let deletable: Vec<Rc<Entry>> = {
            let doomed = self.shared.doomed.borrow();
            doomed.iter().filter(|entry| entry.is_deletable()).cloned().collect()
        };
        for entry in deletable {
            self.delete_name(entry.id).await?;
            self.shared.doomed.borrow_mut().retain(|other| !Rc::ptr_eq(other, &entry));
        }
        Ok(())
    }

    /// Gives back files that were opened ahead and are no longer expected.
    async fn drop_unexpected(&self) -> Result<(), OpfsError> {
        let unexpected: Vec<FileId> = {
            let (ready, upcoming) = (self.shared.ready.borrow(), self.shared.upcoming.borrow());
            ready.keys().filter(|id| !upcoming.contains(id)).copied().collect()
        };
        for id in unexpected {
            let Some(entry) = self.shared.ready.borrow_mut().remove(&id) else { continue };
            entry.close();
            self.delete_name(id).await?;
        }
        Ok(())
    }

    /// Opens closed files that were to be written, or whose snapshot is stale.
    async fn serve_wanted(&self) -> Result<(), OpfsError> {
        let wanted: Vec<Rc<Entry>> = {
            let files = self.shared.files.borrow();
            let doomed = self.shared.doomed.borrow();
            let entries = files.values().chain(doomed.iter());
            entries.filter(|entry| entry.is_wanted()).cloned().collect()
        };
        for entry in wanted {
            self.close_beyond(self.shared.options.handles_max.saturating_sub(1)).await?;
            let handle = self.open_handle(&entry.name).await?;
            entry.reopen(handle);
        }
        Ok(())
    }

    async fn open_upcoming(&self) -> Result<(), OpfsError> {
        let mut missing = self.shared.upcoming.borrow().clone();
        missing.retain(|id| !self.is_taken(*id));
        if missing.is_empty() {
            return Ok(());
        }
        let handles_max = self.shared.options.handles_max;
        self.close_beyond(handles_max.saturating_sub(missing.len())).await?;
        let mut files = Vec::new();
        for id in missing {
            files.push((id, file_handle(&self.shared.dir, &id.name(), true).await?));
        }
        self.open_together(files, Shared::take_new).await
    }

    fn is_taken(&self, id: FileId) -> bool {
        self.shared.files.borrow().contains_key(&id)
            || self.shared.ready.borrow().contains_key(&id)
            || self.shared.doomed.borrow().iter().any(|entry| entry.id == id)
    }

    /// Closes the least recently used files until at most `handles_max` are open, but never the
    /// one of each kind that was written last.
    async fn close_beyond(&self, handles_max: usize) -> Result<(), OpfsError> {
        while self.shared.open_count() > handles_max {
            let Some(entry) = self.least_used() else { return Ok(()) };
            let written = entry.last_write();
            // A failed sync is remembered by the entry, and told to whoever syncs next.
            let _ = entry.sync();
            let file = snapshot(&entry.name).await?;
            if entry.last_write() == written && entry.is_open() {
                entry.close_into(file);
            }
        }
        Ok(())
    }

    fn least_used(&self) -> Option<Rc<Entry>> {
        let files = self.shared.files.borrow();
        let newest_written = |kind: FileKind| {
            let of_kind = files.values().filter(|entry| entry.id.kind == kind);
            of_kind.max_by_key(|entry| (entry.last_write(), entry.id)).map(|entry| entry.id)
        };
        let kept = [newest_written(FileKind::Segment), newest_written(FileKind::Meta)];
        files
            .values()
            .filter(|entry| entry.is_open() && !kept.contains(&Some(entry.id)))
            .min_by_key(|entry| (entry.last_use(), entry.id))
            .cloned()
    }

    async fn delete_name(&self, id: FileId) -> Result<(), OpfsError> {
        let removed = JsFuture::from(self.shared.dir.remove_entry(&id.name())).await;
        match removed {
            Ok(_) => Ok(()),
            Err(thrown) if thrown_name(&thrown) == "NotFoundError" => Ok(()),
            Err(thrown) => Err(storage_error("remove", Some(id), &thrown).into()),
        }
    }

    /// Opens files, all at the same time: the browser takes most of a millisecond for each.
    async fn open_together(
        &self,
        files: Vec<Named>,
        take: fn(&Shared, Entry) -> Result<(), StorageError>,
    ) -> Result<(), OpfsError> {
        let ask = |(_, name): &Named| JsFuture::from(name.create_sync_access_handle());
        let asked: Vec<_> = files.iter().map(ask).collect();
        let mut outcome = Ok(());
        // Each is awaited, whatever became of those before: a handle that nobody takes would hold
        // its file.
        for ((id, name), asked) in files.into_iter().zip(asked) {
            let opened = match asked.await {
                Ok(handle) => Ok(handle.unchecked_into()),
                Err(_) if outcome.is_ok() => self.open_handle(&name).await,
                Err(_) => continue,
            };
            let taken = opened.and_then(|handle| {
                let entry = Entry::open(id, name, handle)?;
                Ok(take(&self.shared, entry)?)
            });
            outcome = outcome.and(taken);
        }
        outcome
    }

    async fn open_handle(
        &self,
        name: &FileSystemFileHandle,
    ) -> Result<FileSystemSyncAccessHandle, OpfsError> {
        open_exclusively(name, self.shared.options.busy_timeout_ms).await
    }
}

async fn file_handle(
    dir: &FileSystemDirectoryHandle,
    name: &str,
    create: bool,
) -> Result<FileSystemFileHandle, OpfsError> {
    let options = FileSystemGetFileOptions::new();
    options.set_create(create);
    let handle = JsFuture::from(dir.get_file_handle_with_options(name, &options)).await;
    let handle = handle.map_err(|thrown| storage_error("open", FileId::parse(name), &thrown))?;
    Ok(handle.unchecked_into())
}

/// The file as it is now, readable without an access handle.
async fn snapshot(name: &FileSystemFileHandle) -> Result<File, OpfsError> {
    let file = JsFuture::from(name.get_file()).await;
    let id = FileId::parse(&AsRef::<FileSystemHandle>::as_ref(name).name());
    Ok(file.map_err(|thrown| storage_error("open", id, &thrown))?.unchecked_into())
}
