//! A store bound to one pipeline: it refuses the receipts of every other.

use crate::fs_storage::FsStorage;
use crate::store::Store;
use crate::store::policy::{PolicyError, TransitionOptions};
use annals_core::{
    Admitted, AppendOptions, AppendReceipt, Coordinate, EventKind, EventPayload, Issuer,
    MachineState, ReceiptPayload, Storage, Transition, WrongPipeline,
};

/// A store that takes the receipts of one pipeline and no others; see [`Store::guarded_by`].
///
/// Cheap to make. It can't append what no receipt speaks for: hand it, and not the store, to the
/// code that must not get past the gates.
pub struct GuardedStore<'a, S: Storage = FsStorage> {
    store: &'a Store<S>,
    issuer: Issuer,
}

impl<S: Storage> std::fmt::Debug for GuardedStore<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GuardedStore").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl<'a, S: Storage> GuardedStore<'a, S> {
    pub(super) fn new(store: &'a Store<S>, issuer: Issuer) -> Self {
        GuardedStore { store, issuer }
    }
}

impl<'a, S> GuardedStore<'a, S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// As [`Store::commit_receipt`], for receipts of this pipeline.
    ///
    /// # Errors
    ///
    /// [`PolicyError::WrongPipeline`], and as [`Store::commit_receipt`].
    pub fn commit_receipt<R>(
        &self,
        at: &Coordinate,
        kind: EventKind,
        receipt: R,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload: ReceiptPayload>,
    {
        self.of(&receipt)?.commit_receipt(at, kind, receipt)
    }

    /// As [`Store::commit_receipt_with_options`], for receipts of this pipeline.
    ///
    /// # Errors
    ///
    /// [`PolicyError::WrongPipeline`], and as [`Store::commit_receipt_with_options`].
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
        self.of(&receipt)?.commit_receipt_with_options(at, kind, receipt, options)
    }

    /// As [`Store::commit_typed_receipt`], for receipts of this pipeline.
    ///
    /// # Errors
    ///
    /// [`PolicyError::WrongPipeline`], and as [`Store::commit_typed_receipt`].
    pub fn commit_typed_receipt<R>(
        &self,
        at: &Coordinate,
        receipt: R,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload: EventPayload>,
    {
        self.of(&receipt)?.commit_typed_receipt(at, receipt)
    }

    /// As [`Store::commit_typed_receipt_with_options`], for receipts of this pipeline.
    ///
    /// # Errors
    ///
    /// [`PolicyError::WrongPipeline`], and as [`Store::commit_typed_receipt_with_options`].
    pub fn commit_typed_receipt_with_options<R>(
        &self,
        at: &Coordinate,
        receipt: R,
        options: AppendOptions,
    ) -> Result<AppendReceipt, PolicyError>
    where
        R: Admitted<Payload: EventPayload>,
    {
        self.of(&receipt)?.commit_typed_receipt_with_options(at, receipt, options)
    }

    /// As [`Store::commit_transition`], for receipts of this pipeline.
    ///
    /// # Errors
    ///
    /// [`PolicyError::WrongPipeline`], and as [`Store::commit_transition`].
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
        self.of(&receipt)?.commit_transition(at, receipt)
    }

    /// As [`Store::commit_transition_with_options`], for receipts of this pipeline.
    ///
    /// # Errors
    ///
    /// [`PolicyError::WrongPipeline`], and as [`Store::commit_transition_with_options`].
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
        self.of(&receipt)?.commit_transition_with_options(at, receipt, options)
    }

    /// The store, if the pipeline issued the receipt.
    fn of<R: Admitted>(&self, receipt: &R) -> Result<&'a Store<S>, WrongPipeline> {
        self.issuer.check(receipt).map(|()| self.store)
    }
}
