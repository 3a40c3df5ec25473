//! The serde forms of an outcome.
//!
//! Owns the choice between two: for people, `{"type": .., "data": ..}`; for machines, the plain
//! form of an enum. Formats that don't describe themselves, postcard among them, can't read a
//! tagged enum back, and events are stored in such formats.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::policy::wait::WaitCondition;

use super::{Outcome, OutcomeError};

/// Writes a mirror of [`Outcome`] that serde derives a form from; the compiler checks that they
/// are alike.
macro_rules! mirror {
    ($(#[$meta:meta])* $name:ident) => {
        #[derive(Serialize, Deserialize)]
        #[serde(remote = "Outcome")]
        $(#[$meta])*
        enum $name<T> {
            Ok(T),
            Err(OutcomeError),
            Retry { after_ms: u64, attempt: u32, attempts_max: u32, reason: String },
            Pending { condition: WaitCondition, resume_token: String },
            Cancelled { reason: String },
            Batch(Vec<Outcome<T>>),
        }
    };
}

mirror! {
    #[serde(tag = "type", content = "data")]
    Tagged
}

mirror! { Plain }

impl<T: Serialize> Serialize for Outcome<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            Tagged::serialize(self, serializer)
        } else {
            Plain::serialize(self, serializer)
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Outcome<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            Tagged::deserialize(deserializer)
        } else {
            Plain::deserialize(deserializer)
        }
    }
}
