//! Outcomes put together: pairs, all of many, any of many.
//!
//! Owns the order in which outcomes stop each other.

use alloc::format;
use alloc::vec::Vec;

use super::{ErrorKind, Outcome, OutcomeError};

/// Pairs two outcomes; the arms stand in the order of their priority, and within an or-pattern
/// the left side wins ties.
pub(super) fn zip<T: Clone, U: Clone>(first: Outcome<T>, second: Outcome<U>) -> Outcome<(T, U)> {
    use Outcome::{Batch, Cancelled, Err, Ok, Pending, Retry};

    match (first, second) {
        (Err(error), _) | (_, Err(error)) => Err(error),
        (Cancelled { reason }, _) | (_, Cancelled { reason }) => Cancelled { reason },
        (Retry { after_ms, attempt, attempts_max, reason }, _)
        | (_, Retry { after_ms, attempt, attempts_max, reason }) => {
            Retry { after_ms, attempt, attempts_max, reason }
        }
        (Pending { condition, resume_token }, _) | (_, Pending { condition, resume_token }) => {
            Pending { condition, resume_token }
        }
        (Batch(first), Batch(second)) if first.len() != second.len() => {
            let message =
                format!("batches of {} and {} outcomes do not pair", first.len(), second.len());
            Err(OutcomeError::new(ErrorKind::Validation, message))
        }
        (Batch(first), Batch(second)) => {
            Batch(first.into_iter().zip(second).map(|(first, second)| zip(first, second)).collect())
        }
        (Batch(items), Ok(second)) => {
            Batch(items.into_iter().map(|item| zip(item, Ok(second.clone()))).collect())
        }
        (Ok(first), Batch(items)) => {
            Batch(items.into_iter().map(|item| zip(Ok(first.clone()), item)).collect())
        }
        (Ok(first), Ok(second)) => Ok((first, second)),
    }
}

/// All values in order, or the first outcome that is not `Ok`. Batches are taken apart.
///
/// ```
/// use annals_core::{Outcome, join_all};
///
/// let all = join_all([Outcome::Ok(1), Outcome::Batch(vec![Outcome::Ok(2), Outcome::Ok(3)])]);
/// assert_eq!(all, Outcome::Ok(vec![1, 2, 3]));
/// ```
pub fn join_all<T>(outcomes: impl IntoIterator<Item = Outcome<T>>) -> Outcome<Vec<T>> {
    let mut values = Vec::new();
    for leaf in outcomes.into_iter().flat_map(Outcome::into_leaves) {
        match leaf {
            Outcome::Ok(value) => values.push(value),
            stopped => return stopped.map(|value| Vec::from([value])),
        }
    }
    Outcome::Ok(values)
}

/// The first outcome that is not `Err`, else the last `Err`. Batches are taken apart. Of no
/// outcome at all: an `Err` of kind [`ErrorKind::Internal`].
///
/// ```
/// use annals_core::{ErrorKind, Outcome, OutcomeError, join_any};
///
/// let down = Outcome::Err(OutcomeError::new(ErrorKind::Timeout, "replica 1 is silent"));
/// assert_eq!(join_any([down, Outcome::Ok(7)]), Outcome::Ok(7));
/// ```
pub fn join_any<T>(outcomes: impl IntoIterator<Item = Outcome<T>>) -> Outcome<T> {
    let mut last = OutcomeError::new(ErrorKind::Internal, "there was no outcome to choose from");
    for leaf in outcomes.into_iter().flat_map(Outcome::into_leaves) {
        match leaf {
            Outcome::Err(error) => last = error,
            chosen => return chosen,
        }
    }
    Outcome::Err(last)
}
