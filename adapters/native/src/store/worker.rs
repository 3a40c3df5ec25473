//! A thread of the store's own that waits to be called, or for its time.

use crate::store::sync::{Builder, Condvar, JoinHandle, Mutex, current};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Calls a worker; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell {
    state: Arc<(Mutex<BellState>, Condvar)>,
}

#[derive(Debug, Default)]
struct BellState {
    rung: bool,
    stopped: bool,
}

impl Bell {
    /// Has the worker act soon.
    pub(crate) fn ring(&self) {
        let (state, condition) = &*self.state;
        state.lock().rung = true;
        condition.notify_one();
    }

    fn stop(&self) {
        let (state, condition) = &*self.state;
        state.lock().stopped = true;
        condition.notify_all();
    }

    /// Waits until rung, or for `period`; `false` when the worker is to stop.
    fn wait(&self, period: Option<Duration>) -> bool {
        let (state, condition) = &*self.state;
        let mut state = state.lock();
        let end = period.map(|period| Instant::now() + period);
        while !state.rung && !state.stopped {
            match end {
                None => condition.wait(&mut state),
                Some(end) => {
                    if condition.wait_until(&mut state, end).timed_out() {
                        break;
                    }
                }
            }
        }
        state.rung = false;
        !state.stopped
    }
}

/// A running thread; it stops, and is joined, when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    bell: Bell,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Runs `act` whenever `bell` rings, and each `period` if there is one. A panic in it ends
    /// that run only.
    pub(crate) fn spawn(
        name: &str,
        bell: Bell,
        period: Option<Duration>,
        act: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let waiting = bell.clone();
        let run = move || {
            while waiting.wait(period) {
                if catch_unwind(AssertUnwindSafe(&act)).is_err() {
                    tracing::error!("a thread of the store's panicked; it goes on");
                }
            }
        };
        let thread = Builder::new().name(name.into()).spawn(run)?;
        Ok(Worker { bell, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.bell.stop();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != current().id()
        {
            let _ = thread.join();
        }
    }
}
