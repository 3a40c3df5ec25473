//! Tells those who wait that events were committed, or that the store was closed.
//!
//! An event count: who waits notes the count, looks at the log, and sleeps only while the count is
//! still the one noted. So no wake-up is lost, whatever the order. A commit raises the count and
//! looks at one number; where nobody waits that is all. Where many threads wait, it wakes two, and
//! each of those two more: an append does not pay for a thousand. Nobody's waker runs under a
//! lock: it is a stranger's code, and may panic or come back here.

use crate::store::sync::{
    AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, Thread, current, park, park_timeout,
};
use annals_core::{Reader, Readers, Sequence, Storage};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Instant;

/// What followers of a store hold: its readers and its signal, but neither the store itself nor
/// its files. It outlives the store. Cheap to clone.
pub(crate) struct Feed<S: Storage> {
    readers: Readers<Arc<S>>,
    pub(crate) signal: Arc<Signal>,
}

impl<S: Storage> Clone for Feed<S> {
    fn clone(&self) -> Self {
        Feed { readers: self.readers.clone(), signal: Arc::clone(&self.signal) }
    }
}

impl<S: Storage> Feed<S> {
    pub(crate) fn new(readers: Readers<Arc<S>>) -> Self {
        Feed { readers, signal: Arc::default() }
    }

    /// The sequence behind the last event that is committed.
    pub(crate) fn end(&self) -> Sequence {
        self.readers.end()
    }

    /// A reader of everything that is committed.
    pub(crate) fn reader(&self) -> Reader<Arc<S>> {
        self.readers.reader()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    count: AtomicU64,
    closed: AtomicBool,
    /// How many wait.
    waiting: AtomicUsize,
    /// Whether the relay has threads.
    relaying: AtomicBool,
    waiters: Mutex<Waiters>,
}

#[derive(Debug, Default)]
struct Waiters {
    next_key: u64,
    by_key: BTreeMap<u64, Waiter>,
    /// Threads that are to be woken by those that were woken before them. While there are any,
    /// one that was taken from here has not yet [passed on](Signal::pass_on).
    relay: BTreeMap<u64, Thread>,
}

/// How many threads one thread wakes.
const WOKEN_BY_ONE: usize = 2;

impl Waiters {
    /// The next threads of the relay.
    fn next_woken(&mut self) -> [Option<Thread>; WOKEN_BY_ONE] {
        std::array::from_fn(|_| self.relay.pop_first().map(|(_, thread)| thread))
    }
}

#[derive(Debug)]
enum Waiter {
    Thread(Thread),
    Task(Waker),
}

/// What a follower knew of the signal before it looked at the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    count: u64,
    closed: bool,
}

impl Seen {
    /// Whether the store was closed: what the log holds now is all there will be.
    pub(crate) fn is_closed(self) -> bool {
        self.closed
    }
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wake {
    /// There may be something new, or the store was closed: look again.
    Moved,
    /// The deadline has passed.
    TimedOut,
}

impl Signal {
    /// To be asked for before looking at the log, and given to [`wait`](Signal::wait) after it.
    pub(crate) fn seen(&self) -> Seen {
        // The store closes before it raises the count, so a new count never hides a close.
        let count = self.count.load(Ordering::SeqCst);
        Seen { count, closed: self.closed.load(Ordering::SeqCst) }
    }

    /// Blocks this thread until something has happened since `seen`, or until `deadline`.
    pub(crate) fn wait(&self, seen: Seen, deadline: Option<Instant>) -> Wake {
        if self.seen() != seen {
            return Wake::Moved;
        }
        let mut key = None;
        let wake = loop {
            // Registered first, then looked once more: who raises the count sees the registration,
            // or this sees the count. Whoever was woken is registered no longer, and a commit may
            // wake one that has seen it already: so this is done again each time.
            key = Some(self.register(key, Waiter::Thread(current())));
            if self.seen() != seen {
                break Wake::Moved;
            }
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => park(),
                Some(left) if left.is_zero() => break Wake::TimedOut,
                Some(left) => park_timeout(left),
            }
            self.pass_on();
        };
        if let Some(key) = key {
            self.forget(key);
            self.pass_on();
        }
        wake
    }

    /// Says that events were committed.
    pub(crate) fn raise(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.wake_all();
        }
    }

    /// Says that there will be no more events.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.raise();
    }

    #[cold]
    fn wake_all(&self) {
        let mut tasks = Vec::new();
        let threads = {
            let mut waiters = self.waiters.lock();
            self.waiting.store(0, Ordering::SeqCst);
            for (key, waiter) in std::mem::take(&mut waiters.by_key) {
                match waiter {
                    Waiter::Thread(thread) => {
                        waiters.relay.insert(key, thread);
                    }
                    Waiter::Task(waker) => tasks.push(waker),
                }
            }
            self.relaying.store(waiters.relay.len() > WOKEN_BY_ONE, Ordering::SeqCst);
            waiters.next_woken()
        };
        threads.iter().flatten().for_each(Thread::unpark);
        for waker in tasks {
            if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
                tracing::error!("the waker of a follower panicked");
            }
        }
    }

    /// Wakes the next threads of the relay. Whoever was taken from it does so, whether it goes on
    /// or leaves.
    fn pass_on(&self) {
        if !self.relaying.load(Ordering::SeqCst) {
            return;
        }
        let threads = {
            let mut waiters = self.waiters.lock();
            let threads = waiters.next_woken();
            self.relaying.store(!waiters.relay.is_empty(), Ordering::SeqCst);
            threads
        };
        threads.iter().flatten().for_each(Thread::unpark);
    }

    fn register(&self, key: Option<u64>, waiter: Waiter) -> u64 {
        let mut waiters = self.waiters.lock();
        let key = key.unwrap_or(waiters.next_key);
        waiters.next_key = waiters.next_key.max(key + 1);
        let replaced = waiters.by_key.insert(key, waiter);
        self.waiting.store(waiters.by_key.len(), Ordering::SeqCst);
        drop(waiters);
        // Dropping a waker is a stranger's code, too.
        drop(replaced);
        key
    }

    fn forget(&self, key: u64) {
        let mut waiters = self.waiters.lock();
        let removed = waiters.by_key.remove(&key);
        self.waiting.store(waiters.by_key.len(), Ordering::SeqCst);
        // One that leaves can't pass on: whoever stays in the relay is still waiting.
        let thread = waiters.relay.remove(&key);
        drop(waiters);
        drop((removed, thread));
    }
}

/// A task's place among those that wait; dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Registration {
    signal: Arc<Signal>,
    key: Option<u64>,
}

impl Registration {
    pub(crate) fn new(signal: &Arc<Signal>) -> Self {
        Registration { signal: Arc::clone(signal), key: None }
    }

    /// Ready once something has happened since `seen`; until then `waker` is called when it does.
    pub(crate) fn poll_moved(&mut self, seen: Seen, waker: &Waker) -> Poll<()> {
        if self.signal.seen() != seen {
            return Poll::Ready(());
        }
        self.key = Some(self.signal.register(self.key, Waiter::Task(waker.clone())));
        if self.signal.seen() == seen { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.signal.forget(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Wake as _;
    use std::time::Duration;

    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl std::task::Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Unruly {
        signal: Arc<Signal>,
    }

    impl std::task::Wake for Unruly {
        fn wake(self: Arc<Self>) {
            self.signal.raise();
            panic!("as the test wants");
        }
    }

    fn waiting(signal: &Signal) -> usize {
        signal.waiting.load(Ordering::SeqCst)
    }

    #[test]
    fn a_wait_ends_at_once_where_something_happened_before_it() {
        let signal = Signal::default();
        let seen = signal.seen();
        signal.raise();
        assert_eq!(signal.wait(seen, None), Wake::Moved);
        assert!(!signal.seen().is_closed());
    }

    #[test]
    fn one_that_is_woken_by_a_commit_that_it_has_seen_waits_for_the_next() {
        let signal = Signal::default();
        let seen = signal.seen();
        let patience = Instant::now() + Duration::from_secs(60);
        let registered = || {
            while waiting(&signal) == 0 {
                assert!(Instant::now() < patience, "nobody waits");
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| signal.wait(seen, Some(patience)));
            registered();
            signal.wake_all();
            registered();
            signal.raise();
            assert_eq!(waiter.join().unwrap(), Wake::Moved);
        });
    }

    #[test]
    fn a_wait_ends_at_its_deadline_and_leaves_nothing_behind() {
        let signal = Signal::default();
        let deadline = Instant::now() + Duration::from_millis(1);
        assert_eq!(signal.wait(signal.seen(), Some(deadline)), Wake::TimedOut);
        assert_eq!(signal.wait(signal.seen(), Some(deadline)), Wake::TimedOut);
        assert_eq!(waiting(&signal), 0);
    }

    #[test]
    fn closing_wakes_every_thread_and_every_task() {
        let signal = Arc::new(Signal::default());
        let task = Arc::new(Counting::default());
        let mut registration = Registration::new(&signal);
        let seen = signal.seen();
        assert!(registration.poll_moved(seen, &Arc::clone(&task).into()).is_pending());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(signal.wait(seen, None), Wake::Moved));
            }
            while waiting(&signal) < 5 {
                std::thread::yield_now();
            }
            signal.close();
        });
        assert!(signal.seen().is_closed());
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        assert!(registration.poll_moved(seen, &task.into()).is_ready());
    }

    #[test]
    fn a_thousand_are_woken_by_each_other() {
        let signal = Signal::default();
        let seen = signal.seen();
        std::thread::scope(|scope| {
            for _ in 0..1_000 {
                scope.spawn(|| assert_eq!(signal.wait(seen, None), Wake::Moved));
            }
            while waiting(&signal) < 1_000 {
                std::thread::yield_now();
            }
            signal.raise();
        });
        assert!(!signal.relaying.load(Ordering::SeqCst));
        assert!(signal.waiters.lock().relay.is_empty());
    }

    #[test]
    fn those_that_leave_in_the_middle_break_no_relay() {
        let signal = Signal::default();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for at in 0..24_u64 {
                let (signal, done) = (&signal, &done);
                scope.spawn(move || {
                    loop {
                        let seen = signal.seen();
                        if done.load(Ordering::SeqCst) {
                            break;
                        }
                        // Two of three leave all the time, the others stay until they are woken.
                        let patience = Duration::from_micros(at * 7);
                        let deadline = (at % 3 != 0).then(|| Instant::now() + patience);
                        signal.wait(seen, deadline);
                    }
                });
            }
            for _ in 0..3_000 {
                signal.raise();
            }
            done.store(true, Ordering::SeqCst);
            signal.raise();
        });
        assert!(signal.waiters.lock().relay.is_empty());
    }

    #[test]
    fn a_task_is_woken_once_and_its_newest_waker_alone() {
        let signal = Arc::new(Signal::default());
        let (old, new) = (Arc::new(Counting::default()), Arc::new(Counting::default()));
        let mut registration = Registration::new(&signal);
        let seen = signal.seen();
        assert!(registration.poll_moved(seen, &Arc::clone(&old).into()).is_pending());
        assert!(registration.poll_moved(seen, &Arc::clone(&new).into()).is_pending());
        assert_eq!(waiting(&signal), 1);
        signal.raise();
        signal.raise();
        assert_eq!((old.0.load(Ordering::SeqCst), new.0.load(Ordering::SeqCst)), (0, 1));
    }

    #[test]
    fn a_registration_that_is_dropped_is_forgotten() {
        let signal = Arc::new(Signal::default());
        let task = Arc::new(Counting::default());
        let mut registration = Registration::new(&signal);
        let seen = signal.seen();
        assert!(registration.poll_moved(seen, &Arc::clone(&task).into()).is_pending());
        drop(registration);
        assert_eq!(waiting(&signal), 0);
        signal.raise();
        assert_eq!(task.0.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn a_waker_may_come_back_and_may_panic() {
        let signal = Arc::new(Signal::default());
        let unruly = Arc::new(Unruly { signal: Arc::clone(&signal) });
        let task = Arc::new(Counting::default());
        let seen = signal.seen();
        let mut registrations = [Registration::new(&signal), Registration::new(&signal)];
        assert!(registrations[0].poll_moved(seen, &unruly.into()).is_pending());
        assert!(registrations[1].poll_moved(seen, &Arc::clone(&task).into()).is_pending());
        signal.raise();
        assert_eq!(task.0.load(Ordering::SeqCst), 1);
        task.wake();
    }

    #[test]
    fn no_wake_up_is_lost_between_looking_and_sleeping() {
        let signal = Signal::default();
        let log = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        let seen = signal.seen();
                        if log.load(Ordering::Relaxed) == 5_000 {
                            break;
                        }
                        signal.wait(seen, None);
                    }
                });
            }
            for _ in 0..5_000 {
                log.fetch_add(1, Ordering::Relaxed);
                signal.raise();
            }
        });
        assert_eq!(waiting(&signal), 0);
    }
}
