//! A naive model of the store, and random runs that hold a real one against it.
//!
//! The model is a vector of events; every question is answered by looking at all of them. It
//! shares no code with the store: filters, versions, keys, conditions and batches are written
//! anew, in the plainest way. A run is decided by its seed alone.

mod fact;
mod question;
mod run;
mod trial;

pub use fact::{Fact, check_log};
pub use question::{EntityWish, KindWish, Question};
pub use run::run;
pub use trial::{Answer, Condition, Item, Trial};

use annals_core::{AppendReceipt, EventId, ExpectedVersion};

/// What the store must hold.
#[derive(Clone, Debug, Default)]
pub struct Model {
    facts: Vec<Fact>,
}

impl Model {
    /// All events, by sequence.
    #[must_use]
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The newest event of a stream.
    #[must_use]
    pub fn head(&self, entity: &str) -> Option<&Fact> {
        self.facts.iter().rev().find(|fact| fact.coordinate.entity() == entity)
    }

    /// What the store must answer to an attempt.
    #[must_use]
    pub fn answer(&self, trial: &Trial) -> Answer {
        if let Some(item) = trial.contradiction() {
            return Answer::Invalid { item };
        }
        if let Some(answer) = self.replay(trial) {
            return answer;
        }
        let own = trial.items.iter().filter_map(|item| item.condition.as_ref());
        for condition in trial.condition.iter().chain(own) {
            let hit = self.facts.iter().find(|fact| condition.forbids(fact));
            if let Some(fact) = hit {
                return Answer::ConditionFailed { sequence: fact.sequence };
            }
        }
        if trial.items.is_empty() {
            return Answer::Known { first: 0 };
        }
        let mut versions = std::collections::BTreeMap::new();
        for item in &trial.items {
            let entity = item.append.coordinate.entity();
            let before = self.head(entity).map(|fact| fact.version);
            let actual = versions.get(entity).copied().unwrap_or(before);
            let holds = match item.append.options.expected_version {
                ExpectedVersion::Any => true,
                ExpectedVersion::NoStream => actual.is_none(),
                ExpectedVersion::StreamExists => actual.is_some(),
                ExpectedVersion::Exact(version) => actual == Some(version.get()),
            };
            if !holds {
                return Answer::VersionConflict { entity: entity.to_owned(), actual };
            }
            versions.insert(entity, Some(actual.map_or(0, |version| version + 1)));
        }
        Answer::New
    }

    /// The answer to an attempt one of whose keys is known; `None` where none is.
    fn replay(&self, trial: &Trial) -> Option<Answer> {
        let known = |key: EventId| self.facts.iter().find(|fact| fact.id == key);
        let (place, original) = trial.items.iter().enumerate().find_map(|(place, item)| {
            let key = item.append.options.idempotency_key?;
            Some((place, known(key)?))
        })?;
        let conflict = Answer::IdempotencyConflict { id: original.id };
        let Some(first) = usize::try_from(original.sequence).ok()?.checked_sub(place) else {
            return Some(conflict);
        };
        let facts = self.facts.get(first..first + trial.items.len());
        let same = facts.is_some_and(|facts| {
            trial.items.iter().zip(facts).all(|(item, fact)| fact.is_what(&item.append))
        });
        Some(if same { Answer::Known { first } } else { conflict })
    }

    /// Takes up what the store appended.
    ///
    /// # Panics
    ///
    /// Where the receipts are not what they must be.
    pub fn apply(&mut self, trial: &Trial, receipts: &[AppendReceipt]) {
        assert_eq!(receipts.len(), trial.items.len(), "one receipt for each item");
        let first = self.facts.len();
        for (item, receipt) in trial.items.iter().zip(receipts) {
            let append = &item.append;
            let before = self.head(append.coordinate.entity());
            let options = &append.options;
            let cause = append.cause_item().map(|place| &self.facts[first + place]);
            let correlation = cause.map_or(receipt.id, |cause| cause.correlation);
            let fact = Fact {
                coordinate: append.coordinate.clone(),
                kind: append.kind,
                payload: append.payload.clone(),
                metadata: options.metadata.clone(),
                flags: options.flags,
                id: receipt.id,
                correlation: options.correlation.unwrap_or(correlation),
                causation: options.causation.or(cause.map(|cause| cause.id)),
                timestamp_us: receipt.timestamp_us,
                hlc: receipt.hlc,
                branch: options.position.map_or((0, 0), |hint| (hint.lane, hint.depth)),
                version: before.map_or(0, |fact| fact.version + 1),
                sequence: self.facts.len() as u64,
                prev_hash: before.map(|fact| fact.event_hash),
                event_hash: receipt.event_hash,
            };
            assert_eq!(receipt.sequence.get(), fact.sequence);
            assert_eq!(receipt.version.get(), fact.version);
            assert!(options.idempotency_key.is_none_or(|key| key == receipt.id));
            assert!(self.facts.last().is_none_or(|last| last.hlc < fact.hlc), "the clock rises");
            self.facts.push(fact);
        }
    }
}
