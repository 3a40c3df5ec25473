//! Policy: who may write what, and what became of it.
//!
//! Gates judge, pipelines issue receipts, outcomes tell results, state machines say which
//! transitions there are, and entity ids say whom an event is about. Everything here is pure:
//! it needs the model at most, never storage, a clock, randomness or threads.

mod denial;
mod entity_id;
mod gate;
mod outcome;
mod pipeline;
mod receipt;
mod transition;
mod typestate;
mod wait;

pub use denial::Denial;
pub use entity_id::{EntityId, EntityIdParseError};
pub use gate::{Gate, GateFn, GateSet, gate_fn};
pub use outcome::{ErrorKind, Outcome, OutcomeError, join_all, join_any};
pub use pipeline::{BypassError, BypassReason, CommitError, Committed, Pipeline};
pub use receipt::{
    Admitted, BypassReceipt, Issuer, Proposal, Receipt, ReceiptPayload, WrongPipeline,
};
pub use transition::{Transition, TransitionError, TransitionRecord};
pub use typestate::{DeclaredEdge, Edge, MachineState, StateMachine};
pub use wait::{CompensationAction, WaitCondition};

/// What the macros expand to. Not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use serde;

    pub use super::entity_id::{assert_namespace, deserialize, display, parse, serialize, text};
}
