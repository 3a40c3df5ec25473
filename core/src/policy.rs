//! Policy: who may write what, and what became of it.
//!
//! Gates judge, pipelines issue receipts, outcomes tell results, state machines say which
//! transitions there are, and entity ids say whom an event is about. Everything here is pure:
//! it needs the model at most, never storage, a clock, randomness or threads.

mod denial;
mod gate;
mod pipeline;
mod receipt;

pub use denial::Denial;
pub use gate::{Gate, GateFn, GateSet, gate_fn};
pub use pipeline::{BypassError, BypassReason, CommitError, Committed, Pipeline};
pub use receipt::{Admitted, BypassReceipt, Issuer, Proposal, Receipt, WrongPipeline};
