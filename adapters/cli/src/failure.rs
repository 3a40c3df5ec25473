//! What goes wrong, as a person should read it: what, why, and what to do next.
//!
//! A failure knows its exit code. Failures of the store are mapped here once, so that every
//! command answers the same to the same.

use crate::output::said;
use annals::{StorageErrorKind, StoreError};
use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done.
    Done = 0,
    /// The answer is no: a bad row, an unknown id, a locked store, damage.
    No = 1,
    /// Wrong usage, or nothing could be looked at.
    Unusable = 2,
    /// Stopped by a signal, as shells have it.
    Stopped = 130,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        ExitCode::from(code as u8)
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    hint: Option<String>,
    code: Code,
    closed_pipe: bool,
}

impl Failure {
    /// The answer is no.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Failure { message: message.into(), hint: None, code: Code::No, closed_pipe: false }
    }

    /// Wrong usage, or nothing could be looked at.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure { code: Code::Unusable, ..Failure::no(message) }
    }

    /// Somebody asked to stop.
    pub(crate) fn stopped(message: impl Into<String>) -> Self {
        Failure { code: Code::Stopped, ..Failure::no(message) }
    }

    /// A file or directory that can't be read.
    pub(crate) fn unreadable(what: impl fmt::Display, error: &(dyn Error + 'static)) -> Self {
        Failure::usage(format!("can't read {what}: {}", with_causes(error)))
            .hint("check the path, and who may read it")
    }

    /// An error and what caused it, in one line.
    pub(crate) fn causes(error: &(dyn Error + 'static)) -> String {
        with_causes(error)
    }

    /// Says what to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says first what was being done.
    #[must_use]
    pub(crate) fn during(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// What went wrong, without what to do next.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// Whether it is only that nobody reads the output any more.
    pub(crate) fn is_closed_pipe(&self) -> bool {
        self.closed_pipe
    }

    /// Tells it on stderr and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let error = console::style("error:").for_stderr().red().bold();
        said(format_args!("{error} {}", self.message));
        if let Some(hint) = &self.hint {
            let next = console::style(" next:").for_stderr().cyan().bold();
            said(format_args!("{next} {hint}"));
        }
        self.code.into()
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = with_causes(&error);
        match &error {
            StoreError::Locked { .. } => Failure::no(message)
                .hint("wait until it is done; every command that only looks works meanwhile"),
            StoreError::NewerFormat { .. } => {
                Failure::usage(message).hint("install a newer annals")
            }
            StoreError::NotFound(_) | StoreError::SequenceNotFound(_) => {
                Failure::no(message).hint("`annals tail` shows the newest events")
            }
            StoreError::IdempotencyConflict { sequence, .. } => Failure::no(message)
                .hint(format!("`annals show {sequence}` shows the event that has the key")),
            StoreError::VersionConflict { entity, .. } => Failure::no(message).hint(format!(
                "`annals tail --stream {entity}` shows what came in between: decide anew"
            )),
            StoreError::ReservedKind { .. } => Failure::usage(message),
            StoreError::KindName(_) => Failure::usage(message)
                .hint("a name has letters, digits, '.', '_', '-' and ':', such as order.placed"),
            StoreError::NameConflict { .. } => {
                Failure::no(message).hint("`annals stats` lists the kinds and their names")
            }
            StoreError::Poisoned { .. } => {
                Failure::no(message).hint("check the disk, then run it again: opening recovers")
            }
            StoreError::Storage(storage) => match storage.kind() {
                StorageErrorKind::NoSpace => {
                    Failure::no(message).hint("free some space, then run it again")
                }
                StorageErrorKind::PermissionDenied => {
                    Failure::usage(message).hint("see to it that you may read and write its files")
                }
                _ => Failure::usage(message).hint("check the disk, then run it again"),
            },
            _ => Failure::no(message),
        }
    }
}

impl From<io::Error> for Failure {
    /// Of writing the output: reading has its own words.
    fn from(error: io::Error) -> Self {
        let closed_pipe = error.kind() == io::ErrorKind::BrokenPipe;
        let failure = Failure::usage(format!("can't write the output: {error}"))
            .hint("check where it goes, and the space there");
        Failure { closed_pipe, ..failure }
    }
}

/// An error and what caused it, in one line, each only where it says something new.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !message.contains(&said) {
            message = format!("{message}: {said}");
        }
        cause = error.source();
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals::StorageError;

    #[test]
    fn a_cause_is_told_once() {
        let io = io::Error::other("the disk is on fire");
        let error = StorageError::new(StorageErrorKind::Other, "read").with_source(io);
        let told = with_causes(&StoreError::Storage(error.clone()));
        assert_eq!(told.matches("on fire").count(), 1, "{told}");
        let detailed = error.with_detail("the disk is on fire");
        assert_eq!(with_causes(&StoreError::Storage(detailed)).matches("on fire").count(), 1);
    }

    #[test]
    fn only_a_closed_pipe_is_quiet() {
        assert!(Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)).is_closed_pipe());
        assert!(!Failure::from(io::Error::from(io::ErrorKind::StorageFull)).is_closed_pipe());
    }
}
