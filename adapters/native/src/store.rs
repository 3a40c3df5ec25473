//! The store that programs use: one directory, one writer, any number of threads.
//!
//! `store.rs` opens and closes it, `write` and `read` are what it does, `commit` is how many
//! threads share one write and one sync.

mod background;
mod commit;
mod erase;
mod follow;
mod keep;
mod led;
mod policy;
mod project;
mod read;
mod request;
mod signal;
mod sync;
mod ticket;
mod transfer;
mod watch;
mod worker;
mod write;

pub use background::BackgroundCompaction;
pub use follow::{
    CommitMode, Consumer, ConsumerConfig, ConsumerError, ConsumerStatus, Follow, FollowError,
    ReactConfig, ReactError, ReactSource, ReactSummary, Reactor, RegionChange, StartAt,
    Subscription,
};
pub use policy::{GuardedStore, PolicyError, StateCheck, TransitionOptions};
pub use ticket::{BatchTicket, Ticket};
pub use watch::Watch;

use crate::config::{Durability, StoreConfig};
use crate::fs_storage::{FsOpenError, FsStorage};
use crate::host::SystemHost;
use annals_core::{
    EventKind, MemoryStorage, NoCache, ProjectionCache, ReadOnlyLog, Recovery, Storage, StoreError,
    StoreId,
};
use background::BackgroundThread;
use commit::Committer;
use parking_lot::{Mutex, RwLock};
use project::Projecting;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use worker::{Bell, Worker};

/// An event store in a directory, or in any [`Storage`] that threads can share.
///
/// All methods take `&self`: share it by reference or in an [`Arc`]. Many threads may append and
/// read at once; concurrent appends share one write and one sync. Dropping a store closes it, and
/// loses nothing that was acknowledged even if closing fails.
///
/// # Examples
///
/// ```
/// use annals::{Coordinate, EventKind, Region, Store, StoreConfig};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = Store::open(StoreConfig::new(path))?;
/// let order = Coordinate::new("order:5", "shop")?;
/// store.append(&order, EventKind::new(1, 1), &"two apples")?;
/// store.append(&order, EventKind::new(1, 2), &"paid")?;
///
/// let events: Vec<_> = store.stream("order:5").collect::<Result<_, _>>()?;
/// assert_eq!(events[1].decode::<String>()?, "paid");
/// assert_eq!(store.query(&Region::all().scope("shop")).count(), 2);
/// store.close()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Store<S: Storage = FsStorage> {
    inner: Arc<Inner<S>>,
    workers: Mutex<Workers>,
    /// Compactions that run on threads of their own.
    compactions: Mutex<Vec<BackgroundThread>>,
    bell: Bell,
    recovery: Recovery,
    store_id: StoreId,
    /// The names of kinds that this handle has registered.
    names: RwLock<BTreeMap<EventKind, &'static str>>,
}

/// Held so that they stop with the store.
#[derive(Debug, Default)]
struct Workers {
    leader: Option<Worker>,
    interval: Option<Worker>,
    saver: Option<Worker>,
}

/// What the store's threads share.
pub(crate) struct Inner<S: Storage> {
    committer: Committer<S>,
    /// Held by the one compaction or erasure that runs.
    compacting: Mutex<()>,
    subscription_capacity: usize,
    /// The consumers that somebody holds, by name.
    consumers: Mutex<BTreeSet<String>>,
    projecting: Projecting,
}

impl<S: Storage> Inner<S> {
    fn close(&self) -> Result<(), StoreError> {
        if !self.committer.is_closed() {
            self.projecting.save(&self.committer);
        }
        self.committer.close()
    }
}

impl<S: Storage> std::fmt::Debug for Store<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let workers = &*self.workers.lock();
        f.debug_struct("Store")
            .field("id", &self.store_id)
            .field("workers", workers)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `config.data_dir`, or begins one there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] where another writer has it; [`StoreError::Corruption`] with file
    /// and offset; [`StoreError::NewerFormat`]; storage errors.
    pub fn open(config: StoreConfig) -> Result<Self, StoreError> {
        Store::open_with_cache(config, NoCache)
    }

    /// As [`open`](Store::open), with a cache for projections: a
    /// [`MemoryCache`](crate::MemoryCache), a [`CheckpointCache`](crate::CheckpointCache) that the
    /// store keeps itself, with the features of their names a `RedbCache` or a `HeedCache`, an
    /// [`Arc`] of one that several stores share, or your own [`ProjectionCache`].
    ///
    /// # Errors
    ///
    /// As [`open`](Store::open), and never because of the cache.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{CheckpointCache, Store, StoreConfig};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let in_the_store = CheckpointCache::new(4 * 1024 * 1024);
    /// let store = Store::open_with_cache(StoreConfig::new(path), in_the_store)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_with_cache(
        config: StoreConfig,
        cache: impl ProjectionCache + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        config.check()?;
        let storage = FsStorage::open(&config.data_dir, config.of_files()).map_err(fs_error)?;
        Store::open_in_with_cache(storage, config, cache)
    }

    /// Opens the store in `config.data_dir` for reading, beside a writer in this process or
    /// another if there is one. It takes no lock and changes no file.
    ///
    /// The store's events are those of [`ReadOnlyLog::reader`]; [`ReadOnlyLog::refresh`] looks for
    /// what a writer has appended since. Of `config` only what reading needs is heeded:
    /// `data_dir`, `fd_budget`, `index_cache_bytes` and `read_cache_bytes`.
    ///
    /// # Errors
    ///
    /// A storage error of the kind [`NotFound`](annals_core::StorageErrorKind::NotFound) where
    /// there is no such directory; [`StoreError::Corruption`] with file and offset;
    /// [`StoreError::NewerFormat`]; storage errors.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{Coordinate, EventKind, Store, StoreConfig};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let writer = Store::open(StoreConfig::new(path))?;
    /// let mut looking = Store::open_read_only(StoreConfig::new(path))?;
    /// writer.append(&Coordinate::new("order:5", "shop")?, EventKind::new(1, 1), &"two apples")?;
    ///
    /// assert_eq!(looking.reader().end().get(), 0);
    /// looking.refresh()?;
    /// assert_eq!(looking.reader().stream("order:5").count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[expect(clippy::needless_pass_by_value, reason = "called as `open` is")]
    pub fn open_read_only(config: StoreConfig) -> Result<ReadOnlyLog<FsStorage>, StoreError> {
        config.check()?;
        let storage =
            FsStorage::open_read_only(&config.data_dir, config.of_files()).map_err(fs_error)?;
        ReadOnlyLog::open(storage, config.of_log())
    }

    /// Opens the store in `./annals-data`, or begins one there.
    ///
    /// # Errors
    ///
    /// As [`Store::open`].
    pub fn open_default() -> Result<Self, StoreError> {
        Store::open(StoreConfig::new("./annals-data"))
    }
}

impl Store<MemoryStorage> {
    /// A store in memory: for tests, and for what need not last.
    ///
    /// # Errors
    ///
    /// None that memory can cause.
    pub fn in_memory() -> Result<Self, StoreError> {
        Store::open_in(MemoryStorage::new(), StoreConfig::new(""))
    }
}

impl<S> Store<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// Opens the store in `storage`; `config.data_dir`, `fd_budget` and `sync_mode` are the
    /// storage's own matter.
    ///
    /// # Errors
    ///
    /// As [`Store::open`], but for the lock.
    pub fn open_in(storage: S, config: StoreConfig) -> Result<Self, StoreError> {
        Store::open_in_with_cache(storage, config, NoCache)
    }

    /// As [`open_in`](Store::open_in), with a cache for projections as in
    /// [`open_with_cache`](Store::open_with_cache).
    ///
    /// # Errors
    ///
    /// As [`open_in`](Store::open_in).
    #[expect(clippy::needless_pass_by_value, reason = "as Store::open, which owns its config")]
    pub fn open_in_with_cache(
        storage: S,
        config: StoreConfig,
        cache: impl ProjectionCache + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        config.check()?;
        let host = SystemHost::new(config.clock.clone());
        let cache: project::SharedCache = Arc::new(cache);
        let projecting = Projecting::new(Arc::clone(&cache), config.upcasts.clone(), host.clone());
        let bell = Bell::default();
        let leader = bell.clone();
        let committer = Committer::new(
            Arc::new(storage),
            host,
            config.of_log(),
            config.restart_policy,
            config.write_queue_capacity,
            move || leader.ring(),
        )?;
        let (recovery, store_id) = committer.with_log(|log| {
            if let Some(checkpoints) = cache.as_checkpoints() {
                checkpoints.load(log);
            }
            Ok((log.recovery().clone(), log.store_id()))
        })?;
        report(&recovery);
        let saver = projecting.saver();
        let inner = Arc::new(Inner {
            committer,
            compacting: Mutex::default(),
            subscription_capacity: config.subscription_capacity,
            consumers: Mutex::default(),
            projecting,
        });
        let mut workers = Workers::default();
        if let Durability::Interval(period) = config.durability {
            workers.interval = Some(interval_worker(&inner, period)?);
        }
        if let Some(bell) = saver {
            workers.saver = Some(save_worker(&inner, bell)?);
        }
        Ok(Store {
            inner,
            workers: Mutex::new(workers),
            compactions: Mutex::default(),
            bell,
            recovery,
            store_id,
            names: RwLock::default(),
        })
    }

    /// Starts the thread that commits what is submitted, on first use.
    fn start_leader(&self) -> Result<(), StoreError> {
        let mut workers = self.workers.lock();
        if workers.leader.is_none() {
            let inner = Arc::downgrade(&self.inner);
            let act = move || {
                if let Some(inner) = inner.upgrade() {
                    inner.committer.lead_queue();
                }
            };
            let worker = Worker::spawn("annals-commit", self.bell.clone(), None, act);
            workers.leader = Some(worker.map_err(|error| no_thread(&error))?);
        }
        Ok(())
    }
}

impl<S: Storage> Store<S> {
    /// What opening found and did: a torn tail that was cut, files that were removed.
    pub fn recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// The identity of the store: sixteen bytes that all its files carry.
    pub fn store_id(&self) -> StoreId {
        self.store_id
    }

    /// Calls off the compactions in the background, commits what waits, syncs, and leaves the files so that they open fast.
    ///
    /// # Errors
    ///
    /// Storage errors. Nothing acknowledged is lost then; opening recovers.
    pub fn close(self) -> Result<(), StoreError> {
        self.stop_compactions();
        self.inner.close()
    }
}

impl<S: Storage> Drop for Store<S> {
    fn drop(&mut self) {
        self.stop_compactions();
        if let Err(error) = self.inner.close() {
            tracing::warn!(%error, "closing the store failed; opening it again recovers");
        }
    }
}

fn interval_worker<S>(
    inner: &Arc<Inner<S>>,
    period: std::time::Duration,
) -> Result<Worker, StoreError>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    let inner = Arc::downgrade(inner);
    let failed = AtomicBool::new(false);
    let act = move || {
        if let Some(inner) = inner.upgrade()
            && let Err(error) = inner.committer.sync()
            // It can't be tried again, so it is told once.
            && !failed.swap(true, Ordering::Relaxed)
            && !matches!(error, StoreError::Closed)
        {
            tracing::error!(%error, "the interval sync failed");
        }
    };
    Worker::spawn("annals-sync", Bell::default(), Some(period), act)
        .map_err(|error| no_thread(&error))
}

fn save_worker<S>(inner: &Arc<Inner<S>>, bell: Bell) -> Result<Worker, StoreError>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    let inner = Arc::downgrade(inner);
    let act = move || {
        if let Some(inner) = inner.upgrade() {
            inner.projecting.save(&inner.committer);
        }
    };
    Worker::spawn("annals-save", bell, None, act).map_err(|error| no_thread(&error))
}

fn report(recovery: &Recovery) {
    if let Some(torn) = recovery.torn_tail {
        tracing::warn!(file = %torn.file, offset = torn.offset, len = torn.len, "cut a torn tail");
    }
    for file in &recovery.removed {
        tracing::info!(%file, "removed a file that was half-made or replaced");
    }
}

fn no_thread(error: &std::io::Error) -> StoreError {
    StoreError::InvalidInput(format!("no thread could be started: {error}"))
}

pub(crate) fn fs_error(error: FsOpenError) -> StoreError {
    match error {
        FsOpenError::Locked { dir } => StoreError::Locked { store: dir.display().to_string() },
        FsOpenError::Storage { source, .. } => source.into(),
    }
}
