//! Annals over files, with threads.

mod config;
mod fs_storage;
mod host;
mod store;

// The native durability has an interval besides what the core knows.
pub use annals_core::*;
pub use config::{Clock, Durability, RestartPolicy, StoreConfig};
pub use fs_storage::{FsFile, FsOpenError, FsOptions, FsStorage, SyncMode};
pub use host::SystemHost;
pub use store::{
    BatchTicket, GuardedStore, PolicyError, StateCheck, Store, Ticket, TransitionOptions,
};
