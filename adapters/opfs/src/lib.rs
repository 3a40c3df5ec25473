//! The files of an Annals store in a browser: the origin private file system (OPFS).
//!
//! [`OpfsStorage`] is a [`Storage`](annals_core::Storage) over sync access handles, for a
//! dedicated worker. A browser opens, lists and deletes files only through promises, so the
//! work is split: [`OpfsStorage`] does what is synchronous, and its [`OpfsUpkeep`] opens files
//! ahead and deletes names between two operations. Nothing here blocks, and nothing is `Send`.

mod access;
mod entry;
mod error;
mod kept_reads;
mod storage;
mod upkeep;
mod wait;

pub use error::OpfsError;
pub use storage::{OpfsFile, OpfsOptions, OpfsStorage};
pub use upkeep::{OpfsUpkeep, opfs_directory};
