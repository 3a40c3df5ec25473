//! A BLAKE3 hash as a value. What is hashed, and how, is the chain's matter.

use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hex::{self, Hex};

/// A BLAKE3 hash of 32 bytes, shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash([u8; 32]);

impl Hash {
    /// All zeros: the previous hash of an entity's first event.
    pub const ZERO: Self = Self([0; 32]);

    /// Takes bytes as a hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether this is [`Hash::ZERO`].
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = HashParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::parse_array(text).map(Self).ok_or(HashParseError)
    }
}

/// A string that is not a hash of 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hex digits")]
#[non_exhaustive]
pub struct HashParseError;

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Hash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = alloc::string::String::deserialize(deserializer)?;
            text.parse().map_err(D::Error::custom)
        } else {
            <[u8; 32]>::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;

    #[test]
    fn a_hash_is_hex_for_people_and_bytes_for_machines() {
        let hash = Hash::from_bytes(core::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        let json = serde_json::to_string(&hash).unwrap();
        assert_eq!(json, format!("\"{hash}\""));
        assert_eq!(serde_json::from_str::<Hash>(&json).unwrap(), hash);
        let bytes = postcard::to_allocvec(&hash).unwrap();
        assert_eq!(bytes, hash.as_bytes());
        assert_eq!(postcard::from_bytes::<Hash>(&bytes).unwrap(), hash);
    }

    #[test]
    fn a_string_of_another_length_or_alphabet_is_not_a_hash() {
        let text = format!("{}", Hash::ZERO);
        assert_eq!(text.parse(), Ok(Hash::ZERO));
        assert!(Hash::ZERO.is_zero());
        assert_eq!(text[1..].parse::<Hash>(), Err(HashParseError));
        assert_eq!(text.replacen('0', "g", 1).parse::<Hash>(), Err(HashParseError));
    }
}
