//! Files that are not part of the store yet, because the mark of an import says so.
//!
//! Order is everything here. The mark is on stable storage before the first file is made, the files
//! are whole and durably named before the mark is emptied, and emptying it is what makes them
//! count. Taking them back goes the other way: they are durably gone before the mark is.

use crate::format::Fault;
use crate::format::import_mark::{IMPORT_MARK_LEN, ImportMark};
use crate::format::segment::{HeaderFault, StoreId};
use crate::index::KeyHasher;
use crate::log::config::{Host, LogConfig};
use crate::log::meta::{Change, Values, write_fresh};
use crate::log::reader::Reader;
use crate::log::recovery::{Access, Recovered, Recovery, recover, recover_listed};
use crate::log::shared::{Published, Shared};
use crate::log::{BackupError, Corruption, StoreError};
use crate::model::Sequence;
use crate::storage::{FileId, FileKind, Storage, StorageError, StorageErrorKind, StorageFile};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// Files of a store to be, which count all at once or not at all.
///
/// For hosts that can place files faster than through an [`Import`](crate::Import), by linking
/// them for instance. Dropped before it is published, it takes back what was written.
pub struct Unpublished<S: Storage> {
    storage: Arc<S>,
    mark: ImportMark,
    file: S::File,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The mark stands.
    Hidden,
    /// The mark may be empty: nothing may be taken back any more.
    Unsure,
    Published,
}

impl<S: Storage> core::fmt::Debug for Unpublished<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Unpublished").field("mark", &self.mark).finish_non_exhaustive()
    }
}

impl<S: Storage> Unpublished<S> {
    /// Begins in an empty storage. What an earlier try has left there is removed first.
    ///
    /// # Errors
    ///
    /// [`BackupError::NotEmpty`]; storage errors.
    pub fn begin(storage: Arc<S>, store_id: StoreId) -> Result<Self, BackupError> {
        make_empty(&storage)?;
        storage.prepare(&[FileId::import(FIRST.first_segment)]);
        Self::begin_at(storage, ImportMark { store_id, ..FIRST })
    }

    /// Begins behind files that are there already.
    pub(super) fn begin_at(storage: Arc<S>, mark: ImportMark) -> Result<Self, BackupError> {
        let id = FileId::import(mark.first_segment);
        let file = storage.create(id)?;
        let written = file.write_all_at(&mark.encode(), 0).and_then(|()| file.sync_data());
        if let Err(error) = written.and_then(|()| storage.sync_dir()) {
            drop(file);
            // One that stays hides nothing: no file of this import was made.
            let _ = storage.remove(id);
            return Err(error.into());
        }
        Ok(Unpublished { storage, mark, file, state: State::Hidden })
    }

    /// Writes names of kinds and checkpoints, as an export has them.
    ///
    /// # Errors
    ///
    /// Storage errors; a limit that they exceed.
    pub fn write_values<'a, H: Host>(
        &self,
        entries: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        host: &H,
    ) -> Result<(), BackupError> {
        let mut values = Values::default();
        for (key, value) in entries {
            let change = Change { key: key.to_vec(), value: Some(value.to_vec()) };
            values.check(core::slice::from_ref(&change)).map_err(StoreError::from)?;
            values.apply(change);
        }
        if values.len() > 0 {
            let ImportMark { store_id, first_meta, .. } = self.mark;
            write_fresh(&*self.storage, host, store_id, first_meta, &values)?;
        }
        Ok(())
    }

    /// A reader of the store as it will be, which must have all events before `end`: for
    /// [`verify`](crate::verify), before anything counts.
    ///
    /// # Errors
    ///
    /// Corruption, also where events are missing; storage errors.
    pub fn reader(&self, end: Sequence) -> Result<Reader<S>, BackupError> {
        let (listed, report) = (self.storage.list()?, Recovery::default());
        let recovered = recover_listed(
            &self.storage,
            Access::Read,
            listed,
            Hidden::NOTHING,
            report,
            KeyHasher::new,
        )?;
        let Recovered { view, end: found, report, .. } = recovered;
        if found != end || report.torn_tail.is_some() {
            let id = FileId::segment(self.mark.first_segment);
            let expected = alloc::format!("events up to sequence {end}");
            let found = alloc::format!("whole ones up to {found}");
            return Err(StoreError::from(Corruption::new(id, 0, expected, found)).into());
        }
        let published = Published { view: Arc::new(view), end, durable_end: end };
        let cache_bytes = LogConfig::default().index_cache_bytes;
        let shared = Arc::new(Shared::new(self.mark.store_id, cache_bytes, published));
        Ok(Reader::new(&shared))
    }

    /// Makes the files count. They must be whole and synced.
    ///
    /// # Errors
    ///
    /// Storage errors: nothing counts then, and where a file was not ready it may be called again.
    /// [`BackupError::Unsure`] where the last step failed.
    pub fn publish(&mut self) -> Result<(), BackupError> {
        match self.state {
            State::Published => return Ok(()),
            State::Unsure => return Err(BackupError::Ended),
            State::Hidden => {}
        }
        self.storage.sync_dir()?;
        match self.file.set_len(0) {
            Err(error) if error.kind() == StorageErrorKind::NotReady => return Err(error.into()),
            cut => {
                self.state = State::Unsure;
                let done = cut.and_then(|()| self.file.sync_data());
                done.map_err(|cause| BackupError::Unsure { cause })?;
            }
        }
        self.state = State::Published;
        // An empty mark says nothing, and opening removes it.
        let _ = self.storage.remove(FileId::import(self.mark.first_segment));
        let _ = self.storage.sync_dir();
        Ok(())
    }
}

impl<S: Storage> Drop for Unpublished<S> {
    fn drop(&mut self) {
        if self.state == State::Hidden {
            // What stays is removed when the store opens.
            let _ = take_back(&*self.storage, &self.mark, &mut Vec::new());
        }
    }
}

/// The mark of an import into an empty storage, but for the store.
const FIRST: ImportMark =
    ImportMark { store_id: StoreId::from_bytes([0; 16]), first_segment: 1, first_meta: 1 };

/// Removes what an import or a crash has left, and sees to it that nothing else is there.
pub(super) fn make_empty<S: Storage>(storage: &Arc<S>) -> Result<(), BackupError> {
    settle_imports(&**storage, Access::Write, &mut Recovery::default())?;
    if storage.list()?.is_empty() {
        return Ok(());
    }
    // Half-made files are nobody's. Whatever else is there, whole or damaged, stays as it is.
    match recover(storage, Access::Read, KeyHasher::new) {
        Ok(Recovered { view, meta, .. }) if view.len() == 0 && meta.active.is_none() => {
            recover(storage, Access::Write, KeyHasher::new)?;
        }
        Ok(_) | Err(StoreError::Corruption(_) | StoreError::NewerFormat { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    match storage.list()?.first() {
        Some(file) => Err(BackupError::NotEmpty { file: *file }),
        None => Ok(()),
    }
}

/// Which files opening does not see, because an import has not published them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hidden {
    /// Segments from this number on; `None` hides none, not even that of the last number.
    segments_from: Option<u64>,
    /// Files of the meta log from this number on.
    metas_from: Option<u64>,
}

impl Hidden {
    pub(crate) const NOTHING: Hidden = Hidden { segments_from: None, metas_from: None };

    pub(crate) fn hides(&self, id: FileId) -> bool {
        match id.kind {
            FileKind::Segment => self.segments_from.is_some_and(|from| id.number >= from),
            FileKind::Meta => self.metas_from.is_some_and(|from| id.number >= from),
            FileKind::Import => false,
        }
    }

    fn also(self, mark: &ImportMark) -> Hidden {
        self.and(Hidden {
            segments_from: Some(mark.first_segment),
            metas_from: Some(mark.first_meta),
        })
    }

    pub(crate) fn and(self, other: Hidden) -> Hidden {
        let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
        Hidden {
            segments_from: least(self.segments_from, other.segments_from),
            metas_from: least(self.metas_from, other.metas_from),
        }
    }
}

/// Settles the imports that did not come to their end: takes back their files, or says which a
/// reader must pass over.
pub(crate) fn settle_imports<S: Storage>(
    storage: &S,
    access: Access,
    report: &mut Recovery,
) -> Result<Hidden, StoreError> {
    let mut hidden = Hidden::NOTHING;
    let listed = storage.list()?;
    for id in listed.iter().copied().filter(|id| id.kind == FileKind::Import) {
        let mark = read_mark(storage, id, &listed)?;
        match (mark, access) {
            (Some(mark), Access::Read) => hidden = hidden.also(&mark),
            (Some(mark), Access::Write) => take_back(storage, &mark, &mut report.removed)?,
            (None, Access::Read) => {}
            (None, Access::Write) => {
                storage.remove(id)?;
                report.removed.push(id);
            }
        }
    }
    Ok(hidden)
}

/// The mark in a file; `None` for one that says nothing.
fn read_mark<S: Storage>(
    storage: &S,
    id: FileId,
    listed: &[FileId],
) -> Result<Option<ImportMark>, StoreError> {
    let file = storage.open(id)?;
    let len = file.len()?.min(IMPORT_MARK_LEN as u64 + 1);
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(IMPORT_MARK_LEN)];
    match file.read_exact_at(&mut bytes, 0) {
        // It was emptied just now.
        Err(error) if error.kind() == StorageErrorKind::OutOfBounds => return Ok(None),
        read => read?,
    }
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let fault = match ImportMark::decode(&bytes) {
        Ok(mark) if mark.first_segment == id.number => return Ok(Some(mark)),
        Ok(mark) => {
            let expected = alloc::format!("the number {}", id.number);
            Fault::new(32, expected, alloc::format!("{}", mark.first_segment))
        }
        Err(newer @ HeaderFault::NewerFormat { .. }) => return Err(StoreError::header(id, newer)),
        Err(HeaderFault::Fault(fault)) => fault,
    };
    // The mark is synced before a file is made, so a torn one stands alone.
    let its_own = |other: &FileId| other.kind == FileKind::Segment && other.number >= id.number;
    match listed.iter().any(its_own) {
        true => Err(Corruption::at(id, 0, fault).into()),
        false => Ok(None),
    }
}

fn take_back<S: Storage>(
    storage: &S,
    mark: &ImportMark,
    removed: &mut Vec<FileId>,
) -> Result<(), StorageError> {
    let hidden = Hidden::NOTHING.also(mark);
    for id in storage.list()?.into_iter().filter(|id| hidden.hides(*id)) {
        storage.remove(id)?;
        removed.push(id);
    }
    storage.sync_dir()?;
    let id = FileId::import(mark.first_segment);
    storage.remove(id)?;
    removed.push(id);
    storage.sync_dir()
}
