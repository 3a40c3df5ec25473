//! Reactors: events that are answered with events.
//!
//! A reaction's id is made of its trigger's, the reactor's name and its place, so a trigger that
//! comes again, after a crash before its commit, doubles nothing. How deep a chain of causes is
//! is counted in the log, never taken from what an event says of itself. The thread holds the
//! store only while it appends.

use crate::config::Restarts;
use crate::store::commit::message_of;
use crate::store::follow::consumer::Consumer;
use crate::store::follow::react_config::{ReactConfig, ReactError, ReactSummary};
use crate::store::follow::receive::Pull;
use crate::store::follow::{Follow, FollowError, Subscription};
use crate::store::signal::Signal;
use crate::store::{Inner, Store, no_thread};
use annals_core::{Append, Batch, Event, EventId, Sequence, Storage, StoreError};
use parking_lot::Mutex;
use source::{Heard, Source};
use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

/// What a reactor returns: the events to append, in one piece, or none.
type Reacted = Result<Batch, Box<dyn Error + Send + Sync>>;

/// What a reactor may be given its events by: a [`Subscription`], which may lose some, a
/// [`Follow`], which begins where it is told each time, or a [`Consumer`], which goes on where it
/// was, and is committed behind each reaction.
pub trait ReactSource: Source {}

mod source {
    use super::{Arc, Event, FollowError, Signal, StoreError};

    /// A signal that nobody else can look into.
    #[derive(Debug)]
    pub struct Heard(pub(super) Arc<Signal>);

    /// What only this crate can be.
    pub trait Source: Send + 'static {
        #[doc(hidden)]
        fn heard(&self) -> Heard;

        #[doc(hidden)]
        fn pull_event(&mut self) -> Result<Option<Event>, FollowError>;

        /// What was pulled is done with.
        #[doc(hidden)]
        fn settle(&mut self) -> Result<(), StoreError>;
    }
}

/// A running reactor. Dropping this lets it run until the store is closed.
#[derive(Debug)]
pub struct Reactor {
    shared: Arc<Shared>,
    thread: JoinHandle<Result<(), ReactError>>,
}

#[derive(Debug)]
struct Shared {
    signal: Arc<Signal>,
    stopped: AtomicBool,
    summary: Mutex<ReactSummary>,
}

impl Reactor {
    /// Has it end, behind the event that it is at. [`join`](Reactor::join) waits for that.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.signal.raise();
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// What it has done so far.
    #[must_use]
    pub fn summary(&self) -> ReactSummary {
        *self.shared.summary.lock()
    }

    /// Waits until it has ended: because it was stopped, the store was closed, or it failed.
    ///
    /// # Errors
    ///
    /// Why it failed.
    pub fn join(self) -> Result<ReactSummary, ReactError> {
        self.thread.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        let summary = *self.shared.summary.lock();
        Ok(summary)
    }
}

impl<S> Store<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// Starts a thread that gives each event of `source` to `react` and appends what it returns,
    /// in one piece, as caused by that event and with its correlation.
    ///
    /// Items with [`Append::caused_by_item`] keep the cause that they name. An idempotency key of
    /// an item's own is kept, too; all others get one that a repetition would get again. With a
    /// [`Consumer`], every event is reacted to: once where that is only appending, and at least
    /// once where `react` has other effects.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidInput`] for a configuration that makes no sense, and where no thread
    /// could be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{Append, Batch, Coordinate, EventKind, Payload, ReactConfig, Region, Store};
    ///
    /// const PLACED: EventKind = EventKind::new(1, 1);
    /// const SENT: EventKind = EventKind::new(1, 2);
    /// let store = Store::in_memory()?;
    /// let placed = store.consumer("sender", &Region::all().kind(PLACED))?;
    /// let sender = store.react_loop(placed, ReactConfig::new("sender"), |event| {
    ///     let parcel = Payload::postcard(&event.decode::<String>()?)?;
    ///     Ok(Batch::new().push(Append::new(event.coordinate.clone(), SENT, parcel)))
    /// })?;
    ///
    /// let mut sent = store.subscribe(&Region::all().kind(SENT));
    /// let order = store.append(&Coordinate::new("order:5", "shop")?, PLACED, &"tea")?;
    /// let parcel = sent.recv()?;
    /// assert_eq!(parcel.header.causation, Some(order.id));
    /// sender.stop();
    /// assert_eq!(sender.join()?.reactions, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn react_loop<R: ReactSource>(
        &self,
        source: R,
        config: ReactConfig,
        react: impl FnMut(&Event) -> Reacted + Send + 'static,
    ) -> Result<Reactor, StoreError> {
        config.check()?;
        let (stopped, summary) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { signal: source.heard().0, stopped, summary });
        let run = Run {
            store: Arc::downgrade(&self.inner),
            begun_end: self.reader().end(),
            restarts: Restarts::new(config.restart_policy),
            source,
            react,
            config,
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new().name("annals-react".into());
        let thread = thread.spawn(move || run.run()).map_err(|error| no_thread(&error))?;
        Ok(Reactor { shared, thread })
    }
}

/// The thread's own.
struct Run<S: Storage, R, F> {
    store: Weak<Inner<S>>,
    /// Events before it may have been reacted to by an earlier run.
    begun_end: Sequence,
    restarts: Restarts,
    source: R,
    react: F,
    config: ReactConfig,
    shared: Arc<Shared>,
}

/// What became of a trigger.
enum Done {
    Appended(usize),
    Repeated,
    TooDeep,
}

/// Why a try ended without success.
enum Failure {
    /// The store is closed.
    Closed,
    Error(ReactError),
}

impl<S, R, F> Run<S, R, F>
where
    S: Storage,
    R: ReactSource,
    F: FnMut(&Event) -> Reacted,
{
    fn run(mut self) -> Result<(), ReactError> {
        match self.follow() {
            Ok(()) | Err(Failure::Closed) => Ok(()),
            Err(Failure::Error(error)) => {
                tracing::error!(%error, "a reactor ended");
                Err(error)
            }
        }
    }

    fn follow(&mut self) -> Result<(), Failure> {
        loop {
            let seen = self.shared.signal.seen();
            if self.is_stopped() {
                return Ok(());
            }
            match self.source.pull_event() {
                Ok(Some(event)) => self.answer(&event)?,
                Ok(None) if seen.is_closed() => return Ok(()),
                Ok(None) => {
                    self.shared.signal.wait(seen, None);
                }
                Err(FollowError::Lagged(lost)) => {
                    tracing::warn!(reactor = self.config.name, lost, "a reactor lost events");
                    self.shared.summary.lock().lagged += lost;
                }
                Err(FollowError::Closed | FollowError::Finished) => return Ok(()),
                Err(FollowError::Store(error)) => {
                    let failure = self.failure(error);
                    self.forgive(failure)?;
                }
            }
        }
    }

    /// Answers one trigger, as often as it takes.
    fn answer(&mut self, trigger: &Event) -> Result<(), Failure> {
        let mut may_be_answered = trigger.sequence() < self.begun_end;
        let done = loop {
            match self.try_answer(trigger, may_be_answered) {
                Ok(done) => break done,
                Err(failure) => self.forgive(failure)?,
            }
            if self.is_stopped() {
                return Ok(());
            }
            // What failed may have been written all the same.
            may_be_answered = true;
        };
        while let Err(error) = self.source.settle() {
            let failure = self.failure(error);
            self.forgive(failure)?;
        }
        let mut summary = self.shared.summary.lock();
        summary.triggers += 1;
        match done {
            Done::Appended(events) => summary.reactions += events as u64,
            Done::Repeated => summary.repeated += 1,
            Done::TooDeep => summary.too_deep += 1,
        }
        Ok(())
    }

    fn try_answer(&mut self, trigger: &Event, may_be_answered: bool) -> Result<Done, Failure> {
        let depth_max = self.config.depth_max;
        let (depth, answered) = {
            let inner = self.store.upgrade().ok_or(Failure::Closed)?;
            let reader = inner.committer.reader();
            let depth = match reader.causal_depth(trigger.id(), depth_max) {
                // It may come from another store, or retention has dropped it meanwhile.
                Err(StoreError::NotFound(_)) => 0,
                depth => depth.map_err(|error| self.failure(error))?,
            };
            let answered = may_be_answered
                && match reader.get(self.key(trigger, 0)) {
                    Ok(_) => true,
                    Err(StoreError::NotFound(_)) => false,
                    Err(error) => return Err(self.failure(error)),
                };
            (depth, answered)
        };
        if depth >= depth_max {
            let (reactor, sequence) = (&self.config.name, trigger.sequence().get());
            tracing::warn!(reactor, sequence, depth, "a trigger's chain of causes is too long");
            return Ok(Done::TooDeep);
        }
        if answered {
            return Ok(Done::Repeated);
        }
        let batch = self.call(trigger)?;
        if batch.is_empty() {
            return Ok(Done::Appended(0));
        }
        let events = batch.len();
        let batch = self.as_reaction(trigger, &batch);
        let inner = self.store.upgrade().ok_or(Failure::Closed)?;
        inner.committer.append(batch).map_err(|error| self.failure(error))?;
        Ok(Done::Appended(events))
    }

    fn call(&mut self, trigger: &Event) -> Result<Batch, Failure> {
        let react = &mut self.react;
        let reacted = catch_unwind(AssertUnwindSafe(|| react(trigger)));
        let (name, trigger) = (self.config.name.clone(), trigger.sequence());
        let error = match reacted {
            Ok(Ok(batch)) => return Ok(batch),
            Ok(Err(cause)) => ReactError::Failed { name, trigger, cause },
            Err(panic) => {
                let message = message_of(&*panic);
                ReactError::Panicked { name, trigger, message }
            }
        };
        Err(Failure::Error(error))
    }

    /// The batch, as caused by the trigger.
    fn as_reaction(&self, trigger: &Event, batch: &Batch) -> Batch {
        let items = batch.items().iter().enumerate().map(|(at, item)| {
            let mut append: Append = item.clone();
            let options = &mut append.options;
            options.correlation = Some(trigger.header.correlation);
            options.idempotency_key.get_or_insert_with(|| self.key(trigger, at));
            options.causation = if item.cause_item().is_some() { None } else { Some(trigger.id()) };
            append
        });
        let reaction: Batch = items.collect();
        match batch.condition() {
            Some(condition) => reaction.with_condition(condition.clone()),
            None => reaction,
        }
    }

    /// The id of the reaction at a place.
    fn key(&self, trigger: &Event, at: usize) -> EventId {
        EventId::from_key(&format!("annals.react/{}/{}/{at}", self.config.name, trigger.id()))
    }

    fn failure(&self, cause: StoreError) -> Failure {
        match cause {
            StoreError::Closed => Failure::Closed,
            cause => Failure::Error(ReactError::Store { name: self.config.name.clone(), cause }),
        }
    }

    /// Goes on behind a failure, as far as the policy lets it.
    fn forgive(&mut self, failure: Failure) -> Result<(), Failure> {
        match failure {
            Failure::Error(error) if self.restarts.allow() => {
                tracing::warn!(%error, "a reactor is tried again");
                self.shared.summary.lock().restarts += 1;
                Ok(())
            }
            failure => Err(failure),
        }
    }

    fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::SeqCst)
    }
}

macro_rules! react_sources {
    ($($of:ident, $field:ident, $settle:expr;)*) => {$(
        impl<S> Source for $of<S>
        where
            S: Storage + Send + Sync + 'static,
            S::File: Send + Sync,
        {
            fn heard(&self) -> Heard {
                Heard(Arc::clone(self.$field.signal()))
            }

            fn pull_event(&mut self) -> Result<Option<Event>, FollowError> {
                self.$field.pull()
            }

            fn settle(&mut self) -> Result<(), StoreError> {
                $settle(self)
            }
        }

        impl<S> ReactSource for $of<S>
        where
            S: Storage + Send + Sync + 'static,
            S::File: Send + Sync,
        {
        }
    )*};
}

react_sources! {
    Subscription, flow, |_: &mut Self| Ok(());
    Follow, flow, |_: &mut Self| Ok(());
    Consumer, work, |consumer: &mut Self| consumer.work.settle();
}
