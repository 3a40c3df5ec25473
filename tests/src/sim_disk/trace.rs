//! What was asked of the disk, and what it answered.

use std::fmt;

use annals_core::{FileId, StorageError, StorageErrorKind};

/// One call of the storage traits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// Its place, counted from 0.
    pub number: u64,
    /// Which method.
    pub kind: OperationKind,
    /// On which file.
    pub file: Option<FileId>,
    /// Where it read or wrote, in bytes.
    pub offset: u64,
    /// How much it read or wrote, or the length that was set, in bytes.
    pub len: u64,
    /// What became of it.
    pub outcome: Outcome,
}

impl Operation {
    pub(super) const fn new(kind: OperationKind) -> Self {
        Self { number: 0, kind, file: None, offset: 0, len: 0, outcome: Outcome::Done }
    }

    pub(super) const fn on(mut self, file: FileId) -> Self {
        self.file = Some(file);
        self
    }

    pub(super) const fn at(mut self, offset: u64, len: u64) -> Self {
        self.offset = offset;
        self.len = len;
        self
    }

    pub(super) fn error(&self, kind: StorageErrorKind, powered: bool) -> StorageError {
        let mut error = StorageError::new(kind, self.kind.name());
        if let Some(file) = self.file {
            error = error.with_file(file);
        }
        match (powered, self.outcome) {
            (false, _) => error.with_detail("the simulated disk has no power"),
            (true, Outcome::Faulty(_)) => {
                error.with_detail(format!("simulated fault in operation {}", self.number))
            }
            (true, _) => error,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        if let Some(file) = self.file {
            write!(f, " {file}")?;
        }
        match self.kind {
            OperationKind::ReadExactAt | OperationKind::WriteAllAt => {
                write!(f, " {} bytes at {}", self.len, self.offset)?;
            }
            OperationKind::SetLen => write!(f, " to {}", self.len)?,
            _ => {}
        }
        match self.outcome {
            Outcome::Done => Ok(()),
            Outcome::Refused(kind) => write!(f, ": {kind}"),
            Outcome::Faulty(kind) => write!(f, ": simulated fault, {kind}"),
            Outcome::Panicked => f.write_str(": simulated panic"),
        }
    }
}

/// The methods of the storage traits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the method of that name")]
pub enum OperationKind {
    List,
    Create,
    Open,
    Remove,
    SyncDir,
    Len,
    SetLen,
    ReadExactAt,
    WriteAllAt,
    SyncData,
}

impl OperationKind {
    /// Whether it may change what a power cut leaves.
    #[must_use]
    pub const fn changes_disk(self) -> bool {
        match self {
            Self::Create
            | Self::Remove
            | Self::SyncDir
            | Self::SetLen
            | Self::WriteAllAt
            | Self::SyncData => true,
            Self::List | Self::Open | Self::Len | Self::ReadExactAt => false,
        }
    }

    /// The method's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Create => "create",
            Self::Open => "open",
            Self::Remove => "remove",
            Self::SyncDir => "sync_dir",
            Self::Len => "len",
            Self::SetLen => "set_len",
            Self::ReadExactAt => "read_exact_at",
            Self::WriteAllAt => "write_all_at",
            Self::SyncData => "sync_data",
        }
    }
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It succeeded.
    Done,
    /// It failed as it had to.
    Refused(StorageErrorKind),
    /// It failed by a fault.
    Faulty(StorageErrorKind),
    /// It panicked by a fault.
    Panicked,
}
