//! The two numbers of an event: its sequence in the store and its version in its stream.
//!
//! Both count from 0 and only grow. They are types of their own, so that neither is taken for the
//! other, nor for an offset in bytes.

use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The first number.
            pub const ZERO: Self = Self(0);

            /// The greatest number.
            pub const MAX: Self = Self(u64::MAX);

            /// Takes a number as it is.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The number after this one.
            ///
            /// # Panics
            ///
            /// After [`Self::MAX`], which no store that counts from 0 reaches.
            #[must_use]
            pub const fn next(self) -> Self {
                self.checked_next().expect("a store never counts to u64::MAX")
            }

            /// The number after this one, or none after [`Self::MAX`].
            #[must_use]
            pub const fn checked_next(self) -> Option<Self> {
                self.checked_add(1)
            }

            /// The number before this one, or none before 0.
            #[must_use]
            pub const fn checked_prev(self) -> Option<Self> {
                self.checked_sub(1)
            }

            /// The number `count` places further on, or none past [`Self::MAX`].
            #[must_use]
            pub const fn checked_add(self, count: u64) -> Option<Self> {
                match self.0.checked_add(count) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }

            /// The number `count` places back, or none before 0.
            #[must_use]
            pub const fn checked_sub(self, count: u64) -> Option<Self> {
                match self.0.checked_sub(count) {
                    Some(number) => Some(Self(number)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<u64> for $name {
            fn from(number: u64) -> Self {
                Self(number)
            }
        }

        impl From<$name> for u64 {
            fn from(number: $name) -> Self {
                number.0
            }
        }
    };
}

number! {
    /// An event's place in the store, from 0, without regard to its stream.
    Sequence
}

number! {
    /// An event's place in its stream, from 0.
    Version
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn numbers_count_from_zero_and_stop_at_their_ends() {
        assert_eq!(Sequence::ZERO.next(), Sequence::new(1));
        assert_eq!(Version::ZERO.checked_prev(), None);
        assert_eq!(Version::MAX.checked_next(), None);
        assert_eq!(Sequence::new(5).checked_sub(2), Some(Sequence::new(3)));
        assert_eq!(Sequence::new(5).to_string(), "5");
        assert_eq!("5".parse(), Ok(Version::new(5)));
    }

    #[test]
    fn numbers_are_plain_numbers_to_serde() {
        assert_eq!(serde_json::to_string(&Sequence::new(7)).unwrap(), "7");
        assert_eq!(serde_json::from_str::<Version>("7").unwrap(), Version::new(7));
        let bytes = postcard::to_allocvec(&Sequence::MAX).unwrap();
        assert_eq!(postcard::from_bytes::<Sequence>(&bytes).unwrap(), Sequence::MAX);
    }
}
