//! What goes back instead of an answer: a stable code, a sentence, and fields.
//!
//! The codes are part of the npm package's API: one is added where a caller acts differently,
//! and none is ever changed.

use annals_core::{
    BackupError, LimitError, StorageError, StorageErrorKind, StoreError, VerifyFault,
};
use annals_opfs::OpfsError;

use crate::wire::{Malformed, Output};

/// See the module.
#[derive(Debug)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    fields: Vec<(&'static str, Field)>,
    /// Whether one upkeep and one more try may succeed.
    pub(crate) is_not_ready: bool,
}

#[derive(Debug)]
enum Field {
    Number(u64),
    Text(String),
}

impl Failure {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fields: Vec::new(), is_not_ready: false }
    }

    /// Something about the call itself is wrong.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidInput", message)
    }

    pub(crate) fn closed() -> Self {
        Self::new("Closed", "the store is closed")
    }

    /// The store can't be used while a backup is taken in.
    pub(crate) fn importing() -> Self {
        Self::new("StoreBusy", "a backup is being taken in: try again when that is done")
    }

    /// What was verified is not whole.
    pub(crate) fn not_whole(fault: &VerifyFault) -> Self {
        Self::new("Corrupt", fault.to_string())
            .text("file", fault.file.name())
            .number("offset", fault.offset)
    }

    fn number(mut self, name: &'static str, number: u64) -> Self {
        self.fields.push((name, Field::Number(number)));
        self
    }

    fn text(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.fields.push((name, Field::Text(text.into())));
        self
    }

    pub(crate) fn write(&self, out: &mut Output) {
        let mut json = Output::default();
        json.u8(b'[');
        json.json(self.code);
        json.u8(b',');
        json.json(&self.message);
        for (at, (name, field)) in self.fields.iter().enumerate() {
            json.raw(if at == 0 { b",{" } else { b"," });
            json.json(name);
            json.u8(b':');
            match field {
                Field::Number(number) => json.raw(number.to_string().as_bytes()),
                Field::Text(text) => json.json(text),
            }
        }
        json.raw(if self.fields.is_empty() { b"]" } else { b"}]" });
        out.bytes(json.as_bytes());
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        match error {
            StoreError::VersionConflict { entity, expected, actual } => {
                let failure = Self::new("VersionConflict", message)
                    .text("entity", entity)
                    .text("expected", expected.to_string());
                match actual {
                    Some(version) => failure.number("actual", version.get()),
                    None => failure,
                }
            }
            StoreError::IdempotencyConflict { id, sequence } => {
                Self::new("IdempotencyConflict", message)
                    .text("id", id.to_string())
                    .number("sequence", sequence.get())
            }
            StoreError::ConditionFailed { sequence } => {
                Self::new("ConditionFailed", message).number("sequence", sequence.get())
            }
            StoreError::Limit(limit) => limit_failure(message, &limit),
            StoreError::NotFound(_) | StoreError::SequenceNotFound(_) => {
                Self::new("NotFound", message)
            }
            StoreError::Corruption(corruption) => Self::new("Corrupt", message)
                .text("file", corruption.file.name())
                .number("offset", corruption.offset),
            StoreError::NewerFormat { file, .. } => {
                Self::new("NewerFormat", message).text("file", file.name())
            }
            StoreError::Storage(error) => storage_failure(message, &error),
            StoreError::Poisoned { .. } => Self::new("Poisoned", message),
            StoreError::Locked { .. } => Self::new("StoreBusy", message),
            StoreError::ReadOnly => Self::new("ReadOnly", message),
            StoreError::Closed => Self::closed(),
            StoreError::NameConflict { .. } => Self::new("NameConflict", message),
            _ => Self::invalid(message),
        }
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::Damaged { offset, .. } => {
                Self::new("Corrupt", message).text("file", "backup").number("offset", offset)
            }
            BackupError::NewerBackup { .. } => {
                Self::new("NewerFormat", message).text("file", "backup")
            }
            BackupError::NotEmpty { .. }
            | BackupError::OtherStore { .. }
            | BackupError::DoesNotContinue { .. }
            | BackupError::Diverged { .. } => Self::new("BackupMismatch", message),
            BackupError::Store(error) => error.into(),
            _ => Self::invalid(message),
        }
    }
}

impl From<LimitError> for Failure {
    fn from(limit: LimitError) -> Self {
        limit_failure(limit.to_string(), &limit)
    }
}

impl From<OpfsError> for Failure {
    fn from(error: OpfsError) -> Self {
        let message = error.to_string();
        match error {
            OpfsError::Busy { .. } => Self::new("StoreBusy", message),
            OpfsError::Storage(error) => storage_failure(message, &error),
            _ => Self::new("StorageUnavailable", message),
        }
    }
}

impl From<Malformed> for Failure {
    fn from(Malformed: Malformed) -> Self {
        Self::new("Internal", "the request could not be read")
    }
}

fn limit_failure(message: String, limit: &LimitError) -> Failure {
    Failure::new("LimitExceeded", message)
        .text("limit", limit.limit)
        .number("max", limit.limit_max)
        .number("actual", limit.actual)
}

fn storage_failure(message: String, error: &StorageError) -> Failure {
    let code = match error.kind() {
        StorageErrorKind::NoSpace => "QuotaExceeded",
        StorageErrorKind::PermissionDenied => "StorageUnavailable",
        _ => "StorageFailed",
    };
    let mut failure = Failure::new(code, message);
    failure.is_not_ready = error.kind() == StorageErrorKind::NotReady;
    match error.file() {
        Some(file) => failure.text("file", file.name()),
        None => failure,
    }
}
