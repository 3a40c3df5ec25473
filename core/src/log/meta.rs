//! The meta log: small values that belong to the store, such as kind names and checkpoints.
//!
//! All values are in memory; a change is one frame at the end of the newest `.meta` file. A file
//! is appended to only while it is known to be whole, on stable storage and durably named.
//! Otherwise, and when most of it is dead, the values are first written into a fresh file with
//! the next number: whole and synced, the directory synced, then the old file removed. No file
//! exists before something has to be kept. No event depends on any of it.

mod checkpoint;
mod consumer;
mod end;
mod load;
mod values;

pub use checkpoint::CheckpointName;
pub use consumer::ConsumerCheckpoint;
pub(super) use end::KnownEnd;
pub(super) use load::{LoadedMeta, load};
pub(super) use values::{Change, Values};

use crate::format::meta::{MetaEntry, MetaHeader, frame_len, push_frame};
use crate::format::segment::StoreId;
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::recovery::Tail;
use crate::log::writer::Log;
use crate::storage::{FileId, Storage, StorageError, StorageFile};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

/// When a write to the meta log is put on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetaSync {
    /// Before it returns: it survives a power cut.
    #[default]
    Now,
    /// With the next write that says [`Now`](MetaSync::Now), or when the log closes. Until then
    /// it survives the end of the process only. What a power cut leaves is never out of order.
    Later,
}

/// Numbers about the meta log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetaStats {
    /// Keys that have a value.
    pub values: usize,
    /// Bytes that they take up.
    pub live_bytes: usize,
    /// The file; `None` where nothing had to be kept yet.
    pub file: Option<FileId>,
    /// Bytes of the file.
    pub file_bytes: u64,
}

/// See the module.
pub(crate) struct MetaLog<S: Storage> {
    storage: Arc<S>,
    store_id: StoreId,
    values: Values,
    active: Option<ActiveMeta<S>>,
    next_number: u64,
    renewal: Renewal,
    /// Files that a fresh file replaces, besides the active one.
    stale: Vec<FileId>,
    /// The file's length from which on it is renewed for its dead part; more after a failure.
    renew_len_min: u64,
    poison: Option<StorageError>,
    directory_failure: Option<StorageError>,
}

/// The file that is appended to.
pub(crate) struct ActiveMeta<S: Storage> {
    pub(crate) id: FileId,
    pub(crate) file: S::File,
    pub(crate) frame_salt: u32,
    pub(crate) tail: Tail,
    /// Bytes behind the tail may be those of a write that failed.
    pub(crate) soiled: bool,
}

/// Whether the active file may be appended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Renewal {
    /// It may.
    None,
    /// Nothing proves that its name is durable: it must be replaced before anything is added.
    BeforeWrite,
    /// It is damaged, torn or not known to be on stable storage: it is to be replaced at once.
    Due,
}

/// How much of a file is dead before it is written anew: more than this, and three quarters.
const DEAD_LEN_MIN: u64 = 64 * 1024;
/// Entries of a fresh file share frames of about this many bytes, so that one damaged place
/// costs few of them.
const SHARED_FRAME_LEN: usize = 4 * 1024;

impl<S: Storage> MetaLog<S> {
    pub(crate) fn new(storage: Arc<S>, store_id: StoreId, loaded: LoadedMeta<S>) -> Self {
        let LoadedMeta { values, active, next_number, renewal, stale, .. } = loaded;
        MetaLog {
            storage,
            store_id,
            values,
            active,
            next_number,
            renewal,
            stale,
            renew_len_min: 0,
            poison: None,
            directory_failure: None,
        }
    }

    pub(crate) fn values(&self) -> &Values {
        &self.values
    }

    /// The number of the file that is created next.
    pub(crate) fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Puts in order what opening found, and returns the files that were removed.
    ///
    /// A storage that refuses is no reason not to open: the first write tries again. Only a
    /// failed sync of the directory is, which segments depend on too.
    pub(crate) fn settle<H: Host>(&mut self, host: &H) -> Result<Vec<FileId>, StoreError> {
        if self.renewal != Renewal::Due {
            return Ok(Vec::new());
        }
        let replaced = self.replaced_files();
        match (self.renew(host), &self.directory_failure) {
            (Ok(()), _) => {
                let gone = replaced.into_iter().filter(|id| !self.stale.contains(id));
                Ok(gone.collect())
            }
            (Err(error), Some(_)) => Err(error),
            (Err(_), None) => Ok(Vec::new()),
        }
    }

    /// Writes changes as one frame: all of them count, or none.
    pub(crate) fn write<H: Host>(
        &mut self,
        host: &H,
        changes: Vec<Change>,
        sync: MetaSync,
    ) -> Result<(), StoreError> {
        self.check_healthy()?;
        self.values.check(&changes)?;
        if self.values.hold(&changes) {
            return if sync == MetaSync::Now { self.sync(host) } else { Ok(()) };
        }
        if self.active.is_none() || self.renewal != Renewal::None {
            self.renew(host)?;
        }
        self.append(changes.iter().map(Change::entry))?;
        if sync == MetaSync::Now {
            self.sync_active()?;
        }
        for change in changes {
            self.values.apply(change);
        }
        self.renew_if_mostly_dead(host);
        Ok(())
    }

    /// Puts every write so far on stable storage.
    pub(crate) fn sync<H: Host>(&mut self, host: &H) -> Result<(), StoreError> {
        self.check_healthy()?;
        if self.renewal == Renewal::Due { self.renew(host) } else { self.sync_active() }
    }

    /// Removes the projections' values, and writes the rest into a fresh file: the old one has
    /// values that were set long ago, too.
    pub(crate) fn purge_projections<H: Host>(&mut self, host: &H) -> Result<(), StoreError> {
        self.check_healthy()?;
        let prefix = checkpoint::PROJECTION_PREFIX;
        let keys = self.values.behind(prefix).map(|(name, _)| [prefix, name].concat());
        for key in keys.collect::<Vec<_>>() {
            self.values.apply(Change { key, value: None });
        }
        if self.active.is_some() || !self.stale.is_empty() { self.renew(host) } else { Ok(()) }
    }

    /// Ends the file so that the next opening finds it proven whole.
    pub(crate) fn close<H: Host>(&mut self, host: &H) -> Result<(), StoreError> {
        self.check_healthy()?;
        match self.renewal {
            Renewal::None => {}
            Renewal::BeforeWrite => return Ok(()),
            Renewal::Due => return self.renew(host),
        }
        if self.active.as_ref().is_none_or(|active| active.tail.vouched && !active.soiled) {
            return Ok(());
        }
        self.sync_active()?;
        self.append(core::iter::empty())?;
        self.sync_active()?;
        if let Some(active) = &mut self.active {
            active.tail.vouched = true;
        }
        Ok(())
    }

    /// The failure of a sync of the directory, which concerns segments too.
    pub(crate) fn directory_failure(&self) -> Option<&StorageError> {
        self.directory_failure.as_ref()
    }

    pub(crate) fn stats(&self) -> MetaStats {
        MetaStats {
            values: self.values.len(),
            live_bytes: self.values.encoded_len(),
            file: self.active.as_ref().map(|active| active.id),
            file_bytes: self.active.as_ref().map_or(0, |active| active.tail.offset),
        }
    }

    fn append<'a>(
        &mut self,
        entries: impl Iterator<Item = MetaEntry<'a>>,
    ) -> Result<(), StoreError> {
        self.clean_tail()?;
        let Some(active) = &mut self.active else {
            unreachable!("a file is made before it is written to")
        };
        let mut bytes = Vec::new();
        push_frame(&mut bytes, entries, active.tail.synced_len, active.frame_salt);
        if let Err(error) = active.file.write_all_at(&bytes, active.tail.offset) {
            active.soiled = true;
            // It is tried again before the next write if this fails.
            let _ = self.clean_tail();
            return Err(error.into());
        }
        active.tail.offset += bytes.len() as u64;
        active.tail.vouched = false;
        Ok(())
    }

    fn sync_active(&mut self) -> Result<(), StoreError> {
        let Some(active) = &mut self.active else { return Ok(()) };
        if active.tail.synced_len == active.tail.offset {
            return Ok(());
        }
        if let Err(error) = active.file.sync_data() {
            return Err(self.poisoned_by(error));
        }
        active.tail.synced_len = active.tail.offset;
        Ok(())
    }

    /// Cuts off what a failed write may have left, so that no stale frame is ever found there.
    /// The cut is synced: else a power cut could keep what failed and lose what came next.
    fn clean_tail(&mut self) -> Result<(), StoreError> {
        let Some(active) = self.active.as_mut().filter(|active| active.soiled) else {
            return Ok(());
        };
        active.file.set_len(active.tail.offset)?;
        if let Err(error) = active.file.sync_data() {
            return Err(self.poisoned_by(error));
        }
        active.tail.synced_len = active.tail.offset;
        active.soiled = false;
        Ok(())
    }

    fn renew_if_mostly_dead<H: Host>(&mut self, host: &H) {
        let Some(active) = &self.active else { return };
        let file_len = active.tail.offset;
        let dead_len = file_len.saturating_sub(self.values.encoded_len() as u64);
        if dead_len <= DEAD_LEN_MIN || dead_len / 3 <= file_len / 4 || file_len < self.renew_len_min
        {
            return;
        }
        // What was written stands in the old file; a fresh one can wait.
        if self.renew(host).is_err() {
            self.renew_len_min = file_len.saturating_add(DEAD_LEN_MIN);
        }
    }

    /// Writes all values into a fresh file, which replaces those before.
    fn renew<H: Host>(&mut self, host: &H) -> Result<(), StoreError> {
        self.check_healthy()?;
        let (header, bytes) = self.compose(host);
        let id = FileId::meta(header.number);
        let file = self.storage.create(id)?;
        self.next_number += 1;
        if let Err(error) = file.write_all_at(&bytes, 0).and_then(|()| file.sync_data()) {
            drop(file);
            return Err(self.abandon(id, error));
        }
        if let Err(error) = self.storage.sync_dir() {
            return Err(self.directory_failed(error));
        }
        let replaced = self.replaced_files();
        let tail = Tail { offset: header.whole_len, synced_len: header.whole_len, vouched: false };
        let frame_salt = header.frame_salt();
        self.active = Some(ActiveMeta { id, file, frame_salt, tail, soiled: false });
        self.renewal = Renewal::None;
        self.renew_len_min = 0;
        // One that can't be removed now no longer counts, and opening removes it.
        self.stale = replaced;
        self.stale.retain(|id| self.storage.remove(*id).is_err());
        Ok(())
    }

    /// A fresh file of all values.
    fn compose<H: Host>(&self, host: &H) -> (MetaHeader, Vec<u8>) {
        compose(host, self.store_id, self.next_number, &self.values)
    }

    fn replaced_files(&self) -> Vec<FileId> {
        let active = self.active.iter().map(|active| active.id);
        self.stale.iter().copied().chain(active).collect()
    }

    /// Takes a fresh file back. Only when its name is durably gone may the old file go on: a
    /// power cut could bring it back, and the newest whole file counts.
    fn abandon(&mut self, id: FileId, cause: StorageError) -> StoreError {
        if let Err(error) = self.storage.remove(id) {
            return self.poisoned_by(error);
        }
        match self.storage.sync_dir() {
            Ok(()) => cause.into(),
            Err(error) => self.directory_failed(error),
        }
    }

    fn directory_failed(&mut self, error: StorageError) -> StoreError {
        self.directory_failure = Some(error.clone());
        self.poisoned_by(error)
    }

    fn poisoned_by(&mut self, error: StorageError) -> StoreError {
        self.poison = Some(error.clone());
        StoreError::Poisoned { cause: error }
    }

    fn check_healthy(&self) -> Result<(), StoreError> {
        match &self.poison {
            Some(cause) => Err(StoreError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }
}

/// Keys and values that go with the events to another place.
pub(crate) type Travelling = Vec<(Vec<u8>, Vec<u8>)>;

/// Whether a value goes with the events to another place: names of kinds, which events are read
/// by, and checkpoints of consumers, which else would do everything once more. What projections
/// have computed can be computed again.
pub(crate) fn travels(key: &[u8]) -> bool {
    key.starts_with(b"k/") || is_consumer(key)
}

pub(crate) fn is_consumer(key: &[u8]) -> bool {
    key.starts_with(b"c/")
}

/// Writes values into a file of their own, whole and synced; its name is not durable yet.
pub(super) fn write_fresh<S: Storage, H: Host>(
    storage: &S,
    host: &H,
    store_id: StoreId,
    number: u64,
    values: &Values,
) -> Result<(), StorageError> {
    let (_, bytes) = compose(host, store_id, number, values);
    let id = FileId::meta(number);
    let file = storage.create(id)?;
    file.write_all_at(&bytes, 0).and_then(|()| file.sync_data()).inspect_err(|_| {
        // It would be in the way of another try.
        let _ = storage.remove(id);
    })
}

fn compose<H: Host>(
    host: &H,
    store_id: StoreId,
    number: u64,
    values: &Values,
) -> (MetaHeader, Vec<u8>) {
    let mut salt = [0; 4];
    host.fill_random(&mut salt);
    let mut header = MetaHeader { store_id, number, whole_len: 0, salt: u32::from_le_bytes(salt) };
    let mut bytes = header.encode().to_vec();
    let mut shared: Vec<MetaEntry<'_>> = Vec::new();
    let mut entries_len = 0;
    for entry in values.entries() {
        if frame_len(entries_len + entry.encoded_len()) > SHARED_FRAME_LEN && !shared.is_empty() {
            push_frame(&mut bytes, shared.drain(..), 0, header.frame_salt());
            entries_len = 0;
        }
        entries_len += entry.encoded_len();
        shared.push(entry);
    }
    if !shared.is_empty() {
        push_frame(&mut bytes, shared.drain(..), 0, header.frame_salt());
    }
    header.whole_len = bytes.len() as u64;
    bytes[..header.encode().len()].copy_from_slice(&header.encode());
    (header, bytes)
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Numbers about the meta log.
    #[must_use]
    pub fn meta_stats(&self) -> MetaStats {
        self.meta.stats()
    }

    /// Puts every write to the meta log that said [`MetaSync::Later`] on stable storage.
    ///
    /// # Errors
    ///
    /// A storage error, after which no write to the meta log is taken until the store is opened
    /// again.
    pub fn sync_meta(&mut self) -> Result<(), StoreError> {
        self.with_meta(MetaLog::sync)
    }

    /// Names of kinds and, if wanted, checkpoints of consumers.
    pub(crate) fn travelling_values(&self, consumers: bool) -> Travelling {
        self.meta.values().travelling(consumers)
    }

    /// Makes sure that what opening found is on stable storage, where that is in doubt still.
    pub(super) fn confirm_meta(&mut self) -> Result<(), StoreError> {
        if self.meta.renewal == Renewal::Due { self.with_meta(MetaLog::renew) } else { Ok(()) }
    }

    pub(super) fn write_meta(
        &mut self,
        changes: Vec<Change>,
        sync: MetaSync,
    ) -> Result<(), StoreError> {
        self.with_meta(|meta, host| meta.write(host, changes, sync))
    }

    /// Forgets what projections have computed, and sees to it that no file has it any more.
    pub(super) fn purge_projections(&mut self) -> Result<(), StoreError> {
        self.with_meta(MetaLog::purge_projections)
    }

    /// Takes over the values of another store's meta log, but for those of projections.
    pub(super) fn restore_meta(&mut self, values: &Values) -> Result<(), StoreError> {
        // Where a damaged store ended says nothing of one that is made of what is left of it.
        let stays = |key: &[u8]| key.starts_with(checkpoint::PROJECTION_PREFIX) || key == end::KEY;
        for entry in values.entries().filter(|entry| !stays(entry.key)) {
            let (key, value) = (entry.key.to_vec(), entry.value.map(<[u8]>::to_vec));
            self.write_meta(vec![Change { key, value }], MetaSync::Later)?;
        }
        self.sync_meta()
    }

    /// The value of a key of the store's own.
    pub(super) fn meta_value(&self, key: &[u8]) -> Option<&[u8]> {
        self.meta.values().get(key)
    }

    /// The files of the meta log that no longer count, and that could not be removed yet.
    pub(super) fn stale_meta_files(&self) -> &[FileId] {
        &self.meta.stale
    }

    /// Puts in order what opening found.
    pub(super) fn settle_meta(&mut self) -> Result<(), StoreError> {
        let removed = self.with_meta(MetaLog::settle)?;
        self.recovery.removed.extend(removed);
        Ok(())
    }

    /// Runs `act` on the meta log. The two logs share the directory: when syncing it fails for
    /// one of them, the other takes no more writes either.
    pub(super) fn with_meta<T>(
        &mut self,
        act: impl FnOnce(&mut MetaLog<S>, &H) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.check_healthy()?;
        let next_number = self.meta.next_number();
        let done = act(&mut self.meta, &self.host);
        if let Some(cause) = self.meta.directory_failure() {
            self.poison.get_or_insert_with(|| cause.clone());
        }
        if self.meta.next_number() != next_number {
            self.announce();
        }
        done
    }
}
