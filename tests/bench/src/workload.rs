//! One file a workload. Those of a store with so many events in it share it: see [`grown`].

pub mod append;
pub mod backup;
pub mod bulk;
pub mod compact;
pub mod durable;
pub mod fanout;
pub mod floor;
pub mod grown;
pub mod keep;
pub mod mixed;
mod own;
