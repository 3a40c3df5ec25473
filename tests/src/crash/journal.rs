//! What a workload attempted, what it was answered, and what a log may therefore hold.

use std::fmt::Write as _;

use annals_core::{ErasureRecord, Event, Payload};

use super::{Found, Notes};

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

/// An event that was attempted. Its payload is like no other.
#[derive(Clone, Debug)]
struct Item {
    entity: String,
    /// None for the record of an erasure, which the store writes itself.
    payload: Option<Payload>,
    erased: Fate,
    dropped: Fate,
}

/// Whether something has happened to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    No,
    /// It was begun.
    Maybe,
    Yes,
}

impl Fate {
    fn allows(self, seen: bool) -> bool {
        self == Fate::Maybe || seen == (self == Fate::Yes)
    }

    fn begin(&mut self) {
        if *self == Fate::No {
            *self = Fate::Maybe;
        }
    }
}

impl Item {
    fn new(entity: &str, payload: Option<Payload>) -> Self {
        let entity = entity.to_owned();
        Item { entity, payload, erased: Fate::No, dropped: Fate::No }
    }

    /// Whether this is what stands at its place; None where nothing does.
    fn allows(&self, found: Option<&Event>) -> bool {
        let Some(event) = found else { return self.dropped.allows(true) };
        if event.coordinate.entity() != self.entity || !self.dropped.allows(false) {
            return false;
        }
        match &self.payload {
            None => event.coordinate == ErasureRecord::coordinate(),
            Some(_) if event.payload.is_erased() => self.erased.allows(true),
            Some(payload) => event.payload == *payload && self.erased.allows(false),
        }
    }
}

/// A batch that was attempted.
#[derive(Clone, Debug)]
struct Entry {
    items: Vec<Item>,
    outcome: Outcome,
}

impl Entry {
    /// What should be there and what is, for people.
    fn told(&self, first: u64, found: &Found) -> String {
        let mut text = String::new();
        for (sequence, item) in (first..).zip(&self.items) {
            let there = found.at(sequence).map(|event| {
                (event.coordinate.entity(), event.payload.is_erased(), event.payload.bytes())
            });
            let there = format!("{there:.8?}");
            let _ = write!(
                text,
                "\n{sequence}: {}, erased {:?}, dropped {:?}; found {there:.120}",
                item.entity, item.erased, item.dropped
            );
        }
        text
    }
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    entries: Vec<Entry>,
    /// What was attempted with the meta log.
    pub notes: Notes,
}

impl Journal {
    /// Writes down what is about to be tried: entities and payloads.
    pub fn attempt<'a>(&mut self, items: impl IntoIterator<Item = (&'a str, Payload)>) {
        let items = items.into_iter();
        let items = items.map(|(entity, payload)| Item::new(entity, Some(payload))).collect();
        self.entries.push(Entry { items, outcome: Outcome::Unknown });
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
            let len = entry.items.len() as u64;
            if len > events || entry.outcome == Outcome::Unknown {
                return;
            }
            events -= len;
            entry.outcome = Outcome::Acknowledged { durable: true };
        }
    }

    /// All events of an entity are about to be erased, and a record of it appended.
    pub fn erasing(&mut self, entity: &str) {
        self.items_of(entity).for_each(|item| item.erased.begin());
        let record = Item::new(ErasureRecord::coordinate().entity(), None);
        self.entries.push(Entry { items: vec![record], outcome: Outcome::Unknown });
    }

    /// They are: not even a power cut brings one back.
    pub fn erased(&mut self, entity: &str) {
        let begun = self.items_of(entity).filter(|item| item.erased == Fate::Maybe);
        begun.for_each(|item| item.erased = Fate::Yes);
    }

    /// Some events of an entity are about to be dropped.
    pub fn dropping(&mut self, entity: &str) {
        self.items_of(entity).for_each(|item| item.dropped.begin());
    }

    /// Those that are not there any more are dropped: not even a power cut brings one back.
    pub fn dropped(&mut self, found: &Found) {
        let items = self.entries.iter_mut().flat_map(|entry| &mut entry.items);
        for (sequence, item) in (0..found.end).zip(items) {
            if found.at(sequence).is_none() && item.dropped == Fate::Maybe {
                item.dropped = Fate::Yes;
            }
        }
    }

    fn items_of<'a>(&'a mut self, entity: &'a str) -> impl Iterator<Item = &'a mut Item> {
        let items = self.entries.iter_mut().flat_map(|entry| &mut entry.items);
        items.filter(move |item| item.entity == entity)
    }

    /// The store was opened and holds these events: what is missing is gone for good, the rest
    /// is on stable storage, and what a compaction did is decided.
    pub fn reopened(&mut self, found: &Found) {
        let mut next = 0;
        self.entries.retain(|entry| {
            let there = next < found.end;
            next += entry.items.len() as u64;
            there
        });
        self.entries.iter_mut().for_each(|entry| {
            entry.outcome = Outcome::Acknowledged { durable: true };
        });
        let decided = |seen| if seen { Fate::Yes } else { Fate::No };
        let items = self.entries.iter_mut().flat_map(|entry| &mut entry.items);
        for (sequence, item) in (0..).zip(items) {
            let event = found.at(sequence);
            item.dropped = decided(event.is_none());
            if let Some(event) = event {
                item.erased = decided(event.payload.is_erased());
            }
        }
    }

    /// Says what is wrong where a log that was found after a crash is none that may be found.
    ///
    /// `process_only` for a crash that takes the process and not the machine: then all that was
    /// acknowledged must be there.
    ///
    /// # Errors
    ///
    /// A sentence.
    pub fn allows(&self, found: &Found, process_only: bool) -> Result<(), String> {
        let mut next = 0;
        let mut is_over = false;
        for (number, entry) in self.entries.iter().enumerate() {
            let end = next + entry.items.len() as u64;
            let mut items = (next..end).zip(&entry.items);
            let fits = items.all(|(sequence, item)| item.allows(found.at(sequence)));
            if !is_over && end <= found.end && fits {
                next = end;
                continue;
            }
            match entry.outcome {
                Outcome::Acknowledged { durable } if durable || process_only => {
                    return Err(format!(
                        "attempt {number} was acknowledged and is lost, or is not what it was: \
                         {}",
                        entry.told(next, found)
                    ));
                }
                _ => is_over = true,
            }
        }
        match found.end.checked_sub(next) {
            Some(0) => Ok(()),
            _ => Err(format!("event {next} was never attempted there")),
        }
    }
}
