//! What every engine is asked to do, in the words of somebody who stores events in it.
//!
//! One file an engine, each behind a feature of its name. An append names the version that it
//! expects its event to get, and every engine must refuse a taken one and a taken id: what it needs
//! for that it pays for. What an engine can't do, it answers with [`Unsupported`].

mod annals;
#[cfg(feature = "batpak01")]
mod batpak01;
#[cfg(feature = "batpak10")]
mod batpak10;
#[cfg(feature = "fjall")]
mod fjall;
#[cfg(any(feature = "redb", feature = "lmdb", feature = "fjall", feature = "tephra"))]
mod keys;
#[cfg(feature = "lmdb")]
mod lmdb;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "tephra")]
mod tephra;

use crate::events::{Event, Seen};
use std::error::Error;
use std::path::Path;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;
pub type Id = [u8; 16];

/// Takes what an engine shows.
pub type See<'a> = &'a mut dyn FnMut(&Seen<'_>);

/// When an append may be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// When the system has it: it survives the end of the process.
    Written,
    /// When it is on stable storage.
    Durable,
}

/// How a store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    pub class: Class,
    /// Bytes of a segment where there are such, in place of the default.
    pub segment_bytes: Option<u64>,
}

impl Setup {
    pub fn new(class: Class) -> Self {
        Setup { class, segment_bytes: None }
    }

    pub fn is_durable(&self) -> bool {
        self.class == Class::Durable
    }
}

/// An engine has no such thing.
#[derive(Debug)]
pub struct Unsupported;

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the engine has no such thing")
    }
}

impl Error for Unsupported {}

/// For methods that an engine has no answer to.
pub fn unsupported<T>() -> Result<T> {
    Err(Box::new(Unsupported))
}

/// One who hears of every append.
pub trait Listener: Send {
    /// Waits for the next events, and says how many were told of, the lost ones included.
    fn wait(&mut self) -> Result<u64>;
}

/// The sum and the count that the projections make.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Total {
    pub events: u64,
    pub sum: u64,
}

impl Total {
    pub fn add(&mut self, payload: &[u8]) {
        self.events += 1;
        self.sum += u64::from(payload.first().copied().unwrap_or(0));
    }
}

/// A store that is open.
pub trait Engine: Send + Sync {
    fn append(&self, event: &Event<'_>) -> Result<Id>;
    /// All or none.
    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>>;
    /// Whatever was appended is on stable storage when it returns.
    fn sync(&self) -> Result<()>;
    fn get(&self, id: &Id, see: See<'_>) -> Result<()>;
    /// The events of an entity from a version on, in their order.
    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()>;
    fn query(&self, scope: &str, kind: u16, see: See<'_>) -> Result<()>;
    /// All events in their order, without a copy.
    fn replay_borrowed(&self, _see: See<'_>) -> Result<()> {
        unsupported()
    }
    /// All events in their order, each owned by who asked.
    fn replay_owned(&self, see: See<'_>) -> Result<()>;
    /// What the scope has from a sequence on, counted from 0.
    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()>;
    /// The state of an entity; the engine, or the application that uses it, may keep the last one.
    fn project(&self, entity: &str, held: &mut Total) -> Result<()> {
        let mut total = *held;
        self.stream(entity, held.events, &mut |seen| total.add(seen.payload))?;
        *held = total;
        Ok(())
    }
    fn listen(&self) -> Result<Box<dyn Listener>> {
        unsupported()
    }
    /// Proves what is stored, as far as the engine can.
    fn verify(&mut self) -> Result<()> {
        unsupported()
    }
    fn compact(&mut self) -> Result<()> {
        unsupported()
    }
    fn close(self: Box<Self>) -> Result<()>;
}

/// How an engine is opened, and what is said of it.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    pub open: fn(&Path, &Setup) -> Result<Box<dyn Engine>>,
    /// Whether a user would gather concurrent appends into one transaction in the application.
    pub groups_in_app: bool,
    /// Whether it knows no appends that are not synced. Single ones are then not compared with those.
    pub syncs_always: bool,
    /// Events that it is loaded with at most, for it takes too long otherwise.
    pub events_max: usize,
    /// The same class, in the engine's own words, and what else there is to say.
    pub note: &'static str,
}

/// All that were built in; Annals is the first.
pub const ALL: &[Kind] = &[
    annals::KIND,
    #[cfg(feature = "sqlite")]
    sqlite::KIND,
    #[cfg(feature = "redb")]
    redb::KIND,
    #[cfg(feature = "fjall")]
    fjall::KIND,
    #[cfg(feature = "lmdb")]
    lmdb::KIND,
    #[cfg(feature = "tephra")]
    tephra::KIND,
    #[cfg(feature = "batpak10")]
    batpak10::KIND,
    #[cfg(feature = "batpak01")]
    batpak01::KIND,
];
