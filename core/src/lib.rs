//! The core of Annals.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod cursor;
pub mod format;
pub mod graph;
pub mod index;
pub mod log;
pub mod model;
pub mod policy;
pub mod projection;
pub mod storage;
mod sync;
pub mod verify;

pub use cursor::*;
pub use format::segment::StoreId;
pub use graph::*;
pub use log::*;
pub use model::*;
pub use policy::*;
pub use projection::*;
pub use storage::*;
pub use verify::*;
