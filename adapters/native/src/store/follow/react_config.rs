//! How a reactor runs, what it has done, and why it ended.

use crate::config::RestartPolicy;
use annals_core::{Sequence, StoreError};
use std::error::Error;

/// How a reactor runs: its name, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReactConfig {
    /// Its name, which goes into the ids of its reactions: keep it, and no event is reacted to
    /// twice.
    pub name: String,
    /// How often it may fail, by a panic, an error or an append that is refused, and is tried
    /// again with the same event: three times a minute, by default.
    pub restart_policy: RestartPolicy,
    /// How long a chain of causes may become by its reactions: 32 by default, at least 1. The
    /// causes of each trigger are counted in the log itself; one that has so many already is
    /// passed over, so that reactors that set off each other come to an end.
    pub depth_max: usize,
}

impl ReactConfig {
    /// A reactor of this name, all else as by default.
    pub fn new(name: impl Into<String>) -> Self {
        let restart_policy = RestartPolicy::default();
        ReactConfig { name: name.into(), restart_policy, depth_max: 32 }
    }

    /// Sets `restart_policy`.
    #[must_use]
    pub fn with_restart_policy(mut self, restart_policy: RestartPolicy) -> Self {
        self.restart_policy = restart_policy;
        self
    }

    /// Sets `depth_max`.
    #[must_use]
    pub fn with_depth_max(mut self, depth_max: usize) -> Self {
        self.depth_max = depth_max;
        self
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        let wrong = match () {
            () if self.name.is_empty() => "a reactor needs a name",
            () if self.depth_max == 0 => "depth_max must be above zero",
            () => return Ok(()),
        };
        Err(StoreError::InvalidInput(wrong.into()))
    }
}

/// What a reactor has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReactSummary {
    /// Triggers that it was given and is done with.
    pub triggers: u64,
    /// Events that it has appended.
    pub reactions: u64,
    /// Triggers passed over, because what it would do was in the log already.
    pub repeated: u64,
    /// Triggers passed over, because their chain of causes was too long.
    pub too_deep: u64,
    /// Events that its subscription lost.
    pub lagged: u64,
    /// Times that it was tried again.
    pub restarts: u64,
}

/// Why a reactor ended before it was stopped and before the store was closed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReactError {
    /// It panicked more often than its restart policy forgives.
    #[error("the reactor {name} panicked at event {trigger} ({message}) once too often")]
    Panicked {
        /// The reactor.
        name: String,
        /// The event that it was given.
        trigger: Sequence,
        /// What the panic said.
        message: String,
    },
    /// It returned an error more often than its restart policy forgives.
    #[error("the reactor {name} failed at event {trigger} once too often")]
    Failed {
        /// The reactor.
        name: String,
        /// The event that it was given.
        trigger: Sequence,
        /// What it returned.
        #[source]
        cause: Box<dyn Error + Send + Sync>,
    },
    /// Its reaction could not be appended, an event not read or its checkpoint not written, more
    /// often than its restart policy forgives.
    #[error("the reactor {name} could not go on")]
    Store {
        /// The reactor.
        name: String,
        /// Why.
        #[source]
        cause: StoreError,
    },
}
