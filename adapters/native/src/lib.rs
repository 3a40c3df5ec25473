//! Annals over files, with threads.

mod fs_storage;

pub use annals_core::*;
pub use fs_storage::{FsFile, FsOpenError, FsOptions, FsStorage, SyncMode};
