//! Following the log: what was appended and what will be, one event after the other.
//!
//! Everything here pulls: a follower is a place in the log and the store's signal, so a commit
//! neither copies an event for anybody nor waits for anybody. A follower holds neither the store
//! nor its files: it gives what was committed, then says that the store is closed.

mod consumer;
mod consumer_config;
mod react;
mod react_config;
mod receive;
mod steps;
mod subscription;
mod tail;

pub use consumer::{Consumer, ConsumerStatus};
pub use consumer_config::{CommitMode, ConsumerConfig, ConsumerError, RegionChange, StartAt};
pub use react::{ReactSource, Reactor};
pub use react_config::{ReactConfig, ReactError, ReactSummary};
pub use subscription::Subscription;

use crate::fs_storage::FsStorage;
use crate::store::Store;
use annals_core::{Event, Region, Sequence, Storage, StoreError};
use receive::receive_methods;
use steps::{Flow, flow_methods};
use subscription::Live;
use tail::Tail;

/// Why a follower has no event to give.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The store is closed, and everything that was committed was given.
    #[error("the store is closed, and there is nothing left to follow")]
    Closed,
    /// A subscription was too slow: so many events of its region were skipped, the oldest. It
    /// goes on with the newest.
    #[error("the subscription was too slow and lost {0} events: take them faster, or follow")]
    Lagged(u64),
    /// As many were taken as [`take`](Follow::take) allows.
    #[error("as many were taken as were asked for")]
    Finished,
    /// The store could not read, or could not write a checkpoint. The same call may be tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The events of a region, past and future, in sequence order: none is left out and none comes
/// twice.
///
/// It never ends by itself: where it has given all there is, it waits for more, until the store is
/// closed or dropped. It may be as slow as it likes and keeps nothing of the log from being
/// compacted. Reading is done by whoever receives, from files: an async task that must never wait
/// for a disk should receive on a thread of its own.
///
/// # Examples
///
/// ```
/// use annals::{Coordinate, EventKind, FollowError, Region, Store};
///
/// let store = Store::in_memory()?;
/// let order = Coordinate::new("order:5", "shop")?;
/// store.append(&order, EventKind::new(1, 1), &"two apples")?;
///
/// let follow = store.follow(&Region::all().scope("shop"), None);
/// let mut words = follow.map(|event| event.decode::<String>());
/// assert_eq!(words.recv()??, "two apples");
///
/// // It goes on with what comes later, here from another thread.
/// std::thread::scope(|scope| {
///     scope.spawn(|| store.append(&order, EventKind::new(1, 2), &"paid"));
///     words.recv()
/// })??;
///
/// store.close()?;
/// assert!(matches!(words.recv(), Err(FollowError::Closed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it follows nothing unless somebody receives"]
pub struct Follow<S: Storage = FsStorage, T = Event> {
    flow: Flow<Tail<S>, T>,
}

impl<S: Storage> Store<S> {
    /// The events of a region behind `after`, or from the log's beginning on, and then those to
    /// come.
    pub fn follow(&self, region: &Region, after: Option<Sequence>) -> Follow<S> {
        let feed = self.inner.committer.feed().clone();
        Follow { flow: Flow::new(Tail::new(feed, region.clone(), after)) }
    }

    /// The events of a region from now on, of which the newest are kept: as many as
    /// [`StoreConfig::subscription_capacity`](crate::StoreConfig::subscription_capacity) says.
    pub fn subscribe(&self, region: &Region) -> Subscription<S> {
        let feed = self.inner.committer.feed().clone();
        Subscription::new(Live::new(feed, region.clone(), self.inner.subscription_capacity))
    }
}

impl<S: Storage, T> Follow<S, T> {
    /// The last sequence that is done with, given or not of the region; `None` at the log's
    /// beginning. Following from there on goes on where this one is.
    #[must_use]
    pub fn position(&self) -> Option<Sequence> {
        self.flow.source.position()
    }
}

flow_methods!(Follow);
receive_methods!(Follow<S, T>, T, flow);

impl<S: Storage, T> std::fmt::Debug for Follow<S, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follow").field("position", &self.position()).finish_non_exhaustive()
    }
}
