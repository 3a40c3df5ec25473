//! The single writer of a store: what it holds, how it is opened, and how it starts over.
//!
//! `commit` is the way of a group into the log, `tail` how segments are begun, closed and cleaned.

mod commit;
mod random;
mod tail;

pub use commit::PendingSync;

use crate::format::segment::StoreId;
use crate::index::KeyHasher;
use crate::log::config::{Host, LogConfig};
use crate::log::meta::MetaLog;
use crate::log::reader::{Reader, Readers};
use crate::log::recovery::{Access, Recovered, Recovery, Tail, recover};
use crate::log::seal::FramesHasher;
use crate::log::segments::View;
use crate::log::shared::{Published, Shared};
use crate::log::staged::Group;
use crate::log::zeros::filled_to;
use crate::log::{LogStats, StoreError};
use crate::model::{EventId, Hash, Hlc, Sequence};
use crate::storage::{FileId, Storage, StorageError};
use alloc::sync::Arc;
use random::RandomBytes;

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
    /// What is written, as the writer itself reads it: all that is committed, and the group whose
    /// sync is under way.
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
    /// A group whose sync is under way, and that is not in the index yet.
    written: Group,
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
            written: Group::default(),
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
        self.written.clear();
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

    /// A reader of everything committed so far.
    #[must_use]
    pub fn reader(&self) -> Reader<S> {
        Reader::new(&self.shared)
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
        self.reader().stats()
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
        self.written.clear();
        // What was written and never synced is not there for anyone.
        self.reader.end = self.shared.ends().0;
        StoreError::Poisoned { cause: error }
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
