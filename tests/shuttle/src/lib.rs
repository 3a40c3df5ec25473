//! The commit queue of a native store under shuttle.
//!
//! The very files of `adapters/native` are compiled here over shuttle's locks, atomics and threads,
//! so that its scheduler decides which thread takes the next step. A lost wake-up is a deadlock to
//! it, which it reports with the schedule that leads there. `tests/queue.rs` runs the scenarios.
#![cfg(not(target_arch = "wasm32"))]

mod config;
#[expect(unreachable_pub, reason = "it is public where it comes from")]
#[path = "../../../adapters/native/src/host.rs"]
mod host;
mod queue;
pub mod scenario;
#[expect(dead_code, reason = "the scenarios are about the queue, not about all that uses it")]
mod store;
