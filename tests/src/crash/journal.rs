//! What a workload attempted, what it was answered, and what a log may therefore hold.

use annals_core::{Event, Payload};

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with receipts, which may be on stable storage.
    Acknowledged {
        /// Whether they said so, or a sync has since.
        durable: bool,
    },
    /// It was refused, or failed and was taken back: no trace of it may ever be seen.
    Refused,
    /// Nobody knows: no answer came, or the writer was poisoned by it.
    Unknown,
}

/// A batch that was attempted.
#[derive(Clone, Debug)]
struct Entry {
    payloads: Vec<Payload>,
    outcome: Outcome,
}

/// See the module. Every payload of a workload is like no other.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: Vec<Entry>,
}

impl Journal {
    /// Writes down what is about to be tried.
    pub fn attempt(&mut self, payloads: Vec<Payload>) {
        self.entries.push(Entry { payloads, outcome: Outcome::Unknown });
    }

    /// Writes down the answer to everything attempted that has none yet.
    pub fn answer(&mut self, outcome: Outcome) {
        let open = |entry: &Entry| entry.outcome == Outcome::Unknown;
        if outcome == Outcome::Refused {
            self.entries.retain(|entry| !open(entry));
        }
        for entry in self.entries.iter_mut().filter(|entry| open(entry)) {
            entry.outcome = outcome;
        }
        if outcome == (Outcome::Acknowledged { durable: true }) {
            self.synced(u64::MAX);
        }
    }

    /// So many events are on stable storage.
    pub fn synced(&mut self, mut events: u64) {
        for entry in &mut self.entries {
            let len = entry.payloads.len() as u64;
            if len > events || entry.outcome == Outcome::Unknown {
                return;
            }
            events -= len;
            entry.outcome = Outcome::Acknowledged { durable: true };
        }
    }

    /// The store was opened and holds these events: what is missing is gone for good, the rest
    /// is on stable storage.
    pub fn reopened(&mut self, events: &[Event]) {
        let mut left = events.len();
        self.entries.retain(|entry| {
            let there = left > 0;
            left = left.saturating_sub(entry.payloads.len());
            there
        });
        for entry in &mut self.entries {
            entry.outcome = Outcome::Acknowledged { durable: true };
        }
    }

    /// How many batches were attempted and not refused.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing was attempted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Says what is wrong where a log that was found after a crash is none that may be found.
    ///
    /// `process_only` for a crash that takes the process and not the machine: then all that was
    /// acknowledged must be there.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub fn allows(&self, events: &[Event], process_only: bool) -> Result<(), String> {
        let mut found = events.iter();
        let mut is_over = false;
        for (number, entry) in self.entries.iter().enumerate() {
            let here = found.clone().take(entry.payloads.len());
            if !is_over && here.map(|event| &event.payload).eq(&entry.payloads) {
                found.nth(entry.payloads.len() - 1);
                continue;
            }
            match entry.outcome {
                Outcome::Acknowledged { durable } if durable || process_only => {
                    return Err(format!("attempt {number} was acknowledged and is lost"));
                }
                _ => is_over = true,
            }
        }
        match found.next() {
            None => Ok(()),
            Some(event) => Err(format!("event {} was never attempted there", event.sequence())),
        }
    }
}
