//! Pipelines: evaluate, then commit, or bypass with a trace.
//!
//! Owns the binding of a receipt to the pipeline that issued it, and the rules of a bypass. It
//! commits through a function that it is given, so it knows no store.

use alloc::string::String;
use core::fmt;

use crate::model::{Admission, REASON_LEN_MAX};

use super::denial::Denial;
use super::gate::GateSet;
use super::receipt::{Admitted, BypassReceipt, Issuer, Proposal, Receipt, WrongPipeline};

/// A gate set that commits what it let pass.
///
/// ```
/// use annals_core::{BypassReason, Denial, GateSet, Pipeline, Proposal, gate_fn};
///
/// const MIGRATION: BypassReason = BypassReason::new("migration", "moved from the old system");
///
/// let pipeline = Pipeline::new(GateSet::new().with(gate_fn("limit", |cents: &u64| {
///     if *cents <= 100 { Ok(()) } else { Err(Denial::new("OVER_LIMIT", "over the limit")) }
/// })));
///
/// let mut log = Vec::new(); // in an application: a store
/// let receipt = pipeline.evaluate(&80, Proposal::new("paid 80"))?;
/// let committed = pipeline.commit(receipt, |receipt| {
///     log.push(*receipt.payload());
///     Ok::<_, std::io::Error>(log.len())
/// })?;
/// assert_eq!(*committed.value(), 1);
/// assert_eq!(committed.admission().gates().unwrap(), ["limit"]);
///
/// assert!(pipeline.evaluate(&900, Proposal::new("paid 900")).is_err());
/// let bypass = pipeline.bypass(Proposal::new("paid 900"), MIGRATION, "paid in 2019, import 7")?;
/// let committed = pipeline.commit_bypass(bypass, |receipt| {
///     log.push(*receipt.payload());
///     Ok::<_, std::io::Error>(log.len())
/// })?;
/// assert_eq!(committed.admission().bypass().unwrap(), ("migration", "paid in 2019, import 7"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pipeline<Ctx: ?Sized> {
    gates: GateSet<Ctx>,
}

impl<Ctx: ?Sized> Pipeline<Ctx> {
    /// A pipeline over these gates. They can't change any more.
    pub fn new(gates: GateSet<Ctx>) -> Self {
        Self { gates }
    }

    /// The gates.
    pub fn gates(&self) -> &GateSet<Ctx> {
        &self.gates
    }

    /// The identity that this pipeline's receipts carry. A store that demands this pipeline
    /// keeps it and calls [`Issuer::check`].
    pub fn issuer(&self) -> &Issuer {
        self.gates.issuer()
    }

    /// Asks the gates in order, up to the first denial; see [`GateSet::evaluate`].
    ///
    /// # Errors
    ///
    /// The first denial.
    pub fn evaluate<T>(&self, ctx: &Ctx, proposal: Proposal<T>) -> Result<Receipt<T>, Denial> {
        self.gates.evaluate(ctx, proposal)
    }

    /// Asks the gates in order about the proposed payload itself; see
    /// [`GateSet::evaluate_payload`].
    ///
    /// # Errors
    ///
    /// The first denial.
    pub fn evaluate_payload(&self, proposal: Proposal<Ctx>) -> Result<Receipt<Ctx>, Denial>
    where
        Ctx: Sized,
    {
        self.gates.evaluate_payload(proposal)
    }

    /// Spends a receipt of this pipeline: hands it to `f`, which writes, and says what came of
    /// it together with who let it in.
    ///
    /// # Errors
    ///
    /// [`CommitError::WrongPipeline`] if another pipeline issued the receipt; `f` is not called
    /// then. [`CommitError::Commit`] with what `f` returns. The receipt is spent in both cases:
    /// the world may have changed, so the gates must be asked again.
    pub fn commit<T, R, E>(
        &self,
        receipt: Receipt<T>,
        f: impl FnOnce(Receipt<T>) -> Result<R, E>,
    ) -> Result<Committed<R>, CommitError<E>> {
        let admission = receipt.admission();
        self.commit_admitted(receipt, admission, f)
    }

    /// Lets a proposal pass without asking the gates.
    ///
    /// # Errors
    ///
    /// [`BypassError`] if the justification is blank or longer than [`REASON_LEN_MAX`]:
    /// a bypass that nobody can understand later is not one.
    pub fn bypass<T>(
        &self,
        proposal: Proposal<T>,
        reason: BypassReason,
        justification: impl Into<String>,
    ) -> Result<BypassReceipt<T>, BypassError> {
        let justification = justification.into();
        if justification.trim().is_empty() {
            return Err(BypassError::JustificationBlank);
        }
        if justification.len() > REASON_LEN_MAX {
            return Err(BypassError::JustificationTooLong {
                len: justification.len(),
                len_max: REASON_LEN_MAX,
            });
        }
        let issuer = self.issuer().clone();
        Ok(BypassReceipt::new(proposal.into_payload(), issuer, reason, justification))
    }

    /// Spends a bypass of this pipeline; see [`commit`](Self::commit).
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    pub fn commit_bypass<T, R, E>(
        &self,
        receipt: BypassReceipt<T>,
        f: impl FnOnce(BypassReceipt<T>) -> Result<R, E>,
    ) -> Result<Committed<R>, CommitError<E>> {
        let admission = receipt.admission();
        self.commit_admitted(receipt, admission, f)
    }

    fn commit_admitted<A: Admitted, R, E>(
        &self,
        receipt: A,
        admission: Admission,
        f: impl FnOnce(A) -> Result<R, E>,
    ) -> Result<Committed<R>, CommitError<E>> {
        self.issuer().check(&receipt)?;
        let value = f(receipt).map_err(CommitError::Commit)?;
        Ok(Committed { value, admission })
    }
}

impl<Ctx: ?Sized> fmt::Debug for Pipeline<Ctx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pipeline").field(&self.gates.names()).finish()
    }
}

/// A reason that an application accepts for a bypass. Declare one as a `const`, so that the set
/// of reasons can be read in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BypassReason {
    name: &'static str,
    description: &'static str,
}

impl BypassReason {
    /// A reason with a stable name, which is stored with the event, and a description.
    ///
    /// # Panics
    ///
    /// If the name is empty or longer than [`REASON_LEN_MAX`]: in a `const`, that is an error
    /// at compile time.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        assert!(!name.is_empty(), "a bypass reason needs a name");
        assert!(name.len() <= REASON_LEN_MAX, "the name of a bypass reason is too long");
        Self { name, description }
    }

    /// The stable name, such as `migration`.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the reason covers.
    pub const fn description(&self) -> &'static str {
        self.description
    }
}

impl fmt::Display for BypassReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a commit made, and who let it in.
#[derive(Debug)]
pub struct Committed<T> {
    value: T,
    admission: Admission,
}

impl<T> Committed<T> {
    /// What the commit returned, such as the receipt of an append.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Takes what the commit returned.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The gates that it passed, or the bypass, as it is stored with the event.
    pub fn admission(&self) -> &Admission {
        &self.admission
    }
}

/// Why a receipt was not committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError<E> {
    /// Another pipeline issued the receipt.
    #[error(transparent)]
    WrongPipeline(#[from] WrongPipeline),
    /// The commit itself failed.
    #[error("the commit failed")]
    Commit(#[source] E),
}

/// Why a bypass was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BypassError {
    /// The justification says nothing.
    #[error("a bypass needs a justification")]
    JustificationBlank,
    /// The justification does not fit beside an event.
    #[error("the justification has {len} bytes, more than {len_max}")]
    JustificationTooLong {
        /// Its length in bytes.
        len: usize,
        /// [`REASON_LEN_MAX`].
        len_max: usize,
    },
}
