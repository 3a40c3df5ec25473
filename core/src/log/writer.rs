//! The single writer of a store.

use crate::format::frame::{self, FRAME_ALIGN};
use crate::format::segment::{SEGMENT_FOOTER_LEN, SegmentHeader, StoreId};
use crate::index::GrowingIndex;
use crate::index::KeyHasher;
use crate::log::config::{Durability, Host, LogConfig};
use crate::log::meta::MetaLog;
use crate::log::reader::{Reader, Readers};
use crate::log::recovery::{Access, Recovered, Recovery, Tail, recover, rewrite};
use crate::log::seal::FramesHasher;
use crate::log::segments::{ActiveSegment, Life, View};
use crate::log::shared::{Published, Shared};
use crate::log::staged::{CommitInfo, Group, Staged};
use crate::log::zeros::filled_to;
use crate::log::{LogStats, StoreError};
use crate::model::{Append, AppendCondition, AppendReceipt, Batch, EventId, Hash, Hlc, Sequence};
use crate::storage::{FileId, Storage, StorageError, StorageFile};
use crate::sync::RwLock;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

/// The single writer of a store over any [`Storage`].
///
/// Programs use `Store` of the `annals` crate, which adds threads; this is what it, the browser
/// and the tests are built on. Appends go through two steps, so that many callers can share one
/// write and one sync: [`stage`](Log::stage) checks and encodes, [`commit`](Log::commit) writes.
///
/// # Examples
///
/// ```
/// use annals_core::{Append, Coordinate, EventKind, Host, Log, LogConfig, MemoryStorage, Payload};
///
/// struct Fixed;
/// impl Host for Fixed {
///     fn now_us(&self) -> i64 {
///         1_700_000_000_000_000
///     }
///     fn fill_random(&self, buffer: &mut [u8]) {
///         buffer.fill(7); // A real host takes it from the system.
///     }
/// }
///
/// const PLACED: EventKind = EventKind::new(1, 1);
/// let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
/// let order = Coordinate::new("order:5", "shop")?;
/// let receipt = log.append(&Append::new(order, PLACED, Payload::raw("two apples")))?;
/// assert_eq!(log.reader().get(receipt.id)?.coordinate.entity(), "order:5");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Log<S: Storage, H: Host> {
    pub(super) storage: Arc<S>,
    pub(super) host: H,
    pub(super) config: LogConfig,
    pub(super) shared: Arc<Shared<S>>,
    /// What is committed, as the writer itself reads it.
    pub(super) reader: Reader<S>,
    pub(super) durable_end: Sequence,
    pub(super) hlc: Hlc,
    committed_hlc: Hlc,
    pub(super) tail: Tail,
    /// Where the file ends: between the tail and there are zeros.
    pub(super) filled_to: u64,
    /// Bytes behind the tail may be those of a write that failed.
    pub(super) soiled: bool,
    pub(super) frames: FramesHasher,
    pub(super) group: Group,
    pub(super) next_number: u64,
    pub(super) poison: Option<StorageError>,
    /// The store was found closed: whether what the close wrote last is on stable storage is not
    /// known.
    close_unsure: bool,
    pub(super) meta: MetaLog<S>,
    pub(super) recovery: Recovery,
    random: RandomBytes,
}

impl<S: Storage, H: Host> core::fmt::Debug for Log<S, H> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Log").field("end", &self.reader.end).finish_non_exhaustive()
    }
}

impl<S: Storage, H: Host> Log<S, H> {
    /// Opens the store in `storage` for writing, or begins a new one.
    ///
    /// # Errors
    ///
    /// Corruption, a newer format, limits of `config`, storage errors. Nothing was changed then,
    /// but for files that were half-made.
    pub fn open(storage: S, host: H, config: LogConfig) -> Result<Self, StoreError> {
        config.check()?;
        let storage = Arc::new(storage);
        let recovered = recover(&storage, Access::Write, KeyHasher::new)?;
        let mut log = Log::from_recovered(storage, host, config, recovered);
        log.settle_meta()?;
        Ok(log)
    }

    fn from_recovered(
        storage: Arc<S>,
        host: H,
        config: LogConfig,
        recovered: Recovered<S>,
    ) -> Self {
        let Recovered { store_id, view, end, hlc, next_number, tail, mut meta, report, .. } =
            recovered;
        let store_id = store_id.unwrap_or_else(|| {
            let mut bytes = [0; 16];
            host.fill_random(&mut bytes);
            StoreId::from_bytes(bytes)
        });
        let frames = FramesHasher::behind(
            view.active.as_ref().map_or(0, |active| active.header.encoded_len()),
        );
        let (close_unsure, filled_to) = (close_unsure(&view, tail), filled_to(&view));
        let published = Published { view: Arc::new(view), end, durable_end: end };
        let shared = Arc::new(Shared::new(store_id, config.index_cache_bytes, published));
        *shared.names.write() = core::mem::take(&mut meta.names);
        let log = Log {
            meta: MetaLog::new(Arc::clone(&storage), store_id, meta),
            reader: Reader::new(&shared),
            storage,
            host,
            config,
            shared,
            durable_end: end,
            hlc,
            committed_hlc: hlc,
            tail,
            filled_to,
            soiled: false,
            frames,
            group: Group::default(),
            next_number,
            poison: None,
            close_unsure,
            recovery: report,
            random: RandomBytes::default(),
        };
        log.announce();
        log
    }

    /// Starts over from what the storage holds, as opening does. Readers go on and see it when
    /// they are refreshed. This is for hosts that caught a panic of theirs, or of the storage's,
    /// in the middle of a call: whatever that call had staged is forgotten.
    ///
    /// # Errors
    ///
    /// As [`open`](Log::open). The log must not be written to then; readers go on.
    pub fn reopen(&mut self) -> Result<(), StoreError> {
        self.discard();
        let recovered = recover(&self.storage, Access::Write, KeyHasher::new)?;
        let Recovered { view, end, hlc, next_number, tail, mut meta, report, .. } = recovered;
        *self.shared.names.write() = core::mem::take(&mut meta.names);
        self.meta = MetaLog::new(Arc::clone(&self.storage), self.shared.store_id, meta);
        let header_len = view.active.as_ref().map_or(0, |active| active.header.encoded_len());
        self.frames = FramesHasher::behind(header_len);
        self.hlc = self.committed_hlc.max(hlc);
        self.committed_hlc = self.hlc;
        self.next_number = self.next_number.max(next_number);
        (self.tail, self.filled_to, self.soiled) = (tail, filled_to(&view), false);
        (self.durable_end, self.recovery) = (end, report);
        self.close_unsure = close_unsure(&view, tail);
        let view = Arc::new(view);
        (self.reader.view, self.reader.end) = (Arc::clone(&view), end);
        self.shared.publish(|published| *published = Published { view, end, durable_end: end });
        self.announce();
        self.settle_meta()
    }

    /// What opening found and did.
    #[must_use]
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// Where its files are.
    #[must_use]
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The identity of the store.
    #[must_use]
    pub fn store_id(&self) -> StoreId {
        self.shared.store_id
    }

    /// Appends one event.
    ///
    /// # Errors
    ///
    /// As [`stage`](Log::stage) and [`commit`](Log::commit).
    pub fn append(&mut self, append: &Append) -> Result<AppendReceipt, StoreError> {
        let receipts = self.append_items(core::slice::from_ref(append), None)?;
        Ok(receipts.into_iter().next().expect("one receipt for one event"))
    }

    /// Appends a batch, all of it or nothing.
    ///
    /// # Errors
    ///
    /// As [`stage`](Log::stage) and [`commit`](Log::commit).
    pub fn append_batch(&mut self, batch: &Batch) -> Result<Vec<AppendReceipt>, StoreError> {
        self.append_items(batch.items(), batch.condition())
    }

    fn append_items(
        &mut self,
        items: &[Append],
        condition: Option<&AppendCondition>,
    ) -> Result<Vec<AppendReceipt>, StoreError> {
        // What somebody else has staged goes its own way first.
        self.commit(|_, _| {})?;
        let staged = self.stage(items, condition)?;
        self.commit_staged(staged)
    }

    /// Appends an event of the store's own, whose kind nobody else may append.
    pub(super) fn append_own(&mut self, append: &Append) -> Result<AppendReceipt, StoreError> {
        self.commit(|_, _| {})?;
        let staged = self.stage_any(core::slice::from_ref(append), None)?;
        let receipts = self.commit_staged(staged)?;
        Ok(receipts.into_iter().next().expect("one receipt for one event"))
    }

    /// Commits a batch that was staged just now, alone.
    fn commit_staged(&mut self, staged: Staged) -> Result<Vec<AppendReceipt>, StoreError> {
        match staged {
            Staged::Known(receipts) => Ok(receipts),
            Staged::Full => unreachable!("nothing is staged"),
            Staged::Group(range) => {
                let mut receipts = Vec::with_capacity(range.len());
                self.commit(|log, info| receipts.extend(log.receipts(range.clone(), info)))?;
                Ok(receipts)
            }
        }
    }

    /// The receipts of staged events; to be asked for from within [`commit`](Log::commit).
    pub fn receipts(
        &self,
        range: Range<usize>,
        info: CommitInfo,
    ) -> impl Iterator<Item = AppendReceipt> {
        let events = self.group.events.get(range).unwrap_or_default();
        events.iter().map(move |event| event.receipt(info.durable))
    }

    /// Whether anything is staged.
    #[must_use]
    pub fn has_staged(&self) -> bool {
        !self.group.is_empty()
    }

    /// Bytes that the next commit will write.
    #[must_use]
    pub fn staged_bytes(&self) -> usize {
        self.group.bytes.len()
    }

    /// Whether a batch of this many bytes would have to wait for a new segment, so that what is
    /// staged should be committed first.
    fn overflows(&self, bound: usize) -> bool {
        let end = self.tail.offset + self.group.bytes.len() as u64 + bound as u64;
        let begun = self.tail.offset > self.header_len() || !self.group.is_empty();
        begun && end > self.config.segment_max_bytes
    }

    /// Writes all that is staged, in one go, syncs it if the durability asks for that, makes it
    /// visible, and lets `answer` take its receipts.
    ///
    /// # Errors
    ///
    /// A storage error: nothing that was staged is visible, and appending may be tried again.
    /// After a failed sync every later append answers [`StoreError::Poisoned`].
    pub fn commit(&mut self, answer: impl FnOnce(&Self, CommitInfo)) -> Result<(), StoreError> {
        if self.group.is_empty() {
            return Ok(());
        }
        let unsynced_events = self.staged_end().get() - self.durable_end.get();
        let sync = match self.config.durability {
            Durability::Durable => true,
            Durability::EveryN(n) => unsynced_events >= u64::from(n.get()),
            Durability::OnSync => false,
        };
        if let Err(error) = self.write_group(sync) {
            self.discard();
            return Err(error);
        }
        self.publish_group(sync);
        answer(self, CommitInfo { durable: sync });
        self.group.clear();
        Ok(())
    }

    /// Forgets all that is staged.
    pub fn discard(&mut self) {
        self.group.clear();
        self.hlc = self.committed_hlc;
    }

    fn write_group(&mut self, sync: bool) -> Result<(), StoreError> {
        let Some(active) = self.reader.view.active.clone() else {
            unreachable!("staging makes the active segment")
        };
        self.make_close_sure()?;
        self.clean_tail(&active)?;
        if let Err(error) = active.file.write_all_at(&self.group.bytes, self.tail.offset) {
            self.soiled = true;
            // It is tried again before the next write if this fails.
            let _ = self.clean_tail(&active);
            return Err(error.into());
        }
        if sync {
            self.write_zeros(&active);
            active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
        }
        Ok(())
    }

    /// Cuts off what a failed write may have left, so that no stale frame or footer is ever found
    /// there. The cut is synced before anything is written in its place: else a power cut could
    /// undo the cut and keep the new bytes, with stale frames right behind them.
    pub(super) fn clean_tail(&mut self, active: &ActiveSegment<S>) -> Result<(), StoreError> {
        if self.soiled {
            self.cut(active, self.tail.offset)?;
            active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
            self.soiled = false;
        }
        Ok(())
    }

    fn publish_group(&mut self, synced: bool) {
        let view = Arc::clone(&self.reader.view);
        let active = view.active.as_ref().expect("written to just now");
        let base = self.tail.offset;
        self.tail.offset += self.group.bytes.len() as u64;
        self.tail.vouched = false;
        self.frames.extend(&self.group.bytes);
        let mut index = active.index.write();
        for event in &self.group.events {
            let pushed = index.push(&event.index_entry(base));
            pushed.expect("staging keeps sequences and versions rising");
        }
        index.set_frames_end(self.tail.offset);
        drop(index);
        self.reader.end = self.staged_end();
        self.committed_hlc = self.hlc;
        if synced {
            self.tail.synced_len = self.tail.offset;
            self.durable_end = self.reader.end;
        }
        let (end, durable_end) = (self.reader.end, self.durable_end);
        self.shared.publish(|published| {
            published.end = end;
            published.durable_end = durable_end;
        });
    }

    /// Puts everything appended so far on stable storage and returns the sequence behind it.
    ///
    /// # Errors
    ///
    /// A storage error, after which the writer is poisoned.
    pub fn sync(&mut self) -> Result<Sequence, StoreError> {
        self.check_healthy()?;
        if let Some(pending) = self.begin_sync() {
            let done = pending.run();
            self.finish_sync(&pending, done)?;
        }
        Ok(self.durable_end)
    }

    /// What a sync has to cover now; `None` where everything is on stable storage, or where a
    /// sync failed and no other may be tried.
    ///
    /// The sync itself may run beside appends: [`PendingSync::run`], then
    /// [`finish_sync`](Log::finish_sync).
    pub fn begin_sync(&self) -> Option<PendingSync<S>> {
        let active = self.reader.view.active.as_ref()?;
        let due = self.poison.is_none() && self.durable_end < self.reader.end;
        due.then(|| PendingSync {
            file: Arc::clone(&active.file),
            number: active.header.number,
            len: self.tail.offset,
            end: self.reader.end,
        })
    }

    /// Notes how a sync ended.
    ///
    /// # Errors
    ///
    /// The sync's own, after which the writer is poisoned.
    pub fn finish_sync(
        &mut self,
        pending: &PendingSync<S>,
        done: Result<(), StorageError>,
    ) -> Result<(), StoreError> {
        if let Err(error) = done {
            return Err(self.poisoned_by(error));
        }
        // Beside a sync that failed, one that succeeded proves nothing.
        self.check_healthy()?;
        if self.active_number() == Some(pending.number) {
            self.tail.synced_len = self.tail.synced_len.max(pending.len);
        }
        self.note_durable(pending.end);
        Ok(())
    }

    pub(super) fn note_durable(&mut self, end: Sequence) {
        self.durable_end = self.durable_end.max(end);
        let durable_end = self.durable_end;
        self.shared.publish(|published| published.durable_end = durable_end);
    }

    /// The sequence behind the last event known to be on stable storage.
    #[must_use]
    pub fn durable_end(&self) -> Sequence {
        self.durable_end
    }

    /// A reader of everything committed so far.
    #[must_use]
    pub fn reader(&self) -> Reader<S> {
        self.reader.clone()
    }

    /// Gives out such readers, now and later.
    #[must_use]
    pub fn readers(&self) -> Readers<S> {
        Readers::new(&self.shared)
    }

    /// Numbers about the store.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption met while reading the indexes.
    pub fn stats(&self) -> Result<LogStats, StoreError> {
        self.reader.stats()
    }

    /// Closes the store so that it opens fast: all is synced, a large segment is sealed, a small
    /// one ends with a frame that vouches for it.
    ///
    /// # Errors
    ///
    /// Storage errors. Nothing acknowledged is lost then; opening recovers.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.close_in_place()
    }

    /// As [`close`](Log::close), for owners that can't give the log away. Appending afterwards
    /// is fine.
    ///
    /// # Errors
    ///
    /// As [`close`](Log::close).
    pub fn close_in_place(&mut self) -> Result<(), StoreError> {
        self.sync()?;
        self.close_segments()?;
        self.note_end()?;
        self.with_meta(MetaLog::close)
    }

    fn close_segments(&mut self) -> Result<(), StoreError> {
        let Some(active) = self.reader.view.active.clone() else { return Ok(()) };
        self.clean_tail(&active)?;
        if self.tail.offset >= self.config.seal_on_close_bytes.max(self.header_len() + 1)
            && active.index.read().event_count() > 0
        {
            return self.seal();
        }
        if !self.tail.vouched {
            self.write_vouching_frame(&active)?;
        }
        // Gives back what was preallocated.
        if active.file.len()? > self.tail.offset {
            self.cut(&active, self.tail.offset)?;
            active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
        }
        Ok(())
    }

    fn write_vouching_frame(&mut self, active: &ActiveSegment<S>) -> Result<(), StoreError> {
        self.make_close_sure()?;
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        let synced_len = self.tail.offset;
        frame::finish(&mut bytes, start, self.reader.end, synced_len, 0, active.header.salt);
        if let Err(error) = active.file.write_all_at(&bytes, self.tail.offset) {
            self.soiled = true;
            return Err(error.into());
        }
        active.file.sync_data().map_err(|error| self.poisoned_by(error))?;
        self.frames.extend(&bytes);
        self.tail.offset += bytes.len() as u64;
        self.tail = Tail { synced_len: self.tail.offset, vouched: true, ..self.tail };
        active.index.write().set_frames_end(self.tail.offset);
        Ok(())
    }

    /// Sees to it that a frame of at most `bound` bytes fits the active segment; `false` where
    /// what is staged must be committed first.
    pub(super) fn make_room(&mut self, bound: usize) -> Result<bool, StoreError> {
        if self.overflows(bound) {
            if !self.group.is_empty() {
                return Ok(false);
            }
            self.seal()?;
        }
        if self.reader.view.active.is_none() {
            self.begin_segment()?;
        }
        Ok(true)
    }

    fn begin_segment(&mut self) -> Result<(), StoreError> {
        self.make_close_sure()?;
        let mut salt = [0; 4];
        self.host.fill_random(&mut salt);
        let header = SegmentHeader {
            store_id: self.shared.store_id,
            number: self.next_number,
            base_sequence: self.reader.end,
            created_us: self.host.now_us(),
            salt: u32::from_le_bytes(salt),
            prev_chain_hash: self.last_chain_hash(),
            replaces: Vec::new(),
        };
        let id = FileId::segment(header.number);
        let file = self.storage.create(id)?;
        self.next_number += 1;
        if let Err(error) = write_header(&file, &header) {
            // Opening removes it otherwise: it has no frame.
            let _ = self.storage.remove(id);
            return Err(error.into());
        }
        if let Err(error) = file.sync_data().and_then(|()| self.storage.sync_dir()) {
            return Err(self.poisoned_by(error));
        }
        let len = header.encoded_len();
        self.tail = Tail { offset: len as u64, synced_len: len as u64, vouched: false };
        self.filled_to = file.len()?;
        self.soiled = false;
        self.frames = FramesHasher::new(len);
        let index = RwLock::new(GrowingIndex::new(self.shared.hasher));
        let life = Life::new(header.number, &self.storage);
        let active = ActiveSegment { header, file: Arc::new(file), life, index };
        let sealed = self.reader.view.sealed.clone();
        self.set_view(View { sealed, active: Some(Arc::new(active)) });
        self.announce();
        Ok(())
    }

    /// Removes the active segment if it holds no event.
    pub(super) fn drop_eventless_segment(&mut self) -> Result<(), StoreError> {
        let Some(active) = self.reader.view.active.clone() else { return Ok(()) };
        if active.index.read().event_count() > 0 {
            return Ok(());
        }
        self.storage.remove(FileId::segment(active.header.number))?;
        self.storage.sync_dir().map_err(|error| self.poisoned_by(error))?;
        let sealed = self.reader.view.sealed.clone();
        self.set_view(View { sealed, active: None });
        Ok(())
    }

    /// Writes and syncs once more what closed the store: the frame that vouches, or the seal. The
    /// sync of it may have failed or never happened, and nothing may stand behind it that is
    /// more durable. To be called before anything is written behind it.
    pub(super) fn make_close_sure(&mut self) -> Result<(), StoreError> {
        if !self.close_unsure {
            return Ok(());
        }
        let view = Arc::clone(&self.reader.view);
        let (file, from, to) = match (&view.active, view.sealed.last()) {
            (Some(active), _) => (&active.file, self.tail.synced_len, self.tail.offset),
            (None, Some(sealed)) => {
                sealed.mend_index(self.shared.hasher)?;
                let from = sealed.footer.frames_end;
                let footer_at = from.saturating_add(sealed.footer.index_len);
                (&sealed.file, from, footer_at.saturating_add(SEGMENT_FOOTER_LEN as u64))
            }
            (None, None) => return Ok(()),
        };
        rewrite(&**file, from, to)?;
        file.sync_data().map_err(|error| self.poisoned_by(error))?;
        if view.active.is_some() {
            self.tail.synced_len = to;
        }
        self.close_unsure = false;
        Ok(())
    }

    pub(super) fn set_view(&mut self, view: View<S>) {
        let view = Arc::new(view);
        self.reader.view = Arc::clone(&view);
        self.shared.publish(|published| published.view = view);
    }

    /// Tells the storage which files come next.
    pub(super) fn announce(&self) {
        let meta = FileId::meta(self.meta.next_number());
        self.storage.prepare(&[FileId::segment(self.next_number), meta]);
    }

    pub(super) fn check_healthy(&self) -> Result<(), StoreError> {
        match &self.poison {
            Some(cause) => Err(StoreError::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn poisoned_by(&mut self, error: StorageError) -> StoreError {
        self.poison = Some(error.clone());
        self.discard();
        StoreError::Poisoned { cause: error }
    }

    /// The sequence behind the last staged event.
    pub(super) fn staged_end(&self) -> Sequence {
        self.group.events.last().map_or(self.reader.end, |event| event.sequence.next())
    }

    pub(super) fn new_id(&mut self, now_us: i64) -> EventId {
        EventId::v7(now_us, self.random.take(&self.host))
    }

    pub(super) fn salt(&self) -> u32 {
        self.reader.view.active.as_ref().map_or(0, |active| active.header.salt)
    }

    pub(super) fn active_file_id(&self) -> FileId {
        FileId::segment(self.active_number().unwrap_or(self.next_number))
    }

    fn active_number(&self) -> Option<u64> {
        self.reader.view.active.as_ref().map(|active| active.header.number)
    }

    fn header_len(&self) -> u64 {
        self.reader.view.active.as_ref().map_or(0, |active| active.header.encoded_len() as u64)
    }

    fn last_chain_hash(&self) -> Hash {
        self.reader.view.sealed.last().map_or(Hash::ZERO, |sealed| sealed.footer.chain_hash)
    }
}

/// Whether what stands last may be on no disk.
fn close_unsure<S: Storage>(view: &View<S>, tail: Tail) -> bool {
    match view.active {
        Some(_) => tail.synced_len < tail.offset,
        None => !view.sealed.is_empty(),
    }
}

fn write_header<F: StorageFile>(file: &F, header: &SegmentHeader) -> Result<(), StorageError> {
    let bytes = header.encode();
    assert!(bytes.len().is_multiple_of(FRAME_ALIGN), "frames start aligned");
    file.write_all_at(&bytes, 0)
}

/// A sync that may run while appends go on.
pub struct PendingSync<S: Storage> {
    file: Arc<S::File>,
    number: u64,
    len: u64,
    end: Sequence,
}

impl<S: Storage> core::fmt::Debug for PendingSync<S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PendingSync").field("end", &self.end).finish_non_exhaustive()
    }
}

impl<S: Storage> PendingSync<S> {
    /// Syncs. To be given to [`Log::finish_sync`].
    ///
    /// # Errors
    ///
    /// The storage's.
    pub fn run(&self) -> Result<(), StorageError> {
        self.file.sync_data()
    }
}

/// Random bytes, asked of the host in bulk.
#[derive(Debug)]
struct RandomBytes {
    bytes: [u8; 640],
    used: usize,
}

impl Default for RandomBytes {
    fn default() -> Self {
        RandomBytes { bytes: [0; 640], used: 640 }
    }
}

impl RandomBytes {
    fn take<H: Host>(&mut self, host: &H) -> [u8; 10] {
        if self.used == self.bytes.len() {
            host.fill_random(&mut self.bytes);
            self.used = 0;
        }
        let mut taken = [0; 10];
        taken.copy_from_slice(&self.bytes[self.used..self.used + 10]);
        self.used += 10;
        taken
    }
}
