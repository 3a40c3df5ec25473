//! Group commit: whoever has the turn commits for all that wait.
//!
//! A caller that finds the turn free takes it and commits at once, on its own thread. One that does
//! not enqueues its batch and parks. The thread that has the turn takes the whole queue, and what
//! comes while it is staged, into one write and one sync. The sync runs without the writer: those
//! that come meanwhile stage their batches behind it, so that the next group is ready when it ends.
//! Whoever has finished wakes the next leader, the front of the queue, and those it has served: as
//! many of these first as it takes for the next group to be worth its sync. Submitted batches have
//! no thread that waits, so a thread of the store's leads for them.
//!
//! No wake-up is lost: a batch stays in the queue until a leader takes it, staged ahead or not. A
//! caller enqueues, then tries the turn; a leader gives the turn up, then looks at the queue.

use crate::config::{RestartPolicy, Restarts};
use crate::host::SystemHost;
use crate::store::led::{BatchRef, Led};
use crate::store::request::{Answer, Request};
use crate::store::signal::Feed;
use crate::store::sync::{AtomicBool, Condvar, Instant, Mutex, MutexGuard, Ordering, park};
use annals_core::{Batch, Log, LogConfig, PendingSync, Reader, Storage, StoreError};
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The log of a native store.
pub(crate) type NativeLog<S> = Log<Arc<S>, SystemHost>;

/// See the module.
pub(crate) struct Committer<S: Storage> {
    /// Held by the one that does anything with the log but stage ahead, its sync included. Taken
    /// before the writer.
    turn: Mutex<()>,
    writer: Mutex<Writer<S>>,
    /// A sync has ended, and those who stage ahead are to make way.
    landing: AtomicBool,
    queue: Mutex<VecDeque<Arc<Request>>>,
    room: Condvar,
    capacity: usize,
    closed: AtomicBool,
    feed: Feed<S>,
    /// Called when batches wait that no thread of a caller will lead.
    call_leader: Box<dyn Fn() + Send + Sync>,
}

/// What is behind the lock.
pub(crate) struct Writer<S: Storage> {
    /// `None` once the store is closed, or the writer crashed for good.
    log: Option<NativeLog<S>>,
    /// What was staged beside a sync. Its batches are in the queue still.
    ahead: Led,
    /// Staging ahead has panicked; starting over is for whoever has the turn.
    panic: Option<Box<dyn Any + Send>>,
    restarts: Restarts,
    crash: Option<String>,
}

impl<S: Storage> Committer<S> {
    pub(crate) fn new(
        storage: Arc<S>,
        host: SystemHost,
        config: LogConfig,
        policy: RestartPolicy,
        capacity: usize,
        call_leader: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let log = Log::open(storage, host, config)?;
        let feed = Feed::new(log.readers());
        let restarts = Restarts::new(policy);
        let (ahead, panic, crash) = (Led::default(), None, None);
        let writer = Writer { log: Some(log), ahead, panic, restarts, crash };
        Ok(Committer {
            turn: Mutex::default(),
            writer: Mutex::new(writer),
            landing: AtomicBool::new(false),
            queue: Mutex::default(),
            room: Condvar::new(),
            capacity,
            closed: AtomicBool::new(false),
            feed,
            call_leader: Box::new(call_leader),
        })
    }

    /// A reader of everything that is committed.
    pub(crate) fn reader(&self) -> Reader<Arc<S>> {
        self.feed.reader()
    }

    /// What followers hold.
    pub(crate) fn feed(&self) -> &Feed<S> {
        &self.feed
    }

    /// Commits a batch and waits for it.
    pub(crate) fn append(&self, batch: Batch) -> Answer {
        self.check_open()?;
        if let Some(turn) = self.turn.try_lock() {
            let own = (batch.items(), batch.condition());
            return self.lead(turn, Some(own)).unwrap_or(Err(StoreError::Closed));
        }
        let request = Arc::new(Request::new(batch));
        request.wait_here();
        self.enqueue(&request)?;
        loop {
            if let Some(answer) = request.take() {
                return answer;
            }
            if let Some(turn) = self.turn.try_lock() {
                self.lead(turn, None);
                if let Some(answer) = request.take() {
                    return answer;
                }
                // Another leader has taken the batch, has given the turn up, and answers next: to
                // lead again and again until then would be in its way.
            } else {
                self.stage_ahead();
            }
            park();
        }
    }

    /// Enqueues a batch, waiting for room.
    pub(crate) fn submit(&self, batch: Batch) -> Result<Arc<Request>, StoreError> {
        self.check_open()?;
        let request = Arc::new(Request::new(batch));
        self.enqueue(&request)?;
        (self.call_leader)();
        Ok(request)
    }

    /// Enqueues a batch if there is room.
    pub(crate) fn try_submit(&self, batch: Batch) -> Result<Arc<Request>, StoreError> {
        let request = Arc::new(Request::new(batch));
        {
            let mut queue = self.queue.lock();
            self.check_open()?;
            if queue.len() >= self.capacity {
                return Err(StoreError::QueueFull { capacity: self.capacity });
            }
            queue.push_back(Arc::clone(&request));
        }
        (self.call_leader)();
        Ok(request)
    }

    /// Events that wait for a commit.
    pub(crate) fn waiting_events(&self) -> u64 {
        self.queue.lock().iter().map(|request| request.batch_ref().0.len() as u64).sum()
    }

    fn enqueue(&self, request: &Arc<Request>) -> Result<(), StoreError> {
        let mut queue = self.queue.lock();
        loop {
            // Under the queue's lock: a store that closes drains the queue after it has said so.
            self.check_open()?;
            if queue.len() < self.capacity {
                break;
            }
            self.room.wait(&mut queue);
        }
        queue.push_back(Arc::clone(request));
        Ok(())
    }

    /// Commits what waits, if anything does.
    pub(crate) fn lead_queue(&self) {
        if self.queue.lock().is_empty() {
            return;
        }
        let turn = self.turn.try_lock().unwrap_or_else(|| {
            self.stage_ahead();
            self.turn.lock()
        });
        self.lead(turn, None);
    }

    /// Gives the turn up and wakes who leads next.
    fn give_up(&self, turn: MutexGuard<'_, ()>) {
        drop(turn);
        let front = self.queue.lock().front().cloned();
        if let Some(front) = front
            && !front.is_done()
            && !front.wake_to_lead()
        {
            (self.call_leader)();
        }
    }

    /// Stages what waits behind the commit that is under way, if nobody else is at it.
    fn stage_ahead(&self) {
        let landing = || self.landing.load(Ordering::Acquire);
        while !landing() {
            let Some(mut writer) = self.writer.try_lock() else { return };
            let Writer { log: Some(log), ahead, panic: None, .. } = &mut *writer else { return };
            let known = ahead.left_in_queue;
            ahead.queued.extend(self.queue.lock().iter().skip(known).cloned());
            ahead.left_in_queue = ahead.queued.len();
            let seen = ahead.left_in_queue;
            let staged = catch_unwind(AssertUnwindSafe(|| ahead.stage_ahead(log, landing)));
            writer.panic = staged.err();
            drop(writer);
            // Whoever has found the writer held meanwhile left its batch to this thread.
            if self.queue.lock().len() <= seen {
                return;
            }
        }
    }

    /// Commits all that waits, `own` behind it, and what comes while that is staged, on this thread;
    /// returns the answer to `own`. Its caller may have submitted before, and what a thread appends
    /// stays in its order.
    fn lead(&self, turn: MutexGuard<'_, ()>, own: Option<BatchRef<'_>>) -> Option<Answer> {
        let mut writer = self.writer.lock();
        writer.mend();
        let mut led = std::mem::take(&mut writer.ahead);
        // Outside of the guard: these are answered whatever happens there.
        self.take_queue(&mut led);
        let end_before = self.feed.end();
        let mut commit_begun = Instant::now();
        let begun = guard(&mut writer, |log| {
            self.stage_all(log, own, &mut led);
            commit_begun = Instant::now();
            Ok(led.begin_commit(log))
        });
        let done = match begun {
            Ok(Some(sync)) => self.finish(writer, &sync, &mut led),
            begun => begun.map(drop),
        };
        let commit = commit_begun.elapsed();
        let moved = self.feed.end() != end_before;
        let failure = done.err().unwrap_or(StoreError::Closed);
        let (mut answered, own_answer) = led.into_answers(&failure);
        let own = own.map(|_| own_answer.unwrap_or(Err(failure)));
        let mut kept = Vec::new();
        let enough = enough_waiting(commit);
        while self.queue.lock().len() < enough
            && let Some((request, answer)) = answered.next()
        {
            kept.extend(request.answer_thread(answer).err().map(|answer| (request, answer)));
        }
        self.give_up(turn);
        for (request, answer) in kept.into_iter().chain(answered) {
            request.answer(answer);
        }
        if moved {
            self.feed.signal.raise();
        }
        own
    }

    /// Stages what was taken and `own`, then what has come meanwhile, until nothing more has.
    fn stage_all(&self, log: &mut NativeLog<S>, own: Option<BatchRef<'_>>, led: &mut Led) {
        loop {
            led.stage_queued(log);
            if let Some(own) = own {
                led.stage_own(log, own);
            }
            if led.queued.len() >= self.capacity || !self.take_queue(led) {
                break;
            }
        }
    }

    /// Syncs what was written, the writer left to those who stage ahead, and makes it visible.
    fn finish(
        &self,
        writer: MutexGuard<'_, Writer<S>>,
        sync: &PendingSync<Arc<S>>,
        led: &mut Led,
    ) -> Result<(), StoreError> {
        drop(writer);
        let synced = catch_unwind(AssertUnwindSafe(|| sync.run()));
        self.landing.store(true, Ordering::Release);
        let mut writer = self.writer.lock();
        self.landing.store(false, Ordering::Release);
        let done = guard(&mut writer, |log| {
            let done = synced.unwrap_or_else(|panic| resume_unwind(panic));
            let finished = log.finish_sync(sync, done);
            led.settle(log, &finished);
            finished
        });
        if done.is_err() {
            writer.unstage();
        }
        done
    }

    /// Takes all that waits; `false` where nothing did that was not known.
    fn take_queue(&self, led: &mut Led) -> bool {
        let known = led.queued.len();
        let mut queue = self.queue.lock();
        let any = !queue.is_empty();
        led.queued.extend(queue.drain(..).skip(std::mem::take(&mut led.left_in_queue)));
        drop(queue);
        if any {
            self.room.notify_all();
        }
        led.queued.len() > known
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    fn check_open(&self) -> Result<(), StoreError> {
        if self.is_closed() { Err(StoreError::Closed) } else { Ok(()) }
    }

    /// Runs `act` with the log, the queue left alone.
    pub(crate) fn with_log<T>(
        &self,
        act: impl FnOnce(&mut NativeLog<S>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let turn = self.turn.lock();
        let mut writer = self.writer.lock();
        writer.mend();
        writer.unstage();
        let end_before = self.feed.end();
        let result = guard(&mut writer, act);
        drop(writer);
        // An erasure appends its record, and starting over finds what a panic left.
        let moved = self.feed.end() != end_before;
        self.give_up(turn);
        if moved {
            self.feed.signal.raise();
        }
        result
    }

    /// Puts all that was acknowledged on stable storage, without holding the writer meanwhile.
    pub(crate) fn sync(&self) -> Result<annals_core::Sequence, StoreError> {
        let pending = self.with_log(|log| Ok(log.begin_sync()))?;
        let Some(pending) = pending else { return self.with_log(NativeLog::sync) };
        let done = catch_unwind(AssertUnwindSafe(|| pending.run()));
        self.with_log(|log| {
            log.finish_sync(&pending, done.unwrap_or_else(|panic| resume_unwind(panic)))?;
            Ok(log.durable_end())
        })
    }

    /// Commits what waits and closes the log.
    pub(crate) fn close(&self) -> Result<(), StoreError> {
        if self.closed.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        self.lead(self.turn.lock(), None);
        let turn = self.turn.lock();
        let mut writer = self.writer.lock();
        writer.mend();
        writer.unstage();
        let closed =
            match writer.log.take().map(|log| catch_unwind(AssertUnwindSafe(|| log.close()))) {
                None => Ok(()),
                Some(Ok(closed)) => closed,
                Some(Err(panic)) => Err(StoreError::WriterCrashed { message: message_of(&*panic) }),
            };
        drop((writer, turn));
        let left: Vec<Arc<Request>> = self.queue.lock().drain(..).collect();
        // Behind the lock: whoever waits for room by now is woken, and nobody begins to wait.
        self.room.notify_all();
        for request in left {
            request.answer(Err(StoreError::Closed));
        }
        self.feed.signal.close();
        closed
    }
}

impl<S: Storage> Writer<S> {
    fn log(&mut self) -> Result<&mut NativeLog<S>, StoreError> {
        match (&mut self.log, &self.crash) {
            (Some(log), _) => Ok(log),
            (None, Some(message)) => Err(StoreError::WriterCrashed { message: message.clone() }),
            (None, None) => Err(StoreError::Closed),
        }
    }

    /// Forgets what was staged ahead; the queue has it still.
    fn unstage(&mut self) {
        self.ahead = Led::default();
        if let Some(log) = &mut self.log {
            log.discard();
        }
    }

    /// Starts over where staging ahead has panicked.
    fn mend(&mut self) {
        if let Some(panic) = self.panic.take() {
            self.restart(&*panic);
        }
    }

    /// Rebuilds the writer after a panic, as far as its policy goes.
    fn restart(&mut self, panic: &(dyn Any + Send)) -> StoreError {
        self.ahead = Led::default();
        let mut message = message_of(panic);
        tracing::error!(%message, "a commit panicked");
        if self.restarts.allow()
            && let Some(log) = &mut self.log
        {
            match catch_unwind(AssertUnwindSafe(|| log.reopen())) {
                Ok(Ok(())) => return StoreError::Interrupted { message },
                Ok(Err(error)) => message = format!("{message}; starting over failed: {error}"),
                Err(panic) => {
                    message = format!("{message}; starting over: {}", message_of(&*panic));
                }
            }
        }
        self.log = None;
        self.crash = Some(message.clone());
        StoreError::WriterCrashed { message }
    }
}

/// Runs `act` with the log. A panic of the host's or the storage's ends here: whoever waits for
/// the writer is still to be woken.
fn guard<S: Storage, T>(
    writer: &mut Writer<S>,
    act: impl FnOnce(&mut NativeLog<S>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let acted = catch_unwind(AssertUnwindSafe(|| act(writer.log()?)));
    acted.unwrap_or_else(|panic| Err(writer.restart(&*panic)))
}

pub(crate) fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}

/// How many batches that wait are enough for the next leader to begin with, where a write and its
/// sync take so long. A thread that is answered may well come back with its next append, and the longer a commit
/// takes, the more it pays to have all of them in one. But while they come back no commit is under
/// way: waking a thread, and taking its next batch in, is some microseconds' work.
fn enough_waiting(commit: Duration) -> usize {
    usize::try_from(commit.as_micros() / ANSWER_US).unwrap_or(usize::MAX).max(1)
}

const ANSWER_US: u128 = 5;
