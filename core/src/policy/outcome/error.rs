//! The error of an outcome: a kind, a message, and what undoes its harm.
//!
//! Owns the classes of errors. An error is data that can be stored and sent, so it has no
//! `source`: its message must say enough.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::policy::wait::CompensationAction;

/// Why a step failed.
///
/// ```
/// use annals_core::{ErrorKind, OutcomeError};
///
/// let error = OutcomeError::new(ErrorKind::Timeout, "no answer in 5 s");
/// assert!(error.retryable);
/// assert_eq!(error.to_string(), "timeout: no answer in 5 s");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OutcomeError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// What happened, for people.
    pub message: String,
    /// Whether the same step may succeed if it is tried again.
    pub retryable: bool,
    /// What undoes the harm that was done.
    pub compensation: Option<CompensationAction>,
}

impl OutcomeError {
    /// An error without compensation, retryable if its kind is.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retryable: kind.is_retryable(), compensation: None }
    }

    /// Says whether a retry may help, where the kind does not know better.
    #[must_use]
    pub fn with_retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Says what undoes the harm.
    #[must_use]
    pub fn with_compensation(mut self, action: CompensationAction) -> Self {
        self.compensation = Some(action);
        self
    }
}

impl fmt::Display for OutcomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

impl core::error::Error for OutcomeError {}

/// What kind of failure an error is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What was asked for is not there.
    NotFound,
    /// It does not fit with what is there.
    Conflict,
    /// The input is wrong.
    Validation,
    /// A gate denied it.
    Policy,
    /// Storage failed.
    Storage,
    /// It took too long.
    Timeout,
    /// It could not be encoded or decoded.
    Serialization,
    /// Something that should not happen.
    Internal,
    /// A kind that the application knows. It is in no class.
    Custom(u16),
}

impl ErrorKind {
    /// Whether trying again may help: storage and timeout.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Storage | Self::Timeout)
    }

    /// Whether the request is at fault: not found, conflict, validation and policy.
    pub const fn is_domain(self) -> bool {
        matches!(self, Self::NotFound | Self::Conflict | Self::Validation | Self::Policy)
    }

    /// Whether the system is at fault: every known kind that is not of the domain.
    pub const fn is_operational(self) -> bool {
        !self.is_domain() && !matches!(self, Self::Custom(_))
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::Conflict => "conflict",
            Self::Validation => "validation",
            Self::Policy => "policy",
            Self::Storage => "storage",
            Self::Timeout => "timeout",
            Self::Serialization => "serialization",
            Self::Internal => "internal",
            Self::Custom(code) => return write!(f, "custom {code}"),
        })
    }
}
