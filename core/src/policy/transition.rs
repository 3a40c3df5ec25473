//! Transitions: events that take a declared edge.
//!
//! Owns the value that a store turns into an append, and the record of the edge that goes into
//! the event's metadata, so that the log itself says which way a thing went.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::model::{
    Append, AppendOptions, CodecError, Coordinate, Event, EventKind, EventPayload, PayloadFormat,
};

use super::typestate::{Edge, MachineState, StateMachine, is_declared};

/// A step from one state to another, with the event that says so.
///
/// It can only be made along an edge that [`define_state_machine!`](crate::define_state_machine)
/// declares; any other does not compile.
///
/// ```
/// use annals_core::{
///     AppendOptions, Coordinate, EventKind, EventPayload, Transition, define_state_machine,
/// };
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Paid {
///     cents: u64,
/// }
/// impl EventPayload for Paid {
///     const KIND: EventKind = EventKind::new(1, 3);
/// }
///
/// define_state_machine! {
///     machine invoice {
///         states { Open, Settled }
///         edges { Open -> Settled: Paid }
///     }
/// }
///
/// let transition = Transition::<invoice::Open, invoice::Settled, _>::new(Paid { cents: 900 });
/// let append =
///     transition.into_append(Coordinate::new("invoice:7", "main")?, AppendOptions::default())?;
/// assert_eq!(append.kind, Paid::KIND);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```compile_fail
/// # use annals_core::{Transition, EventPayload, EventKind, define_state_machine};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Paid;
/// # impl EventPayload for Paid { const KIND: EventKind = EventKind::new(1, 3); }
/// # define_state_machine! {
/// #     machine invoice { states { Open, Settled } edges { Open -> Settled: Paid } }
/// # }
/// Transition::<invoice::Settled, invoice::Open, _>::new(Paid); // no edge leads back
/// ```
#[must_use = "a transition happens when a store appends it"]
pub struct Transition<From, To, P> {
    payload: P,
    edge: PhantomData<fn() -> (From, To)>,
}

impl<From, To, P> Transition<From, To, P> {
    /// Takes the edge with this event.
    pub fn new(payload: P) -> Self
    where
        From: Edge<To, P>,
        To: MachineState<Machine = From::Machine>,
        P: EventPayload,
    {
        const { assert!(is_declared::<From, To, P>(), "this edge is not declared by its machine") };
        Self { payload, edge: PhantomData }
    }

    /// The event.
    pub fn payload(&self) -> &P {
        &self.payload
    }

    /// Takes the event back.
    pub fn into_payload(self) -> P {
        self.payload
    }
}

impl<From: MachineState, To: MachineState, P: EventPayload> Transition<From, To, P> {
    /// The kind of the event.
    pub fn kind(&self) -> EventKind {
        P::KIND
    }

    /// The name of the state that it leaves.
    pub fn from_state(&self) -> &'static str {
        From::NAME
    }

    /// The name of the state that it enters.
    pub fn to_state(&self) -> &'static str {
        To::NAME
    }

    /// The edge as the log records it.
    pub fn record(&self) -> TransitionRecord {
        TransitionRecord {
            machine: From::Machine::NAME.into(),
            from: From::NAME.into(),
            to: To::NAME.into(),
        }
    }

    /// The append of this transition: the event's kind, format and version as its type says, and
    /// the edge in the metadata. Everything else, such as the expected version, comes from
    /// `options`.
    ///
    /// # Errors
    ///
    /// [`TransitionError::Codec`] if the event can't be encoded, and
    /// [`TransitionError::MetadataTaken`] if `options` brings metadata of its own.
    pub fn into_append(
        self,
        coordinate: Coordinate,
        options: AppendOptions,
    ) -> Result<Append, TransitionError> {
        if options.metadata.is_some() {
            return Err(TransitionError::MetadataTaken);
        }
        let payload = self.payload.to_payload()?;
        let options = options.with_metadata(self.record().to_metadata()?);
        Ok(Append::new(coordinate, P::KIND, payload).with_options(options))
    }
}

impl<From: MachineState, To: MachineState, P> fmt::Debug for Transition<From, To, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transition({} -> {})", From::NAME, To::NAME)
    }
}

/// Which edge an event took, as it stands in the event's metadata:
/// `{"transition":{"machine":"order","from":"Draft","to":"Placed"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransitionRecord {
    /// The name of the machine.
    pub machine: String,
    /// The state that the event left.
    pub from: String,
    /// The state that the event entered.
    pub to: String,
}

impl TransitionRecord {
    /// The edge that an event took, or `None` if it is no transition.
    ///
    /// The `to` of a stream's newest record is the state that the stream is in.
    pub fn of(event: &Event) -> Option<Self> {
        Self::from_metadata(event.metadata.as_deref()?)
    }

    /// Reads the record from an event's metadata, or `None` if there is none in it.
    pub fn from_metadata(metadata: &[u8]) -> Option<Self> {
        let metadata: Metadata<Self> = serde_json::from_slice(metadata).ok()?;
        Some(metadata.transition)
    }

    /// The record as an event's metadata.
    ///
    /// # Errors
    ///
    /// If the JSON encoder fails.
    pub fn to_metadata(&self) -> Result<Vec<u8>, CodecError> {
        serde_json::to_vec(&Metadata { transition: self }).map_err(|error| CodecError::Encode {
            format: PayloadFormat::Json,
            reason: error.to_string(),
        })
    }

    /// Whether the machine `M` declares this edge; an older program's machine may have had others.
    pub fn is_declared_by<M: StateMachine>(&self) -> bool {
        self.machine == M::NAME
            && M::EDGES.iter().any(|edge| edge.from == self.from && edge.to == self.to)
    }
}

/// Keeps the record apart from an application's own JSON metadata.
#[derive(Serialize, Deserialize)]
struct Metadata<R> {
    transition: R,
}

/// Why a transition could not be turned into an append.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TransitionError {
    /// The event could not be encoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The options bring metadata, which is where the edge is recorded.
    #[error("a transition records its edge in the metadata, but the options bring metadata")]
    MetadataTaken,
}
