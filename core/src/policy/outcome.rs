//! Outcomes: what became of a step, richer than `Result`.
//!
//! Owns the type and its combinators. `Outcome` is a tree with batches as its inner nodes; every
//! combinator acts on all leaves, however deep, and keeps the shape. `map` obeys the functor
//! laws, `and_then` with `Ok` the monad laws. Time and retries are data: nothing here sleeps.

mod error;
mod join;
mod serde_form;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::denial::Denial;
use super::wait::WaitCondition;

pub use error::{ErrorKind, OutcomeError};
pub use join::{join_all, join_any};

/// What became of a step: done, failed, to be retried, waiting, cancelled, or a batch of these.
///
/// Combinators reach every leaf of a batch, nested ones too. In serde formats for people
/// such as JSON, the variant is the tag `type` and what it holds is the content `data`.
///
/// ```
/// use annals_core::{ErrorKind, Outcome, OutcomeError};
///
/// let outcome = Outcome::Batch(vec![
///     Outcome::Ok(20),
///     Outcome::Batch(vec![Outcome::Ok(1)]),
///     Outcome::Err(OutcomeError::new(ErrorKind::NotFound, "no such order")),
/// ]);
/// let doubled = outcome.map(|n| n * 2).or_else(|_| Outcome::Ok(0));
///
/// assert_eq!(
///     doubled,
///     Outcome::Batch(vec![
///         Outcome::Ok(40),
///         Outcome::Batch(vec![Outcome::Ok(2)]),
///         Outcome::Ok(0),
///     ]),
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "an outcome may be an error or ask for a retry"]
pub enum Outcome<T> {
    /// The step is done.
    Ok(T),
    /// The step failed.
    Err(OutcomeError),
    /// The step should be tried again.
    Retry {
        /// When, in milliseconds from now.
        after_ms: u64,
        /// The attempt that just failed, from 1.
        attempt: u32,
        /// The last attempt to make.
        attempts_max: u32,
        /// Why it failed.
        reason: String,
    },
    /// The step waits for something.
    Pending {
        /// For what.
        condition: WaitCondition,
        /// By what the application finds the step again.
        resume_token: String,
    },
    /// The step was called off.
    Cancelled {
        /// Why.
        reason: String,
    },
    /// Several steps, in order.
    Batch(Vec<Outcome<T>>),
}

impl<T> Outcome<T> {
    /// A cancelled outcome.
    pub fn cancelled(reason: impl Into<String>) -> Self {
        Self::Cancelled { reason: reason.into() }
    }

    /// Whether it is `Ok`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok(_))
    }

    /// Whether it is `Err`.
    pub fn is_err(&self) -> bool {
        matches!(self, Self::Err(_))
    }

    /// Whether it is `Retry`.
    pub fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }

    /// Whether it is `Pending`.
    pub fn is_pending(&self) -> bool {
        matches!(self, Self::Pending { .. })
    }

    /// Whether it is `Cancelled`.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled { .. })
    }

    /// Whether it is `Batch`.
    pub fn is_batch(&self) -> bool {
        matches!(self, Self::Batch(_))
    }

    /// Whether nothing more will happen: no leaf is `Retry` or `Pending`.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::Ok(_) | Self::Err(_) | Self::Cancelled { .. } => true,
            Self::Retry { .. } | Self::Pending { .. } => false,
            Self::Batch(items) => items.iter().all(Self::is_settled),
        }
    }

    /// Turns the value of every `Ok` into another.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Outcome<U> {
        self.bind(&mut |value| Outcome::Ok(f(value)))
    }

    /// Goes on from every `Ok` with another step.
    pub fn and_then<U>(self, mut f: impl FnMut(T) -> Outcome<U>) -> Outcome<U> {
        self.bind(&mut f)
    }

    /// Goes on with another step from every `Ok` whose value satisfies `predicate`.
    ///
    /// ```
    /// use annals_core::Outcome;
    ///
    /// let nested = Outcome::Batch(vec![Outcome::Batch(vec![Outcome::Ok(7), Outcome::Ok(8)])]);
    /// let halved = nested.and_then_if(|n| n % 2 == 0, |n| Outcome::Ok(n / 2));
    /// assert_eq!(halved.into_leaves(), [Outcome::Ok(7), Outcome::Ok(4)]);
    /// ```
    pub fn and_then_if(
        self,
        mut predicate: impl FnMut(&T) -> bool,
        mut f: impl FnMut(T) -> Self,
    ) -> Self {
        self.bind(&mut |value| if predicate(&value) { f(value) } else { Self::Ok(value) })
    }

    /// Turns every error into another.
    pub fn map_err(self, mut f: impl FnMut(OutcomeError) -> OutcomeError) -> Self {
        self.rescue(&mut |error| Self::Err(f(error)))
    }

    /// Goes on from every `Err` with another step.
    pub fn or_else(self, mut f: impl FnMut(OutcomeError) -> Self) -> Self {
        self.rescue(&mut f)
    }

    /// Shows every `Ok` value to `f`.
    pub fn inspect(self, mut f: impl FnMut(&T)) -> Self {
        self.map(|value| {
            f(&value);
            value
        })
    }

    /// Shows every error to `f`.
    pub fn inspect_err(self, mut f: impl FnMut(&OutcomeError)) -> Self {
        self.map_err(|error| {
            f(&error);
            error
        })
    }

    /// Pairs two outcomes.
    ///
    /// What stops the one stops the pair, in this order: `Err`, `Cancelled`, `Retry`, `Pending`;
    /// of two alike, the first. A batch and an `Ok` pair every item with the value; a batch and
    /// a batch pair item with item.
    ///
    /// Two batches of different lengths are an `Err` of kind [`ErrorKind::Validation`]: no item
    /// is dropped unseen.
    pub fn zip<U: Clone>(self, other: Outcome<U>) -> Outcome<(T, U)>
    where
        T: Clone,
    {
        join::zip(self, other)
    }

    /// The leaves in order, with all batches taken apart.
    pub fn into_leaves(self) -> Vec<Self> {
        match self {
            Self::Batch(items) => items.into_iter().flat_map(Self::into_leaves).collect(),
            leaf => Vec::from([leaf]),
        }
    }

    /// The value, or why there is none.
    ///
    /// # Errors
    ///
    /// The error of an `Err`. `Retry`, `Pending` and `Cancelled` are errors of kind
    /// [`ErrorKind::Internal`] that say what they were; that of a `Retry` is retryable. A batch
    /// holds no single value: it gives the error of its first leaf that has one, else an
    /// `Internal` error. For all values of a batch see [`join_all`].
    pub fn into_result(self) -> Result<T, OutcomeError> {
        let message = match self {
            Self::Ok(value) => return Ok(value),
            Self::Err(error) => return Err(error),
            Self::Retry { after_ms, attempt, attempts_max, reason } => {
                let message = format!(
                    "attempt {attempt} of {attempts_max} failed, retry in {after_ms} ms: {reason}"
                );
                let error = OutcomeError::new(ErrorKind::Internal, message);
                return Err(error.with_retryable(true));
            }
            Self::Pending { resume_token, .. } => format!("still pending: {resume_token}"),
            Self::Cancelled { reason } => format!("cancelled: {reason}"),
            Self::Batch(items) => {
                let leaves = Self::Batch(items).into_leaves();
                let count = leaves.len();
                match leaves.into_iter().find_map(|leaf| leaf.into_result().err()) {
                    Some(error) => return Err(error),
                    None => format!("a batch of {count} outcomes is not one value"),
                }
            }
        };
        Err(OutcomeError::new(ErrorKind::Internal, message))
    }

    /// The value of an `Ok`; of anything else, a batch too, `default`.
    pub fn unwrap_or(self, default: T) -> T {
        self.unwrap_or_else(|| default)
    }

    /// The value of an `Ok`; of anything else, a batch too, what `f` returns.
    pub fn unwrap_or_else(self, f: impl FnOnce() -> T) -> T {
        match self {
            Self::Ok(value) => value,
            _ => f(),
        }
    }

    /// Replaces every `Ok` by what `f` makes of it. It takes `f` by reference, so that the
    /// recursion has one type.
    fn bind<U, F: FnMut(T) -> Outcome<U>>(self, f: &mut F) -> Outcome<U> {
        match self {
            Self::Ok(value) => f(value),
            Self::Err(error) => Outcome::Err(error),
            Self::Retry { after_ms, attempt, attempts_max, reason } => {
                Outcome::Retry { after_ms, attempt, attempts_max, reason }
            }
            Self::Pending { condition, resume_token } => {
                Outcome::Pending { condition, resume_token }
            }
            Self::Cancelled { reason } => Outcome::Cancelled { reason },
            Self::Batch(items) => {
                Outcome::Batch(items.into_iter().map(|item| item.bind(f)).collect())
            }
        }
    }

    /// Replaces every `Err` by what `f` makes of it.
    fn rescue<F: FnMut(OutcomeError) -> Self>(self, f: &mut F) -> Self {
        match self {
            Self::Err(error) => f(error),
            Self::Batch(items) => {
                Self::Batch(items.into_iter().map(|item| item.rescue(f)).collect())
            }
            other => other,
        }
    }
}

impl<T> Outcome<Outcome<T>> {
    /// Takes one layer of nesting away.
    pub fn flatten(self) -> Outcome<T> {
        self.and_then(|inner| inner)
    }
}

impl<T, E: Into<OutcomeError>> From<Result<T, E>> for Outcome<T> {
    fn from(result: Result<T, E>) -> Self {
        match result {
            Ok(value) => Self::Ok(value),
            Err(error) => Self::Err(error.into()),
        }
    }
}

impl From<Denial> for OutcomeError {
    /// An error of kind [`ErrorKind::Policy`] that says what the denial says.
    fn from(denial: Denial) -> Self {
        Self::new(ErrorKind::Policy, format!("{denial}"))
    }
}
