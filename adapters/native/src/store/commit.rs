//! Group commit: whoever holds the writer commits for all that wait.
//!
//! A caller that finds the writer free commits at once, on its own thread. One that does not
//! enqueues its batch and parks. The thread that holds the writer takes the whole queue, and what
//! comes while it is staged, into one write and one sync. When it lets go it wakes the next leader,
//! the front of what has gathered meanwhile, and those it has served: as many of these first as it
//! takes for the next group to be worth its sync. Submitted batches have no thread that waits, so a
//! thread of the store's leads for them.
//!
//! No wake-up is lost: a caller enqueues, then tries the writer; a leader lets the writer go, then
//! looks at the queue.

use crate::config::{RestartPolicy, Restarts};
use crate::host::SystemHost;
use crate::store::request::{Answer, Request};
use crate::store::signal::Feed;
use crate::store::sync::{AtomicBool, Condvar, Instant, Mutex, MutexGuard, Ordering, park};
use annals_core::{
    Append, AppendCondition, Batch, Log, LogConfig, Reader, Staged, Storage, StoreError,
};
use std::any::Any;
use std::collections::VecDeque;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The log of a native store.
pub(crate) type NativeLog<S> = Log<Arc<S>, SystemHost>;

/// A group is written when it has grown to so many bytes.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A batch and its own condition.
type BatchRef<'a> = (&'a [Append], Option<&'a AppendCondition>);

/// See the module.
pub(crate) struct Committer<S: Storage> {
    writer: Mutex<Writer<S>>,
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
        let writer = Writer { log: Some(log), restarts, crash: None };
        Ok(Committer {
            writer: Mutex::new(writer),
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
        if let Some(writer) = self.writer.try_lock() {
            let own = (batch.items(), batch.condition());
            return self.lead(writer, Some(own)).unwrap_or(Err(StoreError::Closed));
        }
        let request = Arc::new(Request::new(batch));
        request.wait_here();
        self.enqueue(&request)?;
        loop {
            if let Some(answer) = request.take() {
                return answer;
            }
            if let Some(writer) = self.writer.try_lock() {
                self.lead(writer, None);
                if let Some(answer) = request.take() {
                    return answer;
                }
                // Another leader has taken the batch, has let the writer go, and answers next: to
                // lead again and again until then would be in its way.
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
        self.lead(self.writer.lock(), None);
    }

    /// Lets the writer go and wakes who leads next.
    fn let_go(&self, writer: MutexGuard<'_, Writer<S>>) {
        drop(writer);
        let front = self.queue.lock().front().cloned();
        if let Some(front) = front
            && !front.is_done()
            && !front.wake_to_lead()
        {
            (self.call_leader)();
        }
    }

    /// Commits all that waits, `own` behind it, and what comes while that is staged, on this thread;
    /// returns the answer to `own`. Its caller may have submitted before, and what a thread appends
    /// stays in its order.
    fn lead(
        &self,
        mut writer: MutexGuard<'_, Writer<S>>,
        own: Option<BatchRef<'_>>,
    ) -> Option<Answer> {
        let begun = Instant::now();
        let mut led = Led::default();
        // Outside of the guard: these are answered whatever happens there.
        self.take_queue(&mut led.queued);
        let end_before = self.feed.end();
        let done = guard(&mut writer, |log| {
            self.commit_all(log, own, &mut led);
            Ok(())
        });
        let moved = self.feed.end() != end_before;
        let failure = done.err().unwrap_or(StoreError::Closed);
        let Led { queued, mut answers, own_at, .. } = led;
        answers.resize_with(queued.len() + usize::from(own_at.is_some()), || None);
        let own = own.map(|_| {
            let answer = own_at.and_then(|at| answers.remove(at));
            answer.unwrap_or_else(|| Err(failure.clone()))
        });
        let answers = answers.into_iter().map(|answer| answer.unwrap_or(Err(failure.clone())));
        let mut answered = queued.iter().zip(answers);
        let mut kept = Vec::new();
        if !queued.is_empty() {
            let enough = enough_waiting(begun.elapsed());
            while self.queue.lock().len() < enough
                && let Some((request, answer)) = answered.next()
            {
                kept.extend(request.answer_thread(answer).err().map(|answer| (request, answer)));
            }
        }
        self.let_go(writer);
        for (request, answer) in kept.into_iter().chain(answered) {
            request.answer(answer);
        }
        if moved {
            self.feed.signal.raise();
        }
        own
    }

    /// Stages what was taken and `own`, then what has come meanwhile, until nothing more has, and
    /// writes it, as one group where it fits.
    fn commit_all(&self, log: &mut NativeLog<S>, own: Option<BatchRef<'_>>, led: &mut Led) {
        let mut staged = 0;
        loop {
            while let Some(request) = led.queued.get(staged).cloned() {
                led.stage(log, request.batch_ref());
                staged += 1;
            }
            if let Some(own) = own.filter(|_| led.own_at.is_none()) {
                led.own_at = Some(led.answers.len());
                led.stage(log, own);
            }
            if staged >= self.capacity || !self.take_queue(&mut led.queued) {
                break;
            }
        }
        led.commit_group(log);
    }

    /// Takes all that waits; `false` where nothing did.
    fn take_queue(&self, taken: &mut Vec<Arc<Request>>) -> bool {
        let before = taken.len();
        taken.extend(self.queue.lock().drain(..));
        let any = taken.len() > before;
        if any {
            self.room.notify_all();
        }
        any
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
        let mut writer = self.writer.lock();
        let end_before = self.feed.end();
        let result = guard(&mut writer, act);
        // An erasure appends its record, and starting over finds what a panic left.
        let moved = self.feed.end() != end_before;
        self.let_go(writer);
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
        self.lead(self.writer.lock(), None);
        let mut writer = self.writer.lock();
        let closed =
            match writer.log.take().map(|log| catch_unwind(AssertUnwindSafe(|| log.close()))) {
                None => Ok(()),
                Some(Ok(closed)) => closed,
                Some(Err(panic)) => Err(StoreError::WriterCrashed { message: message_of(&*panic) }),
            };
        drop(writer);
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

    /// Rebuilds the writer after a panic, as far as its policy goes.
    fn restart(&mut self, panic: &(dyn Any + Send)) -> StoreError {
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

/// How many batches that wait are enough for the next leader to begin with, where a commit takes so
/// long. A thread that is answered may well come back with its next append, and the longer a commit
/// takes, the more it pays to have all of them in one. But while they come back no commit is under
/// way: waking a thread, and taking its next batch in, is some microseconds' work.
fn enough_waiting(commit: Duration) -> usize {
    usize::try_from(commit.as_micros() / ANSWER_US).unwrap_or(usize::MAX).max(1)
}

const ANSWER_US: u128 = 5;

/// What a leader commits, and what becomes of it.
#[derive(Default)]
struct Led {
    queued: Vec<Arc<Request>>,
    /// In the order of staging: those of the queued batches, and the leader's own among them.
    answers: Vec<Option<Answer>>,
    own_at: Option<usize>,
    /// The answers that wait until the group is written.
    staged: Vec<(usize, Range<usize>)>,
    /// Refused in view of what is staged: true only once that is written.
    refused: Vec<(usize, StoreError)>,
}

impl Led {
    /// Stages a batch, behind a commit of what is staged where it does not fit.
    fn stage<S: Storage>(&mut self, log: &mut NativeLog<S>, (items, condition): BatchRef<'_>) {
        let at = self.answers.len();
        self.answers.push(None);
        loop {
            match log.stage(items, condition) {
                Ok(Staged::Group(range)) => self.staged.push((at, range)),
                Ok(Staged::Known(receipts)) => self.answers[at] = Some(Ok(receipts)),
                Ok(Staged::Full) => {
                    self.commit_group(log);
                    continue;
                }
                Ok(_) => unreachable!("there is nothing else that staging answers"),
                Err(error) if judges_the_log(&error) => self.refused.push((at, error)),
                Err(error) => self.answers[at] = Some(Err(error)),
            }
            break;
        }
        if log.staged_bytes() >= GROUP_BYTES_MAX {
            self.commit_group(log);
        }
    }

    fn commit_group<S: Storage>(&mut self, log: &mut NativeLog<S>) {
        let Led { answers, staged, refused, .. } = self;
        let committed = log.commit(|log, info| {
            for (at, range) in staged.drain(..) {
                answers[at] = Some(Ok(log.receipts(range, info).collect()));
            }
        });
        let failure = committed.err();
        for (at, _) in staged.drain(..) {
            answers[at] = failure.clone().map(Err);
        }
        for (at, refusal) in refused.drain(..) {
            answers[at] = Some(Err(failure.clone().unwrap_or(refusal)));
        }
    }
}

/// Whether an error says something about events that may only be staged.
fn judges_the_log(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::VersionConflict { .. }
            | StoreError::IdempotencyConflict { .. }
            | StoreError::ConditionFailed { .. }
    )
}
