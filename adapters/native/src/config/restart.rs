//! How often something is started over, and the count of it.
//!
//! `tests/shuttle` compiles this file too, as a part of the commit queue.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often something is started over after it panicked.
///
/// For the store itself, of a commit that panics in a clock or in a storage adapter: the writer is
/// rebuilt from storage, so that nothing acknowledged is lost and nothing half-done is seen. Once
/// the policy is used up, appends answer
/// [`WriterCrashed`](annals_core::StoreError::WriterCrashed); reading goes on. For a reactor, see
/// [`ReactConfig`](crate::ReactConfig).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestartPolicy {
    /// One restart in the life of the store.
    Once,
    /// So many restarts within any such span.
    Bounded {
        /// How many.
        max_restarts: u32,
        /// The span, in milliseconds.
        within_ms: u64,
    },
}

impl Default for RestartPolicy {
    fn default() -> Self {
        RestartPolicy::Bounded { max_restarts: 3, within_ms: 60_000 }
    }
}

/// The restarts that there were, held against a policy.
#[derive(Debug)]
pub(crate) struct Restarts {
    policy: RestartPolicy,
    at: VecDeque<Instant>,
}

impl Restarts {
    pub(crate) fn new(policy: RestartPolicy) -> Self {
        Restarts { policy, at: VecDeque::new() }
    }

    /// Counts one more, and says whether the policy has room for it.
    pub(crate) fn allow(&mut self) -> bool {
        let now = Instant::now();
        let max = match self.policy {
            RestartPolicy::Once => 1,
            RestartPolicy::Bounded { max_restarts, within_ms } => {
                let within = Duration::from_millis(within_ms);
                self.at.retain(|at| now.duration_since(*at) <= within);
                usize::try_from(max_restarts).unwrap_or(usize::MAX)
            }
        };
        self.at.push_back(now);
        self.at.len() <= max
    }
}
