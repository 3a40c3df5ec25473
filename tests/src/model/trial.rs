//! An attempt to append, and the answers that there are to it.

use annals_core::{Append, AppendCondition, Batch, EventId, Sequence, StoreError};

use super::{Fact, Question};

/// One event that is to be appended.
#[derive(Clone, Debug)]
pub struct Item {
    /// The append, without its condition.
    pub append: Append,
    /// Its own condition.
    pub condition: Option<Condition>,
}

/// No event of the question may stand after the sequence.
#[derive(Clone, Debug)]
pub struct Condition {
    /// Which events.
    pub question: Question,
    /// Those up to here may.
    pub after: Option<u64>,
}

/// A batch that is to be appended.
#[derive(Clone, Debug, Default)]
pub struct Trial {
    /// Its items.
    pub items: Vec<Item>,
    /// Its condition.
    pub condition: Option<Condition>,
}

/// What the store says to a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It appends it.
    New,
    /// It was appended before, from this sequence on.
    Known {
        /// The place of its first event.
        first: usize,
    },
    /// It contradicts itself.
    Invalid {
        /// The first item at fault.
        item: usize,
    },
    /// Its key belongs to another event.
    IdempotencyConflict {
        /// The key.
        id: EventId,
    },
    /// A condition does not hold.
    ConditionFailed {
        /// The first event in the way.
        sequence: u64,
    },
    /// A version does not hold.
    VersionConflict {
        /// Of this stream.
        entity: String,
        /// The version that it is at.
        actual: Option<u64>,
    },
}

impl Condition {
    /// Whether an event is in the way.
    #[must_use]
    pub fn forbids(&self, fact: &Fact) -> bool {
        self.after.is_none_or(|after| fact.sequence > after) && self.question.takes(fact)
    }

    fn to_append(&self) -> AppendCondition {
        AppendCondition::new(self.question.region(), self.after.map(Sequence::new))
    }
}

impl Item {
    fn to_append(&self) -> Append {
        let mut append = self.append.clone();
        append.options.condition = self.condition.as_ref().map(Condition::to_append);
        append
    }
}

impl Trial {
    /// The same as the store takes it.
    #[must_use]
    pub fn to_batch(&self) -> Batch {
        let batch: Batch = self.items.iter().map(Item::to_append).collect();
        match &self.condition {
            Some(condition) => batch.with_condition(condition.to_append()),
            None => batch,
        }
    }

    /// The first item that no store could append.
    pub(super) fn contradiction(&self) -> Option<usize> {
        let key = |item: &Item| item.append.options.idempotency_key;
        self.items.iter().enumerate().position(|(place, item)| {
            let earlier = &self.items[..place];
            let key_taken = key(item).is_some() && earlier.iter().any(|one| key(one) == key(item));
            key_taken || item.append.cause_item().is_some_and(|cause| cause >= place)
        })
    }
}

impl Answer {
    /// What an error of the store says.
    ///
    /// # Panics
    ///
    /// For an error that no trial leads to.
    #[must_use]
    pub fn from_error(error: &StoreError) -> Self {
        match error {
            StoreError::InvalidBatch { item, .. } => Answer::Invalid { item: *item },
            StoreError::IdempotencyConflict { id, .. } => Answer::IdempotencyConflict { id: *id },
            StoreError::ConditionFailed { sequence } => {
                Answer::ConditionFailed { sequence: sequence.get() }
            }
            StoreError::VersionConflict { entity, actual, .. } => Answer::VersionConflict {
                entity: entity.clone(),
                actual: actual.map(annals_core::Version::get),
            },
            other => panic!("not an answer to an append: {other}"),
        }
    }
}
