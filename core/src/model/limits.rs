//! The limits of what can be appended, and the error that names the one exceeded.
//!
//! Every limit is checked before anything is allocated for it and before anything is written.
//! Text is counted in bytes of UTF-8.

/// The most bytes of an entity.
pub const ENTITY_LEN_MAX: usize = 1024;

/// The most bytes of a scope.
pub const SCOPE_LEN_MAX: usize = 1024;

/// The most bytes of an event's metadata.
pub const METADATA_LEN_MAX: usize = 65_536;

/// The most bytes of an event's payload.
pub const PAYLOAD_LEN_MAX: usize = 64 * 1024 * 1024;

/// The most events of one batch.
pub const BATCH_EVENTS_MAX: usize = 65_536;

/// The most gate names that one admission carries.
pub const GATE_NAMES_MAX: usize = 64;

/// The most bytes of one gate's name; the least is one.
pub const GATE_NAME_LEN_MAX: usize = 256;

/// The most bytes of a bypass's reason, and of its justification.
pub const REASON_LEN_MAX: usize = 4096;

/// Something is larger, or emptier, than a limit permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{limit} of {actual} is outside the limit of {limit_max}")]
#[non_exhaustive]
pub struct LimitError {
    /// What is limited, with its unit: `payload bytes`, `batch events`.
    pub limit: &'static str,
    /// The most that is permitted.
    pub limit_max: u64,
    /// What was found.
    pub actual: u64,
}

impl LimitError {
    /// Checks that `actual` is at most `limit_max`.
    pub(crate) fn check(limit: &'static str, limit_max: usize, actual: usize) -> Result<(), Self> {
        if actual > limit_max { Err(Self::new(limit, limit_max, actual)) } else { Ok(()) }
    }

    /// The error itself, where the check is not a plain comparison.
    pub(crate) fn new(limit: &'static str, limit_max: usize, actual: usize) -> Self {
        Self { limit, limit_max: limit_max as u64, actual: actual as u64 }
    }
}
