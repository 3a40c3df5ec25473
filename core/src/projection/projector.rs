//! Making projections with all that may go with them: upcasts, a cache, how fresh they must be.

use super::cache::{CacheFault, NoCache, ProjectionCache, ProjectionKey};
use super::entry::{self, Loaded};
use super::{CachedState, EventSourced, Projected, Source};
use crate::log::{Reader, StoreError};
use crate::model::{Region, Sequence, Upcasts, Version};
use crate::storage::Storage;

/// How old a cached state may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Freshness {
    /// As the reader sees the log, exactly.
    #[default]
    Consistent,
    /// As the log was at most this long ago. Nothing of the stream is read while a cached state
    /// is young enough.
    BestEffort {
        /// Milliseconds since the state was last up to date.
        max_stale_ms: u64,
    },
}

/// A cached state that looked at fewer events than this since it was kept, none of them relevant,
/// is not written again: seeking over them is cheaper.
const REFRESH_EVENTS_MIN: u64 = 4_096;

/// Makes projections of what a reader sees.
///
/// # Examples
///
/// ```
/// # use annals_core::{Append, Coordinate, Host, Log, LogConfig, MemoryStorage, Payload};
/// # use annals_core::{CodecError, EventKind, EventSourced, SourceEvent};
/// # struct Fixed;
/// # impl Host for Fixed {
/// #     fn now_us(&self) -> i64 { 1_700_000_000_000_000 }
/// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7); }
/// # }
/// # let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
/// # let now_us = 1_700_000_000_000_000;
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # struct Changes(u64);
/// # impl EventSourced for Changes {
/// #     const NAME: &'static str = "changes";
/// #     fn apply(&mut self, _event: &SourceEvent<'_>) -> Result<(), CodecError> {
/// #         self.0 += 1;
/// #         Ok(())
/// #     }
/// # }
/// # let order = Coordinate::new("order:5", "shop")?;
/// # log.append(&Append::new(order, EventKind::new(1, 1), Payload::raw("apples")))?;
/// use annals_core::{Freshness, MemoryCache, Projector, Upcasts};
///
/// let cache = MemoryCache::new(16 * 1024 * 1024);
/// let upcasts = Upcasts::new();
/// let reader = log.reader();
/// let projector = Projector::new(&reader)
///     .with_upcasts(&upcasts)
///     .with_cache(&cache, now_us)
///     .with_freshness(Freshness::BestEffort { max_stale_ms: 500 });
/// let changes = projector.project_cached::<Changes>("order:5")?.expect("the order is known");
/// assert_eq!(changes.state.0, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Projector<'a, S: Storage> {
    reader: &'a Reader<S>,
    upcasts: &'a Upcasts,
    cache: &'a dyn ProjectionCache,
    now_us: i64,
    freshness: Freshness,
    on_fault: &'a dyn Fn(&ProjectionKey, &CacheFault),
}

impl<S: Storage> core::fmt::Debug for Projector<'_, S> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut debug = f.debug_struct("Projector");
        debug.field("reader", self.reader).field("freshness", &self.freshness);
        debug.finish_non_exhaustive()
    }
}

static NO_UPCASTS: Upcasts = Upcasts::new();

impl<'a, S: Storage> Projector<'a, S> {
    /// Without upcasts, without a cache.
    #[must_use]
    pub fn new(reader: &'a Reader<S>) -> Self {
        Projector {
            reader,
            upcasts: &NO_UPCASTS,
            cache: &NoCache,
            now_us: 0,
            freshness: Freshness::Consistent,
            on_fault: &|_, _| {},
        }
    }

    /// Lifts older payloads.
    #[must_use]
    pub fn with_upcasts(mut self, upcasts: &'a Upcasts) -> Self {
        self.upcasts = upcasts;
        self
    }

    /// Keeps states in a cache. `now_us` is the host's wall clock, in microseconds since 1970.
    #[must_use]
    pub fn with_cache(mut self, cache: &'a dyn ProjectionCache, now_us: i64) -> Self {
        (self.cache, self.now_us) = (cache, now_us);
        self
    }

    /// Says how old a cached state may be. Without, none may.
    #[must_use]
    pub fn with_freshness(mut self, freshness: Freshness) -> Self {
        self.freshness = freshness;
        self
    }

    /// Tells `on_fault` whenever the cache was of no use. The answer is right all the same.
    #[must_use]
    pub fn on_cache_fault(mut self, on_fault: &'a dyn Fn(&ProjectionKey, &CacheFault)) -> Self {
        self.on_fault = on_fault;
        self
    }

    /// The state that the events of one entity make, by replay; `None` where it has none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Projection`] where an event can't be taken in, storage errors and
    /// corruption.
    pub fn project<T: EventSourced>(
        &self,
        entity: &str,
    ) -> Result<Option<Projected<T>>, StoreError> {
        let projected: Projected<T> = self.replay(Source::entity::<T>(entity))?;
        Ok(projected.sequence.is_some().then_some(projected))
    }

    /// The state that the events of a region make, by replay: the default where there are none.
    ///
    /// # Errors
    ///
    /// As [`project`](Projector::project).
    pub fn project_region<T: EventSourced>(
        &self,
        region: &Region,
    ) -> Result<Projected<T>, StoreError> {
        self.replay(Source::region::<T>(region))
    }

    /// As [`project`](Projector::project), from the cache where it helps, and kept there.
    ///
    /// # Errors
    ///
    /// As [`project`](Projector::project), and never because of the cache.
    pub fn project_cached<T: CachedState>(
        &self,
        entity: &str,
    ) -> Result<Option<Projected<T>>, StoreError> {
        let projected = self.project_or_default(entity)?;
        Ok(projected.sequence.is_some().then_some(projected))
    }

    /// As [`project_cached`](Projector::project_cached), with the default where the entity has no
    /// event yet: to begin with, and to [`advance`](Projected::advance_with) from.
    ///
    /// # Errors
    ///
    /// As [`project`](Projector::project), and never because of the cache.
    pub fn project_or_default<T: CachedState>(
        &self,
        entity: &str,
    ) -> Result<Projected<T>, StoreError> {
        self.cached(&ProjectionKey::entity::<T>(entity), &Source::entity::<T>(entity))
    }

    /// As [`project_region`](Projector::project_region), from the cache where it helps, and kept
    /// there.
    ///
    /// # Errors
    ///
    /// As [`project`](Projector::project), and never because of the cache.
    pub fn project_region_cached<T: CachedState>(
        &self,
        region: &Region,
    ) -> Result<Projected<T>, StoreError> {
        self.cached(&ProjectionKey::region::<T>(region), &Source::region::<T>(region))
    }

    /// As [`project_cached`](Projector::project_cached), unless nothing has changed: `None` where
    /// the entity has no event behind `since`, which costs a look at the index and no more.
    /// [`Projected::version`] is what to name the next time.
    ///
    /// # Errors
    ///
    /// As [`project`](Projector::project), and never because of the cache.
    pub fn project_if_changed<T: CachedState>(
        &self,
        entity: &str,
        since: Option<Version>,
    ) -> Result<Option<Projected<T>>, StoreError> {
        let head = self.reader.head(entity)?.map(|head| head.version);
        if head <= since {
            return Ok(None);
        }
        let projected = self.project_cached::<T>(entity)?;
        // A state that is let be stale may have no more than the caller has.
        Ok(projected.filter(|projected| projected.version > since))
    }

    /// As [`project_region_cached`](Projector::project_region_cached), unless nothing has
    /// changed: `None` where no event behind `since` is taken in. [`Projected::position`] is what
    /// to name the next time.
    ///
    /// # Errors
    ///
    /// As [`project`](Projector::project), and never because of the cache.
    pub fn project_region_if_changed<T: CachedState>(
        &self,
        region: &Region,
        since: Option<Sequence>,
    ) -> Result<Option<Projected<T>>, StoreError> {
        let relevant = Source::region::<T>(region).region;
        let first = since.map_or(Some(Sequence::ZERO), Sequence::checked_next);
        let Some(first) = first else { return Ok(None) };
        if self.reader.query(&relevant).starting_at(first).next_with(|_| ())?.is_none() {
            return Ok(None);
        }
        let projected = self.project_region_cached::<T>(region)?;
        Ok(Some(projected).filter(|projected| projected.sequence > since))
    }

    fn replay<T: EventSourced>(&self, source: Source) -> Result<Projected<T>, StoreError> {
        let mut projected = Projected::blank(source);
        projected.advance_with(self.reader, self.upcasts)?;
        Ok(projected)
    }

    fn cached<T: CachedState>(
        &self,
        key: &ProjectionKey,
        source: &Source,
    ) -> Result<Projected<T>, StoreError> {
        let mut keep = true;
        match self.load::<T>(key, source) {
            Ok(None) => {}
            Ok(Some(loaded)) if self.is_fresh(loaded.checked_us) => return Ok(loaded.projected),
            Ok(Some(loaded)) => {
                if let Some(projected) = self.brought_up_to_date(key, loaded.projected) {
                    return Ok(projected);
                }
            }
            Err(fault) => {
                // An older reader must not take away what newer ones have use for.
                keep = !matches!(fault, CacheFault::Ahead);
                (self.on_fault)(key, &fault);
            }
        }
        let projected: Projected<T> = self.replay(source.clone())?;
        // Unknown entities are cheap to ask for, and there is no end of them.
        if keep && projected.sequence.is_some() {
            self.keep(key, &projected);
        }
        Ok(projected)
    }

    fn load<T: CachedState>(
        &self,
        key: &ProjectionKey,
        source: &Source,
    ) -> Result<Option<Loaded<T>>, CacheFault> {
        let Some(entry) = self.cache.get(key)? else { return Ok(None) };
        entry::decode(key, self.reader, source.clone(), &entry).map(Some)
    }

    fn is_fresh(&self, checked_us: i64) -> bool {
        let Freshness::BestEffort { max_stale_ms } = self.freshness else { return false };
        // A clock that went back says nothing about the age.
        let age_us = u64::try_from(self.now_us.saturating_sub(checked_us));
        age_us.is_ok_and(|age_us| age_us <= max_stale_ms.saturating_mul(1_000))
    }

    fn brought_up_to_date<T: CachedState>(
        &self,
        key: &ProjectionKey,
        mut projected: Projected<T>,
    ) -> Option<Projected<T>> {
        let behind = projected.lag(self.reader);
        match projected.advance_with(self.reader, self.upcasts) {
            Ok(changed) => {
                let stamped = matches!(self.freshness, Freshness::BestEffort { .. });
                if changed || stamped || behind >= REFRESH_EVENTS_MIN {
                    self.keep(key, &projected);
                }
                Some(projected)
            }
            // If it was not the cached state's doing, the replay meets the same failure.
            Err(_) => {
                (self.on_fault)(key, &CacheFault::NotAdvanced);
                None
            }
        }
    }

    fn keep<T: CachedState>(&self, key: &ProjectionKey, projected: &Projected<T>) {
        let entry = entry::encode(key, self.reader, projected, self.now_us);
        let kept = entry.and_then(|entry| Ok(self.cache.put(key, &entry)?));
        if let Err(fault) = kept {
            (self.on_fault)(key, &fault);
        }
    }
}
