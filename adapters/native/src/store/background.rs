//! Compaction on a thread of its own.

use crate::cancel::Cancel;
use crate::store::keep::compact;
use crate::store::{Inner, Store, commit, no_thread};
use annals_core::{CompactionConfig, CompactionProgress, Storage, StoreError};
use parking_lot::{Condvar, Mutex};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

/// A compaction that runs on a thread of its own; see [`Store::compact_in_background`].
///
/// Dropping it leaves the compaction running. It ends with the store.
#[derive(Debug, Clone)]
pub struct BackgroundCompaction {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    cancel: Cancel,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    progress: CompactionProgress,
    result: Option<Result<CompactionProgress, StoreError>>,
}

impl BackgroundCompaction {
    /// How far it is: the output that is being written.
    #[must_use]
    pub fn progress(&self) -> CompactionProgress {
        self.shared.state.lock().progress
    }

    /// Calls it off. Outputs that are finished by then stay.
    pub fn cancel(&self) {
        self.shared.cancel.cancel();
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared.state.lock().result.is_some()
    }

    /// Waits for its end, and returns what [`Store::compact`] would. One that was called off, by
    /// hand or because the store closed, returns what it had done.
    ///
    /// # Errors
    ///
    /// As [`Store::compact`]; [`StoreError::Interrupted`] where a predicate or the storage
    /// panicked.
    pub fn join(self) -> Result<CompactionProgress, StoreError> {
        let mut state = self.shared.state.lock();
        loop {
            match &state.result {
                Some(result) => return result.clone(),
                None => self.shared.done.wait(&mut state),
            }
        }
    }
}

/// The store's own end of one.
#[derive(Debug)]
pub(super) struct BackgroundThread {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for BackgroundThread {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != std::thread::current().id()
        {
            // A panic in it is told by its result.
            let _ = thread.join();
        }
    }
}

impl<S> Store<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// As [`compact`](Store::compact), on a thread of its own. When the store closes, it is called
    /// off, and closing waits until it has stopped.
    ///
    /// # Errors
    ///
    /// [`StoreError::InvalidInput`] where no thread can be started.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{CompactionConfig, CompactionStrategy, Store};
    /// use std::num::NonZeroU64;
    ///
    /// let store = Store::in_memory()?;
    /// let slowly = NonZeroU64::new(20 * 1024 * 1024).expect("not 0");
    /// let config =
    ///     CompactionConfig::new(CompactionStrategy::Merge).with_bytes_per_second(slowly);
    /// let compaction = store.compact_in_background(config)?;
    /// println!("{} bytes so far", compaction.progress().read_bytes);
    /// compaction.join()?;
    /// # Ok::<(), annals::StoreError>(())
    /// ```
    pub fn compact_in_background(
        &self,
        config: CompactionConfig,
    ) -> Result<BackgroundCompaction, StoreError> {
        let shared = Arc::new(Shared::default());
        let (inner, running) = (Arc::clone(&self.inner), Arc::clone(&shared));
        let run = move || run(&inner, &config, &running);
        let thread = std::thread::Builder::new().name("annals-compact".into()).spawn(run);
        let thread = thread.map_err(|error| no_thread(&error))?;
        let mut compactions = self.compactions.lock();
        compactions.retain(|other| other.shared.state.lock().result.is_none());
        compactions.push(BackgroundThread { shared: Arc::clone(&shared), thread: Some(thread) });
        Ok(BackgroundCompaction { shared })
    }
}

impl<S: Storage> Store<S> {
    /// Calls off all that run, and waits for them.
    pub(super) fn stop_compactions(&self) {
        let running = std::mem::take(&mut *self.compactions.lock());
        for compaction in &running {
            compaction.shared.cancel.cancel();
        }
        drop(running);
    }
}

fn run<S: Storage>(inner: &Inner<S>, config: &CompactionConfig, shared: &Shared) {
    let act = || {
        compact(inner, config, &shared.cancel, &mut |now| {
            shared.state.lock().progress = *now;
            ControlFlow::Continue(())
        })
    };
    let result = catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|panic| {
        Err(StoreError::Interrupted { message: commit::message_of(&*panic) })
    });
    shared.state.lock().result = Some(result);
    shared.done.notify_all();
}
