//! Proposals, and the sealed receipts that admit them.
//!
//! Owns the proof that gates let a payload pass. A receipt has no public constructor, is not
//! `Clone`, cannot be deserialized and is consumed by value, so it is spent once. It holds the
//! identity of the gate set that issued it: a shared allocation, which is unique for as long as
//! anyone holds it, in any environment that can allocate.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::Serialize;

use crate::model::{Admission, Append, CodecError, IntoPayload as _, Payload};

use super::pipeline::BypassReason;

/// A payload that waits for a decision.
///
/// ```
/// use annals_core::Proposal;
///
/// let proposal = Proposal::new("12").map(str::len);
/// assert_eq!(*proposal.payload(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal<T>(T);

impl<T> Proposal<T> {
    /// Proposes a payload.
    pub fn new(payload: T) -> Self {
        Self(payload)
    }

    /// Turns the payload into another one. Only a proposal can be mapped: what a receipt holds
    /// is what was judged.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Proposal<U> {
        Proposal(f(self.0))
    }

    /// The proposed payload.
    pub fn payload(&self) -> &T {
        &self.0
    }

    /// Takes the payload back.
    pub fn into_payload(self) -> T {
        self.0
    }
}

/// The identity of the gate set that issues receipts, with its gates' names.
///
/// Two issuers are equal only if they are the same set, however alike their gates are named. A
/// store that demands one pipeline keeps its issuer and compares.
#[derive(Clone)]
pub struct Issuer(Arc<Vec<String>>);

impl Issuer {
    pub(super) fn new() -> Self {
        Self(Arc::default())
    }

    /// Adds a gate's name. Where a receipt or a copy of the issuer is about, `make_mut` moves to
    /// a fresh allocation, and with it to a fresh identity; where none is, nobody can tell.
    pub(super) fn add_gate(&mut self, name: String) {
        Arc::make_mut(&mut self.0).push(name);
    }

    /// The names of the gates, in order.
    pub fn gates(&self) -> &[String] {
        &self.0
    }

    /// Checks that a receipt was issued here.
    ///
    /// # Errors
    ///
    /// [`WrongPipeline`] with the gates of both sides, if it was issued elsewhere.
    pub fn check<R: Admitted>(&self, receipt: &R) -> Result<(), WrongPipeline> {
        if self == receipt.issuer() {
            return Ok(());
        }
        Err(WrongPipeline {
            issued: receipt.issuer().gates().to_vec(),
            required: self.gates().to_vec(),
        })
    }
}

impl PartialEq for Issuer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Issuer {}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.gates()).finish()
    }
}

/// A receipt was shown to a pipeline, or to a store bound to one, that did not issue it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the receipt was issued by another pipeline: it passed {issued:?}, required is {required:?}"
)]
#[non_exhaustive]
pub struct WrongPipeline {
    /// The gates of the pipeline that issued the receipt.
    pub issued: Vec<String>,
    /// The gates of the pipeline that should have issued it.
    pub required: Vec<String>,
}

/// Proof that every gate of one pipeline let this payload pass.
///
/// Only [`GateSet::evaluate`](super::GateSet::evaluate) and
/// [`Pipeline::evaluate`](super::Pipeline::evaluate) make one; it is spent by committing it.
///
/// ```compile_fail
/// # use annals_core::{Pipeline, Proposal, GateSet};
/// let pipeline = Pipeline::new(GateSet::<()>::new());
/// let receipt = pipeline.evaluate(&(), Proposal::new(1)).unwrap();
/// let again = receipt.clone(); // a receipt is spent once
/// ```
#[derive(Debug)]
#[must_use = "a receipt that is not committed admits nothing"]
pub struct Receipt<T> {
    payload: T,
    issuer: Issuer,
}

impl<T> Receipt<T> {
    pub(super) fn new(payload: T, issuer: Issuer) -> Self {
        Self { payload, issuer }
    }

    /// The payload that passed.
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// The names of the gates that it passed, in order.
    pub fn gates(&self) -> &[String] {
        self.issuer.gates()
    }
}

/// Proof that a person or program let this payload pass without asking the gates.
///
/// Only [`Pipeline::bypass`](super::Pipeline::bypass) makes one; it is spent by committing it.
#[derive(Debug)]
#[must_use = "a bypass that is not committed admits nothing"]
pub struct BypassReceipt<T> {
    payload: T,
    issuer: Issuer,
    reason: BypassReason,
    justification: String,
}

impl<T> BypassReceipt<T> {
    pub(super) fn new(
        payload: T,
        issuer: Issuer,
        reason: BypassReason,
        justification: String,
    ) -> Self {
        Self { payload, issuer, reason, justification }
    }

    /// The payload that was let in.
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// The reason, one that the application declared.
    pub fn reason(&self) -> &BypassReason {
        &self.reason
    }

    /// Why it was right in this case.
    pub fn justification(&self) -> &str {
        &self.justification
    }
}

/// A payload that was let in, by gates or past them: [`Receipt`] and [`BypassReceipt`].
///
/// This is what a store takes. The trait is sealed, so nothing else counts as admitted.
pub trait Admitted: sealed::Sealed + Sized {
    /// What was let in.
    type Payload;

    /// Who issued the receipt.
    fn issuer(&self) -> &Issuer;

    /// Spends the receipt on one event: `make` turns the payload into an append, which then
    /// carries who let it in. This is the only way for an append to carry it.
    ///
    /// ```
    /// use annals_core::{
    ///     Admitted, Append, CodecError, Coordinate, EventKind, GateSet, Payload, Pipeline, Proposal,
    /// };
    ///
    /// const NOTE: EventKind = EventKind::new(1, 7);
    /// let pipeline = Pipeline::new(GateSet::<()>::new());
    /// let receipt = pipeline.evaluate(&(), Proposal::new("hello"))?;
    ///
    /// let here = Coordinate::new("note:1", "main")?;
    /// let append = receipt.into_append(|text| {
    ///     Ok::<_, CodecError>(Append::new(here, NOTE, Payload::json(&text)?))
    /// })?;
    /// # let _ = append;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What `make` returns. The receipt is spent then too.
    fn into_append<E>(
        self,
        make: impl FnOnce(Self::Payload) -> Result<Append, E>,
    ) -> Result<Append, E>;

    /// Spends the receipt on something that is not a store. The trace of who let it in ends
    /// here.
    fn into_payload(self) -> Self::Payload;
}

impl<T> Admitted for Receipt<T> {
    type Payload = T;

    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn into_append<E>(self, make: impl FnOnce(T) -> Result<Append, E>) -> Result<Append, E> {
        let admission = self.admission();
        Ok(make(self.payload)?.admitted_by(admission))
    }

    fn into_payload(self) -> T {
        self.payload
    }
}

impl<T> Admitted for BypassReceipt<T> {
    type Payload = T;

    fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn into_append<E>(self, make: impl FnOnce(T) -> Result<Append, E>) -> Result<Append, E> {
        let admission = self.admission();
        Ok(make(self.payload)?.admitted_by(admission))
    }

    fn into_payload(self) -> T {
        self.payload
    }
}

/// What a receipt may hold so that a store can append it: a [`Payload`] as it is, or any value
/// that serializes, which becomes postcard.
///
/// ```
/// use annals_core::{Payload, ReceiptPayload};
///
/// assert_eq!(7_u8.into_event_payload()?, Payload::postcard(&7_u8)?);
/// assert_eq!(Payload::json(&7_u8)?.into_event_payload()?, Payload::json(&7_u8)?);
/// # Ok::<(), annals_core::CodecError>(())
/// ```
pub trait ReceiptPayload {
    /// Makes the event's payload.
    ///
    /// # Errors
    ///
    /// [`CodecError::Encode`] if the value's `Serialize` fails.
    fn into_event_payload(self) -> Result<Payload, CodecError>;
}

impl ReceiptPayload for Payload {
    fn into_event_payload(self) -> Result<Payload, CodecError> {
        Ok(self)
    }
}

impl<T: Serialize> ReceiptPayload for T {
    fn into_event_payload(self) -> Result<Payload, CodecError> {
        (&self).into_payload()
    }
}

impl<T> Receipt<T> {
    pub(super) fn admission(&self) -> Admission {
        Admission::by_gates(self.gates().to_vec())
    }
}

impl<T> BypassReceipt<T> {
    pub(super) fn admission(&self) -> Admission {
        Admission::by_bypass(self.reason.name().into(), self.justification.clone())
    }
}

mod sealed {
    pub trait Sealed {}
    impl<T> Sealed for super::Receipt<T> {}
    impl<T> Sealed for super::BypassReceipt<T> {}
}
