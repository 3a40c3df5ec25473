//! Gates: named rules over a context, and ordered sets of them.
//!
//! Owns the evaluation order (the order of insertion) and the identity of a set. A gate judges;
//! it must not write. Invariant: a set whose gates changed never shares its identity with a
//! receipt that was issued before the change.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::model::{GATE_NAME_LEN_MAX, GATE_NAMES_MAX};

use super::denial::Denial;
use super::receipt::{Issuer, Proposal, Receipt};

/// A rule that lets a proposal pass or denies it, judged on a context.
///
/// A gate is `Send + Sync`, because one pipeline serves every thread. For a closure see
/// [`gate_fn`].
///
/// ```
/// use annals_core::{Denial, Gate};
///
/// struct Limit {
///     cents_max: u64,
/// }
///
/// impl Gate<u64> for Limit {
///     fn name(&self) -> &str {
///         "limit"
///     }
///     fn description(&self) -> &str {
///         "no order over the customer's limit"
///     }
///     fn evaluate(&self, cents: &u64) -> Result<(), Denial> {
///         if *cents <= self.cents_max {
///             return Ok(());
///         }
///         Err(Denial::new("OVER_LIMIT", "the order is over the limit").with_context("cents", cents))
///     }
/// }
///
/// assert!(Limit { cents_max: 100 }.evaluate(&80).is_ok());
/// ```
pub trait Gate<Ctx: ?Sized>: Send + Sync {
    /// The name that denials, receipts and stored events carry. It is read once, when the gate
    /// joins a set.
    fn name(&self) -> &str;

    /// What the gate guards against, in a few words for people. Empty if not given.
    fn description(&self) -> &str {
        ""
    }

    /// Judges the context.
    ///
    /// # Errors
    ///
    /// The denial, if the gate does not let the proposal pass.
    fn evaluate(&self, ctx: &Ctx) -> Result<(), Denial>;
}

/// A gate made of a name and a closure; see [`gate_fn`].
pub struct GateFn<F> {
    name: String,
    description: String,
    judge: F,
}

/// Makes a gate of a name and a closure.
///
/// ```
/// use annals_core::{Denial, GateSet, gate_fn};
///
/// let gates = GateSet::new().with(
///     gate_fn("not-empty", |lines: &Vec<String>| {
///         if lines.is_empty() { Err(Denial::new("EMPTY", "no lines")) } else { Ok(()) }
///     })
///     .described("an order has at least one line"),
/// );
/// assert_eq!(gates.names(), ["not-empty"]);
/// ```
pub fn gate_fn<Ctx, F>(name: impl Into<String>, judge: F) -> GateFn<F>
where
    Ctx: ?Sized,
    F: Fn(&Ctx) -> Result<(), Denial> + Send + Sync,
{
    GateFn { name: name.into(), description: String::new(), judge }
}

impl<F> GateFn<F> {
    /// Gives the gate a description.
    #[must_use]
    pub fn described(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }
}

impl<Ctx, F> Gate<Ctx> for GateFn<F>
where
    Ctx: ?Sized,
    F: Fn(&Ctx) -> Result<(), Denial> + Send + Sync,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn evaluate(&self, ctx: &Ctx) -> Result<(), Denial> {
        (self.judge)(ctx)
    }
}

impl<F> fmt::Debug for GateFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GateFn")
            .field("name", &self.name)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

/// Gates in order, over one kind of context.
///
/// ```
/// use annals_core::{Denial, GateSet, Proposal, gate_fn};
///
/// let gates = GateSet::new()
///     .with(gate_fn("positive", |cents: &i64| {
///         if *cents > 0 { Ok(()) } else { Err(Denial::new("NOT_POSITIVE", "nothing to pay")) }
///     }))
///     .with(gate_fn("limit", |cents: &i64| {
///         if *cents <= 100 { Ok(()) } else { Err(Denial::new("OVER_LIMIT", "over the limit")) }
///     }));
///
/// let receipt = gates.evaluate(&80, Proposal::new("pay"))?;
/// assert_eq!(receipt.gates(), ["positive", "limit"]);
///
/// let denial = gates.evaluate(&-5, Proposal::new("pay")).unwrap_err();
/// assert_eq!((denial.gate(), denial.code()), ("positive", "NOT_POSITIVE"));
/// # Ok::<(), Denial>(())
/// ```
pub struct GateSet<Ctx: ?Sized> {
    gates: Vec<Box<dyn Gate<Ctx>>>,
    issuer: Issuer,
}

impl<Ctx: ?Sized> GateSet<Ctx> {
    /// A set without gates. It lets everything pass.
    pub fn new() -> Self {
        Self { gates: Vec::new(), issuer: Issuer::new() }
    }

    /// Adds a gate behind those that are there.
    ///
    /// # Panics
    ///
    /// As [`push`](Self::push).
    #[must_use]
    pub fn with(mut self, gate: impl Gate<Ctx> + 'static) -> Self {
        self.push(gate);
        self
    }

    /// Adds a gate behind those that are there. Receipts that the set issued before are no
    /// longer receipts of this set: they passed fewer gates.
    ///
    /// # Panics
    ///
    /// If the gate's name is empty or longer than [`GATE_NAME_LEN_MAX`], or if the set holds
    /// [`GATE_NAMES_MAX`] gates already.
    pub fn push(&mut self, gate: impl Gate<Ctx> + 'static) {
        let name = gate.name().to_owned();
        assert!(!name.is_empty(), "a gate needs a name, for the name is its trace in the log");
        assert!(
            name.len() <= GATE_NAME_LEN_MAX,
            "the name of a gate has {} bytes, more than {GATE_NAME_LEN_MAX}",
            name.len()
        );
        assert!(
            self.gates.len() < GATE_NAMES_MAX,
            "a gate set holds at most {GATE_NAMES_MAX} gates"
        );
        self.gates.push(Box::new(gate));
        self.issuer.add_gate(name);
    }

    /// Asks the gates in order and stops at the first denial. If all pass, the receipt carries
    /// the proposal and the gates' names.
    ///
    /// # Errors
    ///
    /// The first denial. With the feature `std`, a gate that panics denies with
    /// [`Denial::GATE_DEFECT`].
    pub fn evaluate<T>(&self, ctx: &Ctx, proposal: Proposal<T>) -> Result<Receipt<T>, Denial> {
        self.judge(ctx)?;
        Ok(Receipt::new(proposal.into_payload(), self.issuer.clone()))
    }

    /// Asks the gates in order about the proposed payload itself, so that what is committed is
    /// exactly what was judged.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_payload(&self, proposal: Proposal<Ctx>) -> Result<Receipt<Ctx>, Denial>
    where
        Ctx: Sized,
    {
        self.judge(proposal.payload())?;
        Ok(Receipt::new(proposal.into_payload(), self.issuer.clone()))
    }

    /// Asks every gate, also behind a denial, and returns all denials in order. Empty means
    /// that all pass; it is no receipt.
    pub fn evaluate_all(&self, ctx: &Ctx) -> Vec<Denial> {
        self.verdicts(ctx).filter_map(Result::err).collect()
    }

    /// The gates' names, in order.
    pub fn names(&self) -> &[String] {
        self.issuer.gates()
    }

    /// The gates' names and descriptions, in order.
    pub fn descriptions(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.names().iter().zip(&self.gates).map(|(name, gate)| (name.as_str(), gate.description()))
    }

    /// The number of gates.
    pub fn len(&self) -> usize {
        self.gates.len()
    }

    /// Whether there is no gate.
    pub fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }

    /// Who the receipts of this set are issued by.
    pub fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    fn judge(&self, ctx: &Ctx) -> Result<(), Denial> {
        self.verdicts(ctx).collect()
    }

    fn verdicts<'a>(&'a self, ctx: &'a Ctx) -> impl Iterator<Item = Result<(), Denial>> + 'a {
        self.names().iter().zip(&self.gates).map(move |(name, gate)| {
            evaluate_caught(gate.as_ref(), ctx).map_err(|denial| denial.by_gate(name))
        })
    }
}

impl<Ctx: ?Sized> Default for GateSet<Ctx> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Ctx: ?Sized> fmt::Debug for GateSet<Ctx> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GateSet").field(&self.names()).finish()
    }
}

#[cfg(not(feature = "std"))]
fn evaluate_caught<Ctx: ?Sized>(gate: &dyn Gate<Ctx>, ctx: &Ctx) -> Result<(), Denial> {
    gate.evaluate(ctx)
}

/// A gate that panics has not let anything pass. Asserting unwind safety is sound for the set:
/// it only reads, and a gate's own broken state can at worst deny or panic again.
#[cfg(feature = "std")]
fn evaluate_caught<Ctx: ?Sized>(gate: &dyn Gate<Ctx>, ctx: &Ctx) -> Result<(), Denial> {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    catch_unwind(AssertUnwindSafe(|| gate.evaluate(ctx))).unwrap_or_else(|panic| {
        let denial = Denial::new(Denial::GATE_DEFECT, "the gate panicked");
        let message = panic
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        Err(match message {
            Some(message) => denial.with_context("panic", message),
            None => denial,
        })
    })
}
