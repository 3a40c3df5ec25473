//! `docs/FORMAT.md` against the bytes: its worked example is what the encoder writes, and what its
//! tables say is read back here by hand, without any code of the format's.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod compaction;
mod example;
mod fields;
mod fixture;
mod frame;
mod index;
mod meta;
mod page;
mod sealed;

const DOC: &str = include_str!("../../../docs/FORMAT.md");
