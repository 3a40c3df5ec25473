//! How a store is opened and kept.

mod restart;

pub use restart::RestartPolicy;
pub(crate) use restart::Restarts;

use crate::fs_storage::{FsOptions, READ_CACHE_BYTES, SyncMode};
use annals_core::{LogConfig, StoreError, Upcasts};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Zeros that a synced commit writes ahead. Fewer make more syncs change metadata, more make the
/// commit that writes them wait for longer.
const ZEROS_AHEAD_BYTES: u64 = 128 * 1024;

/// When an append is put on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// Before it is acknowledged: it survives a power cut.
    #[default]
    Durable,
    /// After every so many events. What was acknowledged since survives the end of the process,
    /// but not a power cut.
    EveryN(NonZeroU32),
    /// By a thread of the store's, this often; otherwise as `EveryN`.
    Interval(Duration),
    /// When [`Store::sync`](crate::Store::sync) is called, a segment is full or the store closes.
    OnSync,
}

impl Durability {
    pub(crate) fn of_log(self) -> annals_core::Durability {
        match self {
            Durability::Durable => annals_core::Durability::Durable,
            Durability::EveryN(n) => annals_core::Durability::EveryN(n),
            Durability::Interval(_) | Durability::OnSync => annals_core::Durability::OnSync,
        }
    }
}

/// A clock: microseconds since 1970. It may go back.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How a [`Store`](crate::Store) is opened and kept. Start from [`StoreConfig::new`].
///
/// # Examples
///
/// ```
/// use annals::{Durability, StoreConfig};
/// use std::time::Duration;
///
/// let config = StoreConfig::new("/tmp/orders")
///     .with_durability(Durability::Interval(Duration::from_millis(50)))
///     .with_segment_max_bytes(16 * 1024 * 1024);
/// assert_eq!(config.segment_max_bytes, 16 * 1024 * 1024);
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The directory that holds the store; it is made if it is missing.
    pub data_dir: PathBuf,
    /// Bytes of events after which a segment is sealed: 4 KiB to 1 GiB, 64 MiB by default. A
    /// sealed file is larger by its index.
    pub segment_max_bytes: u64,
    /// When an append is put on stable storage: before it is acknowledged, by default.
    pub durability: Durability,
    /// Whether a sync covers a file's metadata too: data only, by default.
    pub sync_mode: SyncMode,
    /// How many files are kept open at most: 256 by default.
    pub fd_budget: usize,
    /// Bytes of memory for pages of sealed indexes and, an eighth of it, for heads of streams in
    /// them: 64 MiB by default. Filters come besides, some 1.5 bytes an event of each segment that
    /// was asked for an id or an entity.
    pub index_cache_bytes: usize,
    /// Bytes of memory for events that were read lately, so that reading them again costs no system
    /// call: 8 MiB by default, 0 for none.
    pub read_cache_bytes: usize,
    /// How many appends may wait for the writer: 4,096 by default. Behind that `append` waits
    /// and `try_submit` says so.
    pub write_queue_capacity: usize,
    /// How many matches a subscription holds that were not taken yet: 1,024 by default. It keeps
    /// the newest and says how many it lost.
    pub subscription_capacity: usize,
    /// Where the time comes from: the system's clock by default.
    pub clock: Option<Clock>,
    /// What happens when a commit panics: three restarts a minute, by default.
    pub restart_policy: RestartPolicy,
    /// What lifts payloads of older versions when projections read them: nothing by default.
    pub upcasts: Upcasts,
}

impl std::fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreConfig")
            .field("data_dir", &self.data_dir)
            .field("segment_max_bytes", &self.segment_max_bytes)
            .field("durability", &self.durability)
            .field("sync_mode", &self.sync_mode)
            .field("fd_budget", &self.fd_budget)
            .field("index_cache_bytes", &self.index_cache_bytes)
            .field("read_cache_bytes", &self.read_cache_bytes)
            .field("write_queue_capacity", &self.write_queue_capacity)
            .field("subscription_capacity", &self.subscription_capacity)
            .field("clock", &self.clock.as_ref().map(|_| "custom"))
            .field("restart_policy", &self.restart_policy)
            .field("upcasts", &self.upcasts)
            .finish()
    }
}

macro_rules! setters {
    ($($setter:ident $field:ident $type:ty,)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $setter(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    )*};
}

impl StoreConfig {
    /// A store in `data_dir`, all else as by default.
    pub fn new(data_dir: impl AsRef<Path>) -> Self {
        let log = LogConfig::default();
        StoreConfig {
            data_dir: data_dir.as_ref().to_path_buf(),
            segment_max_bytes: log.segment_max_bytes,
            durability: Durability::default(),
            sync_mode: SyncMode::default(),
            fd_budget: 256,
            index_cache_bytes: log.index_cache_bytes,
            read_cache_bytes: READ_CACHE_BYTES,
            write_queue_capacity: 4_096,
            subscription_capacity: 1_024,
            clock: None,
            restart_policy: RestartPolicy::default(),
            upcasts: Upcasts::new(),
        }
    }

    setters! {
        with_data_dir data_dir PathBuf,
        with_segment_max_bytes segment_max_bytes u64,
        with_durability durability Durability,
        with_sync_mode sync_mode SyncMode,
        with_fd_budget fd_budget usize,
        with_index_cache_bytes index_cache_bytes usize,
        with_read_cache_bytes read_cache_bytes usize,
        with_write_queue_capacity write_queue_capacity usize,
        with_subscription_capacity subscription_capacity usize,
        with_restart_policy restart_policy RestartPolicy,
        with_upcasts upcasts Upcasts,
    }

    /// Takes the time from `clock`: microseconds since 1970.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let zero = match () {
            () if self.write_queue_capacity == 0 => "write_queue_capacity",
            () if self.subscription_capacity == 0 => "subscription_capacity",
            () if self.fd_budget == 0 => "fd_budget",
            () if self.durability == Durability::Interval(Duration::ZERO) => "the sync interval",
            () => return Ok(()),
        };
        Err(StoreError::InvalidInput(format!("{zero} must be above zero")))
    }

    pub(crate) fn of_files(&self) -> FsOptions {
        FsOptions::default()
            .with_fd_budget(self.fd_budget)
            .with_sync_mode(self.sync_mode)
            .with_read_cache_bytes(self.read_cache_bytes)
    }

    pub(crate) fn of_log(&self) -> LogConfig {
        LogConfig::default()
            .with_segment_max_bytes(self.segment_max_bytes)
            .with_index_cache_bytes(self.index_cache_bytes)
            .with_durability(self.durability.of_log())
            .with_zeros_ahead_bytes(ZEROS_AHEAD_BYTES)
    }
}
