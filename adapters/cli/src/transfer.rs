//! What `snapshot`, `export` and `import-backup` have in common: their bars, and what to do next
//! where one of them did not come about.

use crate::failure::Failure;
use crate::open;
use crate::progress;
use crate::stop;
use annals::{
    BackupError, BackupHeader, StoreError, TransferError, TransferProgress, TransferStep,
};
use indicatif::ProgressBar;
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::Path;

/// A bar that follows a transfer.
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn new() -> Self {
        Bar { bar: progress::of_bytes(Some(0)) }
    }

    pub(crate) fn follow(&self, now: TransferProgress) -> ControlFlow<()> {
        self.bar.set_length(now.bytes);
        self.bar.set_position(now.bytes_done);
        if now.step == TransferStep::Verifying {
            self.bar.set_message("verifying");
        }
        stop::flow()
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// A backup, as `--json` tells of it.
#[derive(Debug, Serialize)]
pub(crate) struct BackupJson {
    first_sequence: u64,
    /// The sequence behind the last one: where a later backup goes on.
    end_sequence: u64,
    bytes: u64,
}

impl BackupJson {
    pub(crate) fn new(header: &BackupHeader) -> Self {
        BackupJson {
            first_sequence: header.first_sequence.get(),
            end_sequence: header.end_sequence.get(),
            bytes: header.stream_len,
        }
    }
}

/// A failure with what to do next about it; `store` is where the store is, or was to go.
pub(crate) fn failure(store: &Path, error: TransferError) -> Failure {
    let message = Failure::causes(&error);
    match error {
        TransferError::Stopped => stop::stopped("nothing was made of it").hint("run it again"),
        TransferError::Read(_) if stop::asked() => {
            stop::stopped("nothing was made of it").hint("run it again")
        }
        // It may be of the other place.
        TransferError::Backup(BackupError::Store(error @ StoreError::Storage(_))) => error.into(),
        TransferError::Backup(BackupError::Store(error)) => open::of_store(store, error),
        TransferError::Write(error) => Failure::from(error),
        TransferError::Read(_) => Failure::usage(message).hint("check the file, or copy it again"),
        TransferError::Occupied { .. } | TransferError::Backup(BackupError::NotEmpty { .. }) => {
            Failure::usage(message).hint("name a directory that is new or empty")
        }
        TransferError::OwnDirectory { .. } => {
            Failure::usage(message).hint("name a directory that is new or empty, somewhere else")
        }
        TransferError::Place { .. } => {
            Failure::usage(message).hint("check the directory and the space on its disk")
        }
        TransferError::NotWhole(_) => Failure::no(message)
            .hint("`annals verify` the store that it was made of, and take an older backup"),
        TransferError::Backup(error) => Failure::no(message).hint(next(&error)),
        _ => Failure::no(message),
    }
}

fn next(error: &BackupError) -> &'static str {
    match error {
        BackupError::Damaged { .. } => {
            "nothing was taken in: copy the backup again, or take another"
        }
        BackupError::NewerBackup { .. } => "install a newer annals",
        BackupError::OtherStore { .. } => "check --store, and which backup this is",
        BackupError::DoesNotContinue { first, end } if first > end => {
            "import the backups between first, or export once more with --from the store's end"
        }
        BackupError::DoesNotContinue { .. } => {
            "the store has these events already, or some of its own: export once more with --from \
             its end"
        }
        BackupError::Diverged { .. } => {
            "both were written to: keep the one that counts, and import a whole backup of it elsewhere"
        }
        BackupError::BehindEnd { .. } => "`annals stats` tells where the store ends",
        BackupError::PrunedBorder { .. } => "export without --from",
        BackupError::Unsure { .. } => "check the disk, then look with `annals stats`",
        _ => "run it again",
    }
}
