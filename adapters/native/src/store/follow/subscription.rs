//! The newest events of a region, for those who would rather lose some than fall behind.
//!
//! The log is the queue: what a subscription holds is a place in it, and a count of the matches
//! that it has not read yet. Each of them is counted once, from the index, and only where there
//! may be more than it may hold; so losing many costs little, and the writer nothing.

use crate::fs_storage::FsStorage;
use crate::store::follow::FollowError;
use crate::store::follow::receive::receive_methods;
use crate::store::follow::steps::{Flow, Source, flow_methods};
use crate::store::follow::tail::Tail;
use crate::store::signal::{Feed, Signal};
use annals_core::{Cursor, Event, Query, Reader, Region, Sequence, Storage, StoreError};
use std::sync::Arc;

/// The events of a region from now on, in sequence order, of which only the newest are kept.
///
/// Where more wait than
/// [`StoreConfig::subscription_capacity`](crate::StoreConfig::subscription_capacity), the oldest
/// are skipped: [`FollowError::Lagged`] says how many of the region, before any step such as
/// [`filter`](Subscription::filter), and then it goes on. The writer never waits for it and does
/// nothing for it but wake it; one that is dropped leaves nothing behind.
///
/// # Examples
///
/// ```
/// use annals::{Coordinate, EventKind, FollowError, Region, Store, StoreConfig};
///
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = Store::open(StoreConfig::new(path).with_subscription_capacity(2))?;
/// let mut live = store.subscribe(&Region::all().scope("shop")).map(|event| event.sequence().get());
///
/// let order = Coordinate::new("order:5", "shop")?;
/// for item in ["tea", "bread", "jam"] {
///     store.append(&order, EventKind::new(1, 1), &item)?;
/// }
/// assert!(matches!(live.recv(), Err(FollowError::Lagged(1))));
/// assert_eq!((live.recv()?, live.recv()?), (1, 2));
/// assert_eq!(live.try_recv()?, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it says nothing unless somebody receives"]
pub struct Subscription<S: Storage = FsStorage, T = Event> {
    pub(super) flow: Flow<Live<S>, T>,
}

impl<S: Storage> Subscription<S> {
    pub(super) fn new(live: Live<S>) -> Self {
        Subscription { flow: Flow::new(live) }
    }
}

flow_methods!(Subscription);
receive_methods!(Subscription<S, T>, T, flow);

impl<S: Storage, T> std::fmt::Debug for Subscription<S, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let position = self.flow.source.tail.position();
        f.debug_struct("Subscription").field("position", &position).finish_non_exhaustive()
    }
}

/// See the module.
pub(super) struct Live<S: Storage> {
    tail: Tail<S>,
    capacity: u64,
    /// Matches between the cursor and `counted_end`.
    counted: u64,
    counted_end: Sequence,
    /// What is told once is followed by an event, however fast the log grows.
    told: bool,
}

impl<S: Storage> Live<S> {
    pub(super) fn new(feed: Feed<S>, region: Region, capacity: usize) -> Self {
        let end = feed.reader().end();
        let tail = Tail::new(feed, region, end.checked_prev());
        let capacity = u64::try_from(capacity).unwrap_or(u64::MAX);
        Live { tail, capacity, counted: 0, counted_end: end, told: false }
    }

    /// Skips the oldest where more wait than may; returns how many.
    fn skip_the_oldest(&mut self, reader: &Reader<Arc<S>>) -> Result<u64, StoreError> {
        let held = self.tail.ahead.len() as u64;
        // There are no more matches than events.
        if held.saturating_add(self.tail.cursor.lag(reader)) <= self.capacity {
            return Ok(0);
        }
        self.count(reader)?;
        let excess = held.saturating_add(self.counted).saturating_sub(self.capacity);
        let from_ahead = excess.min(held);
        let from_log = excess - from_ahead;
        let mut lost = from_ahead;
        if from_log > 0 {
            let skipped = self.query(reader, self.next()).skip_matches(from_log)?;
            if let Some(last) = skipped.last {
                self.tail.cursor = Cursor::at(self.tail.cursor.region().clone(), Some(last));
                self.forget_counted(skipped.events);
            }
            lost += skipped.events;
        }
        self.tail
            .ahead
            .drain(..usize::try_from(from_ahead).unwrap_or(usize::MAX).min(self.tail.ahead.len()));
        Ok(lost)
    }

    /// Counts the matches that were appended since the last count.
    fn count(&mut self, reader: &Reader<Arc<S>>) -> Result<(), StoreError> {
        let from = self.counted_end.max(self.next());
        if from < reader.end() {
            let found = self.query(reader, from).skip_matches(u64::MAX)?;
            self.counted += found.events;
            self.counted_end = reader.end();
        }
        Ok(())
    }

    /// Notes that so many that were counted lie before the cursor now.
    fn forget_counted(&mut self, passed: u64) {
        self.counted = self.counted.saturating_sub(passed);
        if self.next() >= self.counted_end {
            (self.counted, self.counted_end) = (0, self.next());
        }
    }

    fn next(&self) -> Sequence {
        let position = self.tail.cursor.position();
        position.map_or(Sequence::ZERO, |last| last.checked_next().unwrap_or(last))
    }

    fn query(&self, reader: &Reader<Arc<S>>, from: Sequence) -> Query<Arc<S>> {
        reader.query(self.tail.cursor.region()).starting_at(from)
    }
}

impl<S: Storage> Source for Live<S> {
    fn signal(&self) -> &Arc<Signal> {
        &self.tail.feed.signal
    }

    fn next_event(&mut self) -> Result<Option<Event>, FollowError> {
        let reader = self.tail.feed.reader();
        if !self.told {
            let lost = self.skip_the_oldest(&reader)?;
            if lost > 0 {
                self.told = true;
                return Err(FollowError::Lagged(lost));
            }
        }
        if self.tail.ahead.is_empty() {
            let max = usize::try_from(self.capacity).unwrap_or(usize::MAX);
            self.tail.read_ahead(&reader, max)?;
            let before_count = self.counted_end;
            let counted = self.tail.ahead.iter().filter(|event| event.sequence() < before_count);
            self.forget_counted(counted.count() as u64);
        }
        self.told = false;
        Ok(self.tail.ahead.pop_front())
    }
}
