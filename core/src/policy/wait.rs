//! What an outcome waits for, and how its harm is undone: both as data.
//!
//! Owns no behaviour. A scheduler reads these values, from this process or from a log. Ids are
//! [`EventId`]s, which serialize as text or 16 bytes, so every serde format can carry them.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::model::EventId;

/// What a pending outcome waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum WaitCondition {
    /// A moment has come.
    Time {
        /// The moment, in microseconds since 1970.
        at_us: i64,
    },
    /// An event is in the store.
    Event {
        /// The event's id.
        id: EventId,
    },
    /// All of these hold. Of none: holds at once.
    All(Vec<WaitCondition>),
    /// One of these holds. Of none: never holds.
    Any(Vec<WaitCondition>),
    /// Something that the application knows.
    Custom {
        /// What it is.
        name: String,
        /// Its parameters, in the application's own encoding.
        data: Vec<u8>,
    },
}

/// What undoes the harm of a failed step. An event store appends, so nothing is ever taken back:
/// each of these leads to new events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum CompensationAction {
    /// Append events that reverse the effect of these.
    Reverse {
        /// The events to reverse, in the order to reverse them.
        events: Vec<EventId>,
    },
    /// Tell somebody.
    Notify {
        /// Whom: an address that the application understands.
        recipient: String,
        /// What to tell.
        message: String,
    },
    /// Give back what was reserved.
    Release {
        /// Names of the resources.
        resources: Vec<String>,
    },
    /// Something that the application knows.
    Custom {
        /// What it is.
        name: String,
        /// Its parameters, in the application's own encoding.
        data: Vec<u8>,
    },
}
