//! Calling off what runs long, from another thread.

use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Instant;

/// Calls off a compaction or an erasure, from any thread; cheap to clone.
///
/// It wakes what waits to keep a rate. What is called off stays so: use a new one for the next.
///
/// # Examples
///
/// ```
/// use annals::{Cancel, CompactionConfig, CompactionStrategy, Store};
/// use std::ops::ControlFlow;
///
/// let store = Store::in_memory()?;
/// let cancel = Cancel::new();
/// cancel.cancel(); // Most often from another thread.
///
/// let config = CompactionConfig::new(CompactionStrategy::Merge);
/// let done = store.compact_until(&config, &cancel, |_| ControlFlow::Continue(()))?;
/// assert_eq!(done.kept_events, 0);
/// # Ok::<(), annals::StoreError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    state: Arc<(Mutex<bool>, Condvar)>,
}

impl Cancel {
    /// One that nobody has pulled.
    #[must_use]
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Calls it off.
    pub fn cancel(&self) {
        let (cancelled, changed) = &*self.state;
        *cancelled.lock() = true;
        changed.notify_all();
    }

    /// Whether it was called off.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.state.0.lock()
    }

    /// Waits until then, or until it is called off; tells whether it was.
    pub(crate) fn wait_until(&self, then: Instant) -> bool {
        let (cancelled, changed) = &*self.state;
        let mut cancelled = cancelled.lock();
        while !*cancelled && !changed.wait_until(&mut cancelled, then).timed_out() {}
        *cancelled
    }
}
