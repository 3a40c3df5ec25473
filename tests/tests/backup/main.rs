//! Behaviour 38: backups and snapshots. What every backend does is in the conformance suite; here
//! are damage, crashes, and what only the native store can do.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod crash;
mod damage;
mod native;
mod snapshot;
mod snapshot_crash;
mod stream;
