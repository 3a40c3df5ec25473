//! Appending what a policy let in, and transitions of state machines.
//!
//! A receipt is spent on one event, which then carries the gates' names or the bypass. A
//! transition is appended only from the state that it leaves: the state is read from the newest
//! transition in the stream, and the stream is pinned at the version that was read, so that
//! reading and writing are one step. Nothing here judges; the gates have done that before.

mod guarded;
mod standing;

pub use guarded::GuardedStore;

use crate::store::Store;
use annals_core::{
    Admitted, Append, AppendOptions, AppendReceipt, Coordinate, EventKind, EventPayload,
    ExpectedVersion, MachineState, Pipeline, Reader, ReceiptPayload, Sequence, StateMachine,
    Storage, StoreError, Transition, TransitionError, WrongPipeline,
};
use standing::Standing;
use std::sync::Arc;

/// How a transition is to be appended. [`AppendOptions`] alone convert into it.
///
/// ```
/// use annals::{AppendOptions, EventId, TransitionOptions};
///
/// let once = AppendOptions::default().with_idempotency_key(EventId::from_key("order 5, paid"));
/// let imported = TransitionOptions::from(once).without_state_check();
/// # let _ = imported;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TransitionOptions {
    /// As for every append; but the metadata is taken, for the edge is recorded there.
    pub append: AppendOptions,
    /// Whether the stream must be in the state that the transition leaves.
    pub state_check: StateCheck,
}

impl TransitionOptions {
    /// Appends the transition whatever state the stream is in: for imports and repairs.
    #[must_use]
    pub fn without_state_check(mut self) -> Self {
        self.state_check = StateCheck::Skip;
        self
    }
}

impl From<AppendOptions> for TransitionOptions {
    fn from(append: AppendOptions) -> Self {
        TransitionOptions { append, state_check: StateCheck::default() }
    }
}

/// Whether a stream must be in the state that a transition leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum StateCheck {
    /// The newest transition of the machine in the stream must have entered that state; where
    /// there is none, the transition must leave the machine's first state.
    #[default]
    Newest,
    /// Any state will do.
    Skip,
}

/// Why an event that a policy speaks for was not appended.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// Another pipeline issued the receipt than the one that guards the store.
    #[error(transparent)]
    WrongPipeline(#[from] WrongPipeline),
    /// The stream is not in the state that the transition leaves. Nothing was written.
    #[error(
        "{entity} is in the state {actual} of the machine {machine}, \
         but the transition to {to} leaves {expected}"
    )]
    WrongState {
        /// The stream.
        entity: String,
        /// The machine.
        machine: &'static str,
        /// The state that the transition leaves.
        expected: &'static str,
        /// The state that it enters.
        to: &'static str,
        /// The state that the stream is in.
        actual: String,
    },
    /// Which edge an event took went away with its content, and its kind takes several edges of
    /// the machine.
    #[error("event {sequence} moved {entity} to a state of {machine} that was erased with it")]
    StateErased {
        /// The stream.
        entity: String,
        /// The machine.
        machine: &'static str,
        /// The event.
        sequence: Sequence,
    },
    /// The options bring metadata, which is where a transition records its edge.
    #[error("a transition records its edge in the metadata, but the options bring metadata")]
    MetadataTaken,
    /// The store did not append it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TransitionError> for PolicyError {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::Codec(error) => PolicyError::Store(error.into()),
            TransitionError::MetadataTaken => PolicyError::MetadataTaken,
            other => PolicyError::Store(StoreError::InvalidInput(other.to_string())),
        }
    }
}

impl<S: Storage> Store<S> {
    /// This store, bound to a pipeline: it refuses the receipts of every other.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{
    ///     Coordinate, Denial, EventKind, GateSet, Pipeline, PolicyError, Proposal, Store, gate_fn,
    /// };
    ///
    /// const PAID: EventKind = EventKind::new(1, 3);
    /// let limit = gate_fn("limit", |cents: &u64| {
    ///     if *cents <= 100 { Ok(()) } else { Err(Denial::new("OVER_LIMIT", "too much")) }
    /// });
    /// let strict = Pipeline::new(GateSet::new().with(limit));
    /// let lax = Pipeline::new(GateSet::<u64>::new());
    ///
    /// let store = Store::in_memory()?;
    /// let guarded = store.guarded_by(&strict);
    /// let order = Coordinate::new("order:5", "shop")?;
    /// let receipt = strict.evaluate_payload(Proposal::new(80))?;
    /// let paid = guarded.commit_receipt(&order, PAID, receipt)?;
    /// let event = store.get(paid.id)?;
    /// assert_eq!(event.header.admission.unwrap().gates().unwrap(), ["limit"]);
    ///
    /// let receipt = lax.evaluate_payload(Proposal::new(900))?;
    /// let refused = guarded.commit_receipt(&order, PAID, receipt);
    /// assert!(matches!(refused, Err(PolicyError::WrongPipeline(_))));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn guarded_by<Ctx: ?Sized>(&self, pipeline: &Pipeline<Ctx>) -> GuardedStore<'_, S> {
        GuardedStore::new(self, pipeline.issuer().clone())
    }

    /// The name of the state of `M` that a stream is in: the one that the newest transition
    /// entered, or else the machine's first.
    ///
    /// # Errors
    ///
    /// [`PolicyError::StateErased`]; storage errors and corruption.
    pub fn state_of<M: StateMachine>(&self, entity: &str) -> Result<String, PolicyError> {
        Standing::read::<M, S>(&self.reader(), entity).map(|standing| standing.state)
    }
}

impl<S> Store<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// Appends the event of a transition, if the stream is in the state that it leaves.
    ///
    /// The check and the append are one step: of two threads that leave one state, one wins.
    /// Streams may hold other events too, and transitions of other machines.
    ///
    /// # Errors
    ///
    /// [`PolicyError::WrongState`] with both states; [`PolicyError::StateErased`]; and
    /// [`PolicyError::Store`] as for [`append_typed`](Store::append_typed).
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{
    ///     Coordinate, EventKind, EventPayload, PolicyError, Store, Transition,
    ///     define_state_machine,
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
    /// let store = Store::in_memory()?;
    /// let at = Coordinate::new("invoice:7", "office")?;
    /// let pay = || Transition::<invoice::Open, invoice::Settled, _>::new(Paid { cents: 900 });
    /// store.apply_transition(&at, pay())?;
    /// assert_eq!(store.state_of::<invoice::Machine>("invoice:7")?, "Settled");
    /// let twice = store.apply_transition(&at, pay());
    /// assert!(matches!(twice, Err(PolicyError::WrongState { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apply_transition<From, To, P>(
        &self,
        at: &Coordinate,
        transition: Transition<From, To, P>,
    ) -> Result<AppendReceipt, PolicyError>
    where
        From: MachineState,
        To: MachineState,
        P: EventPayload,
    {
        self.apply_transition_with_options(at, transition, TransitionOptions::default())
    }

    /// As [`apply_transition`](Store::apply_transition), with an expected version, an idempotency
    /// key and the like, or without the check of the state.
    ///
    /// A known idempotency key is answered with the original receipt before the state is looked
    /// at, since the transition itself has changed it.
    ///
    /// # Errors
    ///
    /// As [`apply_transition`](Store::apply_transition) and
    /// [`append_with_options`](Store::append_with_options); [`PolicyError::MetadataTaken`].
    pub fn apply_transition_with_options<From, To, P>(
        &self,
        at: &Coordinate,
        transition: Transition<From, To, P>,
        options: impl Into<TransitionOptions>,
    ) -> Result<AppendReceipt, PolicyError>
    where
        From: MachineState,
        To: MachineState,
        P: EventPayload,
    {
        let TransitionOptions { append: options, state_check } = options.into();
        let append = transition.into_append(at.clone(), options)?;
        self.name_kind_of::<P>()?;
        self.append_transition::<From, To>(append, state_check)
    }

    /// Appends the event of a transition that gates let pass, or that bypassed them, as
    /// [`apply_transition`](Store::apply_transition) does.
    ///
    /// # Errors
    ///
    /// As [`apply_transition`](Store::apply_transition).
    pub fn commit_transition<R, From, To, P>(
        &self,
        at: &Coordinate,
        receipt: R,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload = Transition<From, To, P>>,
        From: MachineState,
        To: MachineState,
        P: EventPayload,
    {
        self.commit_transition_with_options(at, receipt, TransitionOptions::default())
    }

    /// As [`commit_transition`](Store::commit_transition), with options.
    ///
    /// # Errors
    ///
    /// As [`apply_transition_with_options`](Store::apply_transition_with_options).
    pub fn commit_transition_with_options<R, From, To, P>(
        &self,
        at: &Coordinate,
        receipt: R,
        options: impl Into<TransitionOptions>,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload = Transition<From, To, P>>,
        From: MachineState,
        To: MachineState,
        P: EventPayload,
    {
        let TransitionOptions { append: options, state_check } = options.into();
        let append =
            receipt.into_append(|transition| transition.into_append(at.clone(), options))?;
        self.name_kind_of::<P>()?;
        self.append_transition::<From, To>(append, state_check)
    }

    /// Spends a receipt on one event: the names of its gates, or the reason and the justification
    /// of a bypass, are stored with the event, as
    /// [`EventHeader::admission`](crate::EventHeader::admission).
    ///
    /// The receipt may hold any value that serializes, stored as postcard, or a
    /// [`Payload`](crate::Payload) in a format of your choice. A receipt of any pipeline is taken;
    /// [`guarded_by`](Store::guarded_by) binds the store to one.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Store`], as for [`append`](Store::append). The receipt is spent then too:
    /// the world may have changed, so the gates must be asked again.
    pub fn commit_receipt<R>(
        &self,
        at: &Coordinate,
        kind: EventKind,
        receipt: R,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload: ReceiptPayload>,
    {
        self.commit_receipt_with_options(at, kind, receipt, AppendOptions::default())
    }

    /// As [`commit_receipt`](Store::commit_receipt), with an expected version, an idempotency key
    /// and the like, checked in the same step as the write.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Store`], as for [`append_with_options`](Store::append_with_options).
    pub fn commit_receipt_with_options<R>(
        &self,
        at: &Coordinate,
        kind: EventKind,
        receipt: R,
        options: AppendOptions,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload: ReceiptPayload>,
    {
        let append = receipt.into_append(|payload| {
            let payload = payload.into_event_payload()?;
            Ok::<_, StoreError>(Append::new(at.clone(), kind, payload).with_options(options))
        })?;
        Ok(self.append_one(append)?)
    }

    /// As [`commit_receipt`](Store::commit_receipt), for an event whose type says its kind, name,
    /// version and format.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Store`], as for [`append_typed`](Store::append_typed).
    pub fn commit_typed_receipt<R>(
        &self,
        at: &Coordinate,
        receipt: R,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload: EventPayload>,
    {
        self.commit_typed_receipt_with_options(at, receipt, AppendOptions::default())
    }

    /// As [`commit_typed_receipt`](Store::commit_typed_receipt), with options.
    ///
    /// # Errors
    ///
    /// [`PolicyError::Store`], as for
    /// [`append_typed_with_options`](Store::append_typed_with_options).
    pub fn commit_typed_receipt_with_options<R>(
        &self,
        at: &Coordinate,
        receipt: R,
        options: AppendOptions,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload: EventPayload>,
    {
        let append = receipt.into_append(|payload| {
            let payload = payload.to_payload()?;
            let kind = <R::Payload as EventPayload>::KIND;
            Ok::<_, StoreError>(Append::new(at.clone(), kind, payload).with_options(options))
        })?;
        self.name_kind_of::<R::Payload>()?;
        Ok(self.append_one(append)?)
    }

    fn append_transition<From, To>(
        &self,
        append: Append,
        check: StateCheck,
    ) -> Result<AppendReceipt, PolicyError>
    where
        From: MachineState,
        To: MachineState,
    {
        if check == StateCheck::Skip {
            return Ok(self.append_one(append)?);
        }
        let wanted = append.options.expected_version;
        let entity = append.coordinate.entity();
        loop {
            let reader = self.reader();
            if is_known(&reader, &append)? {
                // The store compares the two events, before any version.
                return Ok(self.append_one(append)?);
            }
            let standing = Standing::read::<From::Machine, S>(&reader, entity)?;
            standing.check_version(entity, wanted)?;
            if standing.state != From::NAME {
                return Err(PolicyError::WrongState {
                    entity: entity.to_owned(),
                    machine: From::Machine::NAME,
                    expected: From::NAME,
                    to: To::NAME,
                    actual: standing.state,
                });
            }
            let mut pinned = append.clone();
            pinned.options.expected_version = standing.as_expected();
            match self.append_one(pinned) {
                // The stream moved on between reading and writing. Where the caller did not pin
                // it, only the state matters: look again. Somebody else got on meanwhile.
                Err(StoreError::VersionConflict { .. }) if !is_pinned(wanted) => {}
                answer => return Ok(answer?),
            }
        }
    }
}

/// Whether the append's idempotency key is that of an event that is there.
fn is_known<S: Storage>(reader: &Reader<Arc<S>>, append: &Append) -> Result<bool, StoreError> {
    let Some(key) = append.options.idempotency_key else { return Ok(false) };
    match reader.get(key) {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

fn is_pinned(expected: ExpectedVersion) -> bool {
    matches!(expected, ExpectedVersion::NoStream | ExpectedVersion::Exact(_))
}
