//! A batch: events that are appended together, all or none.

use alloc::vec::Vec;

use super::append::{Append, AppendCondition};
use super::limits::{BATCH_EVENTS_MAX, LimitError};

/// Events to be appended in one piece, in their order.
///
/// ```
/// # use annals_core::*;
/// # let coordinate = Coordinate::new("order:5", "shop").unwrap();
/// # let (placed, paid) = (EventKind::new(1, 1), EventKind::new(1, 2));
/// let batch = Batch::new()
///     .push(Append::new(coordinate.clone(), placed, Payload::raw(*b"tea")))
///     .push(Append::new(coordinate, paid, Payload::raw(*b"3")).caused_by_item(0));
/// assert_eq!(batch.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    pub(crate) items: Vec<Append>,
    pub(crate) condition: Option<AppendCondition>,
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub const fn new() -> Self {
        Self { items: Vec::new(), condition: None }
    }

    /// Adds an event at the end.
    #[must_use]
    pub fn push(mut self, append: Append) -> Self {
        self.items.push(append);
        self
    }

    /// Sets what must not have happened, for the batch as a whole.
    #[must_use]
    pub fn with_condition(mut self, condition: AppendCondition) -> Self {
        self.condition = Some(condition);
        self
    }

    /// The events, in their order.
    #[must_use]
    pub fn items(&self) -> &[Append] {
        &self.items
    }

    /// What must not have happened, for the batch as a whole.
    #[must_use]
    pub const fn condition(&self) -> Option<&AppendCondition> {
        self.condition.as_ref()
    }

    /// How many events there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Checks the number of events and the limits of each.
    ///
    /// # Errors
    ///
    /// The first limit that is exceeded, by name.
    pub fn check_limits(&self) -> Result<(), LimitError> {
        LimitError::check("batch events", BATCH_EVENTS_MAX, self.items.len())?;
        self.items.iter().try_for_each(Append::check_limits)
    }
}

impl FromIterator<Append> for Batch {
    fn from_iter<I: IntoIterator<Item = Append>>(appends: I) -> Self {
        Self { items: appends.into_iter().collect(), condition: None }
    }
}

impl Extend<Append> for Batch {
    fn extend<I: IntoIterator<Item = Append>>(&mut self, appends: I) {
        self.items.extend(appends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Coordinate, EventKind, Payload, Region};

    fn append() -> Append {
        let coordinate = Coordinate::new("e", "s").unwrap();
        Append::new(coordinate, EventKind::new(1, 1), Payload::raw(*b"x"))
    }

    #[test]
    fn a_batch_keeps_its_items_in_order() {
        let mut batch: Batch = [append()].into_iter().collect();
        batch.extend([append().caused_by_item(0)]);
        let batch = batch.push(append()).with_condition(AppendCondition::new(Region::all(), None));
        let causes: Vec<_> = batch.items().iter().map(Append::cause_item).collect();
        assert_eq!(causes, [None, Some(0), None]);
        assert!(batch.condition().is_some() && !batch.is_empty());
    }

    #[test]
    fn the_largest_batch_is_accepted_and_one_event_more_is_not() {
        let append = append();
        let batch = |len| core::iter::repeat_n(append.clone(), len).collect::<Batch>();
        assert!(batch(BATCH_EVENTS_MAX).check_limits().is_ok());
        assert_eq!(batch(BATCH_EVENTS_MAX + 1).check_limits().unwrap_err().limit, "batch events");
    }
}
