//! A projection that follows the log.

use crate::fs_storage::FsStorage;
use crate::store::Store;
use crate::store::project::Projecting;
use crate::store::signal::{Feed, Registration, Wake};
use annals_core::{CachedState, Freshness, Projected, Reader, Region, Storage, StoreError};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A state that takes in what is appended, by [`Store::watch`] or [`Store::watch_region`].
///
/// It keeps no store open: when the store is closed, [`changed`](Watch::changed) gives what was
/// appended before, and then [`StoreError::Closed`].
pub struct Watch<T, S: Storage = FsStorage> {
    feed: Feed<S>,
    projecting: Projecting,
    projected: Projected<T>,
}

impl<T: std::fmt::Debug, S: Storage> std::fmt::Debug for Watch<T, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("projected", &self.projected).finish_non_exhaustive()
    }
}

impl<T: CachedState, S: Storage> Watch<T, S> {
    /// The state as of the last look at the log. Waits for nothing and reads nothing.
    pub fn current(&self) -> &Projected<T> {
        &self.projected
    }

    /// How many events were committed that it has not looked at, relevant or not.
    pub fn lag(&self) -> u64 {
        self.projected.lag(&self.feed.reader())
    }

    /// Takes in what is committed, and says whether that changed the state.
    ///
    /// # Errors
    ///
    /// [`StoreError::Projection`] where an event can't be taken in: the state is true up to the
    /// event before, and this fails again until the code can read it. Storage errors and
    /// corruption.
    pub fn update(&mut self) -> Result<bool, StoreError> {
        self.projected.advance_with(&self.feed.reader(), self.projecting.upcasts())
    }

    /// Waits until an event changes the state, however long that takes, and gives the newest
    /// state: many events may have been taken in at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`] once the store is closed and all of it is taken in; otherwise as
    /// [`update`](Watch::update).
    pub fn changed(&mut self) -> Result<&Projected<T>, StoreError> {
        self.wait(None)?;
        Ok(&self.projected)
    }

    /// As [`changed`](Watch::changed), for so long at most: `None` where nothing changed
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// As [`changed`](Watch::changed).
    pub fn changed_timeout(
        &mut self,
        timeout: Duration,
    ) -> Result<Option<&Projected<T>>, StoreError> {
        // Without an end where there is none that a clock could tell.
        let changed = self.wait(Instant::now().checked_add(timeout))?;
        Ok(changed.then_some(&self.projected))
    }

    /// As [`changed`](Watch::changed), without a thread that waits, on any runtime. Dropping the
    /// future loses nothing. Reading what was appended happens in `poll`.
    ///
    /// # Errors
    ///
    /// As [`changed`](Watch::changed).
    pub async fn changed_async(&mut self) -> Result<&Projected<T>, StoreError> {
        let mut registration = Registration::new(&self.feed.signal);
        loop {
            // Asked for before the look, so that nothing comes in between unseen.
            let seen = self.feed.signal.seen();
            if self.update()? {
                return Ok(&self.projected);
            }
            if seen.is_closed() {
                return Err(StoreError::Closed);
            }
            poll_fn(|context| registration.poll_moved(seen, context.waker())).await;
        }
    }

    fn wait(&mut self, deadline: Option<Instant>) -> Result<bool, StoreError> {
        loop {
            let seen = self.feed.signal.seen();
            if self.update()? {
                return Ok(true);
            }
            if seen.is_closed() {
                return Err(StoreError::Closed);
            }
            if self.feed.signal.wait(seen, deadline) == Wake::TimedOut {
                return Ok(false);
            }
        }
    }
}

impl<S: Storage> Store<S> {
    /// The state of an entity, from now on kept up to date by the events that are appended; the
    /// default where it has none yet. It begins from the cache that the store was
    /// [opened with](Store::open_with_cache).
    ///
    /// # Errors
    ///
    /// As [`project`](Store::project).
    ///
    /// # Examples
    ///
    /// ```
    /// # use annals::{CodecError, Coordinate, EventKind, EventSourced, SourceEvent, Store};
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Default, Serialize, Deserialize)]
    /// # struct Changes(u64);
    /// # impl EventSourced for Changes {
    /// #     const NAME: &'static str = "changes";
    /// #     fn apply(&mut self, _event: &SourceEvent<'_>) -> Result<(), CodecError> {
    /// #         self.0 += 1;
    /// #         Ok(())
    /// #     }
    /// # }
    /// let store = Store::in_memory()?;
    /// let mut order = store.watch::<Changes>("order:5")?;
    /// assert!(order.changed_timeout(Duration::ZERO)?.is_none());
    ///
    /// store.append(&Coordinate::new("order:5", "shop")?, EventKind::new(1, 1), &"two apples")?;
    /// assert_eq!(order.lag(), 1);
    /// assert_eq!(order.changed()?.state.0, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch<T: CachedState>(&self, entity: &str) -> Result<Watch<T, S>, StoreError> {
        self.watch_from(|projecting, reader| {
            projecting.with(reader, Freshness::Consistent, |projector| {
                projector.project_or_default(entity)
            })
        })
    }

    /// As [`watch`](Store::watch), of the state that the events of a region make.
    ///
    /// # Errors
    ///
    /// As [`project`](Store::project).
    pub fn watch_region<T: CachedState>(&self, region: &Region) -> Result<Watch<T, S>, StoreError> {
        self.watch_from(|projecting, reader| {
            projecting.with(reader, Freshness::Consistent, |projector| {
                projector.project_region_cached(region)
            })
        })
    }

    fn watch_from<T>(
        &self,
        begin: impl FnOnce(&Projecting, &Reader<Arc<S>>) -> Result<Projected<T>, StoreError>,
    ) -> Result<Watch<T, S>, StoreError> {
        let (feed, projecting) = (self.inner.committer.feed(), &self.inner.projecting);
        let projected = begin(projecting, &feed.reader())?;
        Ok(Watch { feed: feed.clone(), projecting: projecting.clone(), projected })
    }
}
