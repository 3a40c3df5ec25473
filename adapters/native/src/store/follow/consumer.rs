//! Followers that the store knows by name, and whose places it keeps.
//!
//! A checkpoint never speaks of an event that is not on stable storage: those are synced first. So
//! no power cut can leave a checkpoint behind events whose sequences others will get.

use crate::fs_storage::FsStorage;
use crate::store::follow::FollowError;
use crate::store::follow::consumer_config::{
    CommitMode, ConsumerConfig, ConsumerError, RegionChange, StartAt,
};
use crate::store::follow::receive::{Pull, receive_methods};
use crate::store::follow::tail::Tail;
use crate::store::signal::Signal;
use crate::store::{Inner, Store};
use annals_core::{
    CheckpointName, ConsumerCheckpoint, Event, MetaSync, Region, Sequence, Storage, StoreError,
};
use std::sync::{Arc, Weak};

/// The events of a region behind a checkpoint that the store keeps, under a name.
///
/// It gives every event at least once: after a crash it goes on behind its last commit, so what
/// was received and not committed comes again. One at a time holds a name. It neither holds the
/// store nor outlives it: once the store is closed it says so at once, since nothing could be
/// committed any more.
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
/// let mut mailer = store.consumer("mailer", &Region::all().scope("shop"))?;
/// assert_eq!(mailer.recv()?.decode::<String>()?, "two apples");
/// mailer.commit()?;
/// assert_eq!(mailer.recv()?.decode::<String>()?, "paid");
/// // The process ends before it has committed that one.
/// drop((mailer, store));
///
/// let store = Store::open(StoreConfig::new(path))?;
/// let mut mailer = store.consumer("mailer", &Region::all().scope("shop"))?;
/// assert_eq!(mailer.recv()?.decode::<String>()?, "paid");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "it gives nothing unless somebody receives"]
pub struct Consumer<S: Storage = FsStorage> {
    pub(super) work: Work<S>,
}

/// What the store knows of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStatus {
    /// Its name.
    pub name: String,
    /// The last sequence that it has committed; `None` at the log's beginning.
    pub after: Option<Sequence>,
    /// Which events it takes.
    pub region: Region,
    /// How many events of its region stand behind its checkpoint.
    pub lag: u64,
    /// Whether somebody in this process holds it.
    pub held: bool,
}

/// See [`Consumer`].
pub(super) struct Work<S: Storage> {
    held: Held<S>,
    config: ConsumerConfig,
    tail: Tail<S>,
    /// Everything up to here is done with.
    done: Option<Sequence>,
    committed: Option<Sequence>,
    /// Events that are done with since the last commit.
    uncommitted: u32,
    /// The event that was given last, where it may not be done with.
    in_hand: Option<Sequence>,
    ended: bool,
}

/// A consumer's name, which nobody else has meanwhile.
struct Held<S: Storage> {
    store: Weak<Inner<S>>,
    name: String,
}

impl<S: Storage> Store<S> {
    /// The consumer of a name, to be committed by hand, from the log's beginning where it is new.
    ///
    /// # Errors
    ///
    /// [`ConsumerError::ConsumerBusy`] while somebody holds it;
    /// [`ConsumerError::RegionChanged`] where it had another region; storage errors.
    pub fn consumer(&self, name: &str, region: &Region) -> Result<Consumer<S>, ConsumerError> {
        self.consumer_with(name, region, ConsumerConfig::default())
    }

    /// As [`consumer`](Store::consumer), with options.
    ///
    /// # Errors
    ///
    /// As [`consumer`](Store::consumer).
    pub fn consumer_with(
        &self,
        name: &str,
        region: &Region,
        config: ConsumerConfig,
    ) -> Result<Consumer<S>, ConsumerError> {
        let held = Held::new(&self.inner, name)?;
        let committer = &self.inner.committer;
        let known = committer.with_log(|log| log.consumer_checkpoint(name))?;
        let end = committer.feed().reader().end().checked_prev();
        let start = match config.start {
            StartAt::Beginning => None,
            StartAt::End => end,
            StartAt::After(sequence) => Some(sequence),
        };
        let is_new = known.as_ref().is_none_or(|known| known.region != *region);
        // A log that was put back to an earlier state gives later sequences to other events.
        let known = known.map(|known| ConsumerCheckpoint { after: known.after.min(end), ..known });
        let after = match (known, config.region_change) {
            (None, _) => start,
            (Some(known), _) if !is_new => known.after,
            (Some(known), RegionChange::Refuse) => {
                let (name, known) = (name.to_owned(), Box::new(known.region));
                return Err(ConsumerError::RegionChanged { name, known });
            }
            (Some(known), RegionChange::Continue) => known.after,
            (Some(_), RegionChange::Restart) => start,
        };
        let tail = Tail::new(committer.feed().clone(), region.clone(), after);
        let (done, committed) = (after, after);
        let (uncommitted, in_hand, ended) = (0, None, false);
        let mut work = Work { held, config, tail, done, committed, uncommitted, in_hand, ended };
        if is_new {
            // It begins here, however late its first commit comes.
            work.write()?;
        }
        Ok(Consumer { work })
    }

    /// All consumers that have a checkpoint, by name, and how far behind each is.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn consumers(&self) -> Result<Vec<ConsumerStatus>, StoreError> {
        let committer = &self.inner.committer;
        let known = committer.with_log(|log| {
            let names: Vec<String> = log.consumer_names().map(str::to_owned).collect();
            Ok(names
                .into_iter()
                .map(|name| {
                    let checkpoint = log.consumer_checkpoint(&name);
                    (name, checkpoint)
                })
                .collect::<Vec<_>>())
        })?;
        let reader = committer.reader();
        let held = self.inner.consumers.lock().clone();
        let mut consumers = Vec::with_capacity(known.len());
        for (name, checkpoint) in known {
            let ConsumerCheckpoint { after, region } = match checkpoint {
                Ok(Some(checkpoint)) => checkpoint,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(name, %error, "a checkpoint that is no consumer's");
                    continue;
                }
            };
            let next = after.map_or(Sequence::ZERO, |after| after.checked_next().unwrap_or(after));
            let lag = reader.query(&region).starting_at(next).skip_matches(u64::MAX)?.events;
            let held = held.contains(&name);
            consumers.push(ConsumerStatus { name, after, region, lag, held });
        }
        Ok(consumers)
    }

    /// Forgets a consumer; `false` where there was none.
    ///
    /// # Errors
    ///
    /// [`ConsumerError::ConsumerBusy`] while somebody holds it; storage errors.
    pub fn delete_consumer(&self, name: &str) -> Result<bool, ConsumerError> {
        let held = Held::new(&self.inner, name)?;
        let checkpoint = CheckpointName::consumer(&held.name);
        let known = self.inner.committer.with_log(|log| {
            let known = log.checkpoint(checkpoint).is_some();
            log.remove_checkpoint(checkpoint, MetaSync::Now)?;
            Ok(known)
        })?;
        Ok(known)
    }
}

impl<S: Storage> Consumer<S> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.work.held.name
    }

    /// The last sequence that it has committed; `None` at the log's beginning.
    #[must_use]
    pub fn committed(&self) -> Option<Sequence> {
        self.work.committed
    }

    /// Writes down that everything received so far is done with.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`]; storage errors, after which the same call may be tried again.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        self.work.commit()
    }
}

receive_methods!(Consumer<S>, Event, work);

impl<S: Storage> std::fmt::Debug for Consumer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("name", &self.name())
            .field("committed", &self.committed())
            .finish_non_exhaustive()
    }
}

impl<S: Storage> Work<S> {
    /// Notes that what was given is done with, and commits where that is due: at once where it is
    /// committed by hand.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        match self.config.commit {
            CommitMode::Manual => self.commit(),
            CommitMode::EveryN(_) => self.confirm(),
        }
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.done = self.in_hand.take().or(self.done);
        if self.done == self.committed { Ok(()) } else { self.write() }
    }

    fn every(&self) -> Option<u32> {
        match self.config.commit {
            CommitMode::Manual => None,
            CommitMode::EveryN(events) => Some(events.get()),
        }
    }

    /// Whoever asks for the next event is done with the one before.
    fn confirm(&mut self) -> Result<(), StoreError> {
        let Some(every) = self.every() else { return Ok(()) };
        if let Some(given) = self.in_hand.take() {
            self.done = Some(given);
            self.uncommitted = self.uncommitted.saturating_add(1);
        }
        if self.uncommitted >= every { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let inner = self.held.store.upgrade().ok_or(StoreError::Closed)?;
        if let Some(done) = self.done
            && done >= inner.committer.with_log(|log| Ok(log.durable_end()))?
        {
            inner.committer.sync()?;
        }
        let region = self.tail.cursor.region().clone();
        let checkpoint = ConsumerCheckpoint { after: self.done, region };
        let (name, sync) = (&self.held.name, self.config.sync);
        inner.committer.with_log(|log| log.set_consumer_checkpoint(name, &checkpoint, sync))?;
        (self.committed, self.uncommitted) = (self.done, 0);
        Ok(())
    }
}

impl<S: Storage> Pull for Work<S> {
    type Item = Event;

    fn signal(&self) -> &Arc<Signal> {
        &self.tail.feed.signal
    }

    fn pull(&mut self) -> Result<Option<Event>, FollowError> {
        if self.signal().seen().is_closed() {
            return Err(FollowError::Closed);
        }
        self.confirm()?;
        let event = self.tail.next()?;
        match &event {
            Some(event) => self.in_hand = Some(event.sequence()),
            None if self.uncommitted > 0 => self.write()?,
            None => {}
        }
        Ok(event)
    }

    fn ended(&mut self) -> &mut bool {
        &mut self.ended
    }
}

impl<S: Storage> Drop for Work<S> {
    fn drop(&mut self) {
        if self.uncommitted > 0
            && let Err(error) = self.write()
        {
            let name = &self.held.name;
            tracing::warn!(name, %error, "a consumer's last commit failed: some events come again");
        }
    }
}

impl<S: Storage> Held<S> {
    fn new(inner: &Arc<Inner<S>>, name: &str) -> Result<Self, ConsumerError> {
        if !inner.consumers.lock().insert(name.to_owned()) {
            return Err(ConsumerError::ConsumerBusy { name: name.to_owned() });
        }
        Ok(Held { store: Arc::downgrade(inner), name: name.to_owned() })
    }
}

impl<S: Storage> Drop for Held<S> {
    fn drop(&mut self) {
        if let Some(inner) = self.store.upgrade() {
            inner.consumers.lock().remove(&self.name);
        }
    }
}
