//! Event ids: UUIDs of 16 bytes, made of the time or of a caller's key.
//!
//! An id is any 16 bytes: ids come back from logs and from other stores as they are. As text it
//! is a UUID or `event:` and 32 hex digits, as bytes it is 16 bytes, never a 128-bit number.

use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::hex::{self, Hex};

/// The last millisecond that fits the 48 bits of a UUIDv7.
const V7_MS_MAX: u64 = (1 << 48) - 1;

/// Sets an id made from a key apart from all other uses of BLAKE3.
const KEY_DOMAIN: &[u8] = b"annals.key.v1\0";

/// The identity of an event, which is also its idempotency key.
///
/// Shown as a UUID; with `{:#}` as `event:` and 32 hex digits. Both parse.
///
/// ```
/// # use annals_core::EventId;
/// let id = EventId::v7(1_700_000_000_000_000, [7; 10]);
/// assert_eq!(id.to_string().parse(), Ok(id));
/// assert_eq!(format!("{id:#}").parse(), Ok(id));
/// assert_eq!(EventId::from_key("order 5, paid"), EventId::from_key("order 5, paid"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// Takes 16 bytes as an id.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The 16 bytes, by value.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Makes a UUIDv7 of a time, in microseconds since 1970, and random bytes.
    ///
    /// The microseconds within the millisecond fill the first 10 bits behind the time (RFC 9562,
    /// section 6.2, method 3), so that ids sort by the microsecond. A time before 1970 counts as
    /// 1970, and one past the year 10889 as that.
    #[must_use]
    pub fn v7(now_us: i64, random: [u8; 10]) -> Self {
        let now_us = u64::try_from(now_us).unwrap_or(0);
        let ms = (now_us / 1000).min(V7_MS_MAX);
        // A microsecond is at least four steps of this 12-bit fraction: two random bits fit below.
        let fraction = (now_us % 1000) * 4096 / 1000 + u64::from(random[8] & 3);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&(ms << 16 | fraction).to_be_bytes());
        bytes[8..].copy_from_slice(&random[..8]);
        Self(stamped(bytes, 7))
    }

    /// Makes the id that stands for a key: the same for the same key, always (a UUIDv8 of BLAKE3).
    #[must_use]
    pub fn from_key(key: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(KEY_DOMAIN).update(key.as_bytes());
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(stamped(bytes, 8))
    }
}

/// Sets the version and the variant of a UUID.
fn stamped(mut bytes: [u8; 16], version: u8) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0F | version << 4;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    bytes
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            write!(f, "event:{}", Hex(&self.0))
        } else {
            Uuid::from_bytes(self.0).hyphenated().fmt(f)
        }
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({self})")
    }
}

impl FromStr for EventId {
    type Err = EventIdParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = match text.strip_prefix("event:") {
            Some(digits) => hex::parse_array(digits),
            // Other lengths are UUIDs in braces, as a URN or without hyphens.
            None if text.len() == 36 => Uuid::try_parse(text).ok().map(Uuid::into_bytes),
            None => None,
        };
        bytes.map(Self).ok_or(EventIdParseError)
    }
}

/// A string that is neither a UUID nor `event:` and 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event id is a hyphenated UUID, or event: and 32 hex digits")]
#[non_exhaustive]
pub struct EventIdParseError;

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn b40_an_id_is_shown_and_parsed_as_a_uuid_and_as_event_and_hex() {
        let id = EventId::from_bytes(core::array::from_fn(|i| u8::try_from(i * 16 + i).unwrap()));
        assert_eq!(id.to_string(), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(format!("{id:#}"), "event:00112233445566778899aabbccddeeff");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(format!("{id:#}").parse(), Ok(id));
        assert_eq!("00112233-4455-6677-8899-AABBCCDDEEFF".parse(), Ok(id));
    }

    #[test]
    fn what_is_not_an_id_does_not_parse() {
        for bad in [
            "",
            "event:",
            "event:0011",
            "event:00112233-4455-6677-8899-aabbccddeeff",
            "00112233445566778899aabbccddeeff",
            "{00112233-4455-6677-8899-aabbccddeeff}",
            "00112233-4455-6677-8899-aabbccddeefg",
        ] {
            assert_eq!(bad.parse::<EventId>(), Err(EventIdParseError), "{bad}");
        }
    }

    #[test]
    fn b40_a_new_id_is_a_uuid_of_version_7_with_the_time_in_front() {
        let id = EventId::v7(1_645_557_742_123_500, [0xFF; 10]);
        let uuid = Uuid::from_bytes(id.to_bytes());
        assert_eq!(uuid.get_version_num(), 7);
        assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        assert_eq!(&id.as_bytes()[..6], &1_645_557_742_123_u64.to_be_bytes()[2..]);
        let fraction = u16::from_be_bytes([id.as_bytes()[6], id.as_bytes()[7]]) & 0xFFF;
        assert_eq!(fraction, 2048 + 3);
    }

    #[test]
    fn a_key_always_makes_the_same_id_of_version_8() {
        let id = EventId::from_key("order 5, paid");
        assert_eq!(id, EventId::from_key("order 5, paid"));
        assert_ne!(id, EventId::from_key("order 5, sent"));
        assert_eq!(Uuid::from_bytes(id.to_bytes()).get_version_num(), 8);
        assert_eq!(Uuid::from_bytes(id.to_bytes()).get_variant(), uuid::Variant::RFC4122);
        // What a key makes is stored in logs: it must never change.
        assert_eq!(id.to_string(), "5c006609-1b6e-85a6-8c2f-019419508e06");
    }

    #[test]
    fn an_id_is_text_for_people_and_16_bytes_for_machines() {
        let id = EventId::v7(1, [1; 10]);
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<EventId>(&json).unwrap(), id);
        let bytes = postcard::to_allocvec(&id).unwrap();
        assert_eq!(bytes, id.as_bytes());
        assert_eq!(postcard::from_bytes::<EventId>(&bytes).unwrap(), id);
    }

    proptest! {
        #[test]
        fn ids_of_later_microseconds_sort_later(
            now_us in 0..280_000_000_000_000_000_i64, later_us in 1..10_000_i64,
            random: [u8; 10], other: [u8; 10],
        ) {
            prop_assert!(EventId::v7(now_us, random) < EventId::v7(now_us + later_us, other));
        }

        #[test]
        fn any_time_makes_an_id_of_version_7(now_us: i64, random: [u8; 10]) {
            let uuid = Uuid::from_bytes(EventId::v7(now_us, random).to_bytes());
            prop_assert_eq!(uuid.get_version_num(), 7);
        }
    }
}
