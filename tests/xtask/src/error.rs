//! What can go wrong in a task. A message says what to do where the user can do something.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use thiserror::Error;

pub(crate) type Result<T> = std::result::Result<T, XtaskError>;

#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum XtaskError {
    #[error("`{command}` failed ({status})")]
    CommandFailed { command: String, status: ExitStatus },
    #[error("`{command}` did not start")]
    CommandNotStarted { command: String, source: io::Error },
    #[error("`{command}` took longer than {limit:?} and was ended")]
    CommandTimedOut { command: String, limit: Duration },
    #[error("{what} is missing: {remedy}")]
    ToolMissing { what: String, remedy: String },
    #[error("could not {action} {}", path.display())]
    FileAccess { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the lock file names no package `{package}`")]
    PackageNotLocked { package: &'static str },
    #[error("no cache folder is known: set ANNALS_TOOLCHAIN_DIR or HOME")]
    NoCacheFolder,
    #[error("more than 5 % more instructions than in tests/bench/instructions.json: {}; make it less, or say so with `cargo xtask instructions --update`", paths.join(", "))]
    InstructionsGrew { paths: Vec<String> },
    #[error("{why}")]
    NothingCounted { why: String },
    /// Not a failure of what is tested: the step is shown as skipped.
    #[error("{why}")]
    StepNotPossible { why: String },
    #[error("the runner reported no test at all")]
    NoTestRan,
}

impl XtaskError {
    /// For `map_err`: `fs::write(&p, x).map_err(XtaskError::file("write", &p))`.
    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::FileAccess { action, path, source }
    }
}

/// The error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
