//! Projections of a store: with its cache, its upcasts and its clock.
//!
//! A cache that the store keeps itself is saved by a thread of the store's whenever much has
//! changed, and when the store closes. Nobody who projects waits for the writer.

use crate::host::SystemHost;
use crate::store::Store;
use crate::store::commit::Committer;
use crate::store::worker::Bell;
use annals_core::{
    CacheFault, CachedState, Freshness, Host, Projected, ProjectionCache, ProjectionKey, Projector,
    Reader, Region, Sequence, Storage, StoreError, Upcasts, Version,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a store keeps projections in.
pub(crate) type SharedCache = Arc<dyn ProjectionCache + Send + Sync>;

/// A cache that the store keeps is saved when this much has changed.
const SAVE_BYTES: usize = 256 * 1024;

/// What projections are made with. Cheap to clone; it holds neither the store nor its files.
#[derive(Clone)]
pub(crate) struct Projecting {
    cache: SharedCache,
    upcasts: Arc<Upcasts>,
    host: SystemHost,
    saver: Bell,
    /// Saving has failed: it is tried once more when the store closes.
    failed: Arc<AtomicBool>,
}

impl Projecting {
    pub(crate) fn new(cache: SharedCache, upcasts: Upcasts, host: SystemHost) -> Self {
        let (upcasts, failed) = (Arc::new(upcasts), Arc::default());
        Projecting { cache, upcasts, host, saver: Bell::default(), failed }
    }

    pub(crate) fn upcasts(&self) -> &Upcasts {
        &self.upcasts
    }

    /// What calls the thread that saves; `None` where nothing is ever to be saved.
    pub(crate) fn saver(&self) -> Option<Bell> {
        self.cache.as_checkpoints().map(|_| self.saver.clone())
    }

    /// Runs `act` with a projector of this reader.
    pub(crate) fn with<S: Storage, T>(
        &self,
        reader: &Reader<S>,
        freshness: Freshness,
        act: impl FnOnce(&Projector<'_, S>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let projector = Projector::new(reader)
            .with_upcasts(&self.upcasts)
            .with_cache(&*self.cache, self.host.now_us())
            .with_freshness(freshness)
            .on_cache_fault(&tell);
        let made = act(&projector);
        if let Some(checkpoints) = self.cache.as_checkpoints()
            && checkpoints.unsaved_bytes() >= SAVE_BYTES
            && !self.failed.load(Ordering::Relaxed)
        {
            self.saver.ring();
        }
        made
    }

    /// Forgets what the log has kept, which is about to be gone.
    pub(crate) fn forget_saved(&self) {
        if let Some(checkpoints) = self.cache.as_checkpoints() {
            checkpoints.clear();
        }
    }

    /// Has the log keep what has changed in a cache that the store keeps itself. That it can't
    /// costs time when the store is opened again, and nothing else.
    pub(crate) fn save<S: Storage>(&self, committer: &Committer<S>) {
        let Some(checkpoints) = self.cache.as_checkpoints() else { return };
        if checkpoints.unsaved_bytes() == 0 {
            return;
        }
        if let Err(error) = committer.with_log(|log| checkpoints.save(log))
            && !self.failed.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(%error, "projections could not be saved in the store");
        }
    }
}

fn tell(_key: &ProjectionKey, fault: &CacheFault) {
    match fault {
        CacheFault::Failed(error) => tracing::warn!(%error, "a projection was made by replay"),
        fault => tracing::debug!(%fault, "a projection was made by replay"),
    }
}

impl<S: Storage> Store<S> {
    /// The state that the events of one entity make; `None` where it has none.
    ///
    /// It comes from the cache that the store was [opened with](Store::open_with_cache), brought
    /// up to date by the new events alone; without a cache it is made anew. Older payloads are
    /// lifted by the [upcasts](crate::StoreConfig::with_upcasts) of the store. A state that can't
    /// be encoded is projected by [`Reader::project`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Projection`] where an event can't be taken in; storage errors and
    /// corruption. Never because of the cache.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{
    ///     CodecError, Coordinate, EventKind, EventSourced, Freshness, MemoryCache, SourceEvent, Store,
    ///     StoreConfig,
    /// };
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Default, Serialize, Deserialize)]
    /// struct Changes(u64);
    ///
    /// impl EventSourced for Changes {
    ///     const NAME: &'static str = "changes";
    ///
    ///     fn apply(&mut self, _event: &SourceEvent<'_>) -> Result<(), CodecError> {
    ///         self.0 += 1;
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path();
    /// let cache = MemoryCache::new(16 * 1024 * 1024);
    /// let store = Store::open_with_cache(StoreConfig::new(path), cache)?;
    /// store.append(&Coordinate::new("order:5", "shop")?, EventKind::new(1, 1), &"two apples")?;
    /// let order = store.project::<Changes>("order:5", Freshness::Consistent)?.expect("it is known");
    /// assert_eq!(order.state.0, 1);
    /// assert!(store.project_if_changed::<Changes>("order:5", order.version)?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn project<T: CachedState>(
        &self,
        entity: &str,
        freshness: Freshness,
    ) -> Result<Option<Projected<T>>, StoreError> {
        self.projecting(freshness, |projector| projector.project_cached(entity))
    }

    /// The state that the events of a region make: the default where there are none. Otherwise as
    /// [`project`](Store::project).
    ///
    /// # Errors
    ///
    /// As [`project`](Store::project).
    pub fn project_region<T: CachedState>(
        &self,
        region: &Region,
        freshness: Freshness,
    ) -> Result<Projected<T>, StoreError> {
        self.projecting(freshness, |projector| projector.project_region_cached(region))
    }

    /// The newest state of an entity, or `None` where it has no event behind version `since`:
    /// that costs a look at the index. [`Projected::version`] is what to name the next time.
    ///
    /// # Errors
    ///
    /// As [`project`](Store::project).
    pub fn project_if_changed<T: CachedState>(
        &self,
        entity: &str,
        since: Option<Version>,
    ) -> Result<Option<Projected<T>>, StoreError> {
        self.projecting(Freshness::Consistent, |projector| {
            projector.project_if_changed(entity, since)
        })
    }

    /// The newest state of a region, or `None` where no event that matters to it stands behind
    /// `since`: that costs a look at the index. [`Projected::position`] is what to name the next
    /// time.
    ///
    /// # Errors
    ///
    /// As [`project`](Store::project).
    pub fn project_region_if_changed<T: CachedState>(
        &self,
        region: &Region,
        since: Option<Sequence>,
    ) -> Result<Option<Projected<T>>, StoreError> {
        self.projecting(Freshness::Consistent, |projector| {
            projector.project_region_if_changed(region, since)
        })
    }

    fn projecting<T>(
        &self,
        freshness: Freshness,
        act: impl FnOnce(&Projector<'_, Arc<S>>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.inner.projecting.with(&self.reader(), freshness, act)
    }
}
