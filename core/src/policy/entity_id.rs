//! Entity ids: one type a namespace, so that an order is never taken for a customer.
//!
//! Owns the text form `namespace:uuid`, which is also the entity of the coordinate, and the serde
//! forms: text for people, 16 bytes for machines, never a 128-bit integer.

use alloc::format;
use alloc::string::{String, ToString as _};
use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

use crate::model::{Coordinate, EventId};

/// The longest namespace, in bytes.
const NAMESPACE_LEN_MAX: usize = 64;

/// The length of a hyphenated UUID, in bytes.
const UUID_LEN: usize = 36;

/// An id made by [`define_entity_id!`](crate::define_entity_id), for code that is generic over
/// them.
pub trait EntityId: Copy + Ord + fmt::Display + FromStr<Err = EntityIdParseError> {
    /// What stands before the colon.
    const NAMESPACE: &'static str;

    /// Takes the 16 bytes of a UUID.
    fn from_bytes(bytes: [u8; 16]) -> Self;

    /// The 16 bytes of the UUID.
    fn to_bytes(self) -> [u8; 16];

    /// A UUIDv7 of a time, in microseconds since 1970, and of randomness.
    fn v7(now_us: i64, random: [u8; 10]) -> Self {
        Self::from_bytes(EventId::v7(now_us, random).to_bytes())
    }

    /// Always the same id for the same key, and another one in each namespace.
    fn from_key(key: &str) -> Self {
        Self::from_bytes(EventId::from_key(&format!("{}:{key}", Self::NAMESPACE)).to_bytes())
    }

    /// Reads the id back from the entity of a coordinate.
    ///
    /// # Errors
    ///
    /// If the entity is not, letter for letter, what an id of this type is shown as.
    fn of(coordinate: &Coordinate) -> Result<Self, EntityIdParseError> {
        let entity = coordinate.entity();
        // `FromStr` takes capital digits too, but entities are compared byte by byte.
        entity
            .parse()
            .ok()
            .filter(|id: &Self| id.to_string() == entity)
            .ok_or_else(|| EntityIdParseError::new(Self::NAMESPACE, entity))
    }
}

/// A text is not an id of the expected type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `{namespace}:` and a UUID, found `{found}`")]
#[non_exhaustive]
pub struct EntityIdParseError {
    /// The namespace that was expected.
    pub namespace: &'static str,
    /// The text that was found.
    pub found: String,
}

impl EntityIdParseError {
    fn new(namespace: &'static str, found: &str) -> Self {
        Self { namespace, found: found.into() }
    }
}

/// Declares an id type: a UUID in a namespace.
///
/// It has the methods of [`EntityId`] and `coordinate`, is `Copy`, ordered and hashable, and goes
/// through `Display`, `FromStr` and serde as `namespace:uuid` (16 bytes in binary formats).
///
/// ```
/// use annals_core::define_entity_id;
///
/// define_entity_id! {
///     /// Names one order.
///     pub struct OrderId = "order";
/// }
///
/// let id = OrderId::v7(1_700_000_000_000_000, [7; 10]);
/// assert_eq!(id.to_string().parse(), Ok(id));
///
/// let coordinate = id.coordinate("shop")?;
/// assert!(coordinate.to_string().starts_with("order:018bcfe5-"));
/// assert_eq!(OrderId::of(&coordinate), Ok(id));
/// # Ok::<(), annals_core::CoordinateError>(())
/// ```
///
/// A namespace that no coordinate could carry does not compile:
///
/// ```compile_fail
/// annals_core::define_entity_id! { struct Nobody = ""; }
/// ```
#[macro_export]
macro_rules! define_entity_id {
    ($(#[$meta:meta])* $vis:vis struct $name:ident = $namespace:literal;) => {
        #[doc = ::core::concat!("An id in the namespace `", $namespace, "`.")]
        #[doc = ""]
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis struct $name([u8; 16]);

        const _: () = $crate::__private::assert_namespace($namespace);

        #[allow(dead_code)]
        impl $name {
            /// What stands before the colon.
            $vis const NAMESPACE: &'static str = $namespace;

            /// Takes the 16 bytes of a UUID.
            #[must_use]
            $vis const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The 16 bytes of the UUID.
            #[must_use]
            $vis const fn to_bytes(self) -> [u8; 16] {
                self.0
            }

            /// A UUIDv7 of a time, in microseconds since 1970, and of randomness.
            #[must_use]
            $vis fn v7(now_us: i64, random: [u8; 10]) -> Self {
                <Self as $crate::EntityId>::v7(now_us, random)
            }

            /// Always the same id for the same key, and another one in each namespace.
            #[must_use]
            $vis fn from_key(key: &str) -> Self {
                <Self as $crate::EntityId>::from_key(key)
            }

            /// The coordinate of this entity in a scope.
            ///
            /// # Errors
            ///
            /// If the scope is not one.
            $vis fn coordinate(
                &self,
                scope: impl ::core::convert::AsRef<str>,
            ) -> ::core::result::Result<$crate::Coordinate, $crate::CoordinateError> {
                $crate::Coordinate::new($crate::__private::text(self), scope)
            }

            /// Reads the id back from the entity of a coordinate.
            ///
            /// # Errors
            ///
            /// If the entity is not, letter for letter, what an id of this type is shown as.
            $vis fn of(
                coordinate: &$crate::Coordinate,
            ) -> ::core::result::Result<Self, $crate::EntityIdParseError> {
                <Self as $crate::EntityId>::of(coordinate)
            }
        }

        impl $crate::EntityId for $name {
            const NAMESPACE: &'static str = $namespace;

            fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            fn to_bytes(self) -> [u8; 16] {
                self.0
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                $crate::__private::display(self, f)
            }
        }

        impl ::core::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::write!(f, "{}({})", ::core::stringify!($name), self)
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::EntityIdParseError;

            fn from_str(text: &str) -> ::core::result::Result<Self, Self::Err> {
                $crate::__private::parse(text)
            }
        }

        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                $crate::__private::serialize(self, serializer)
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                $crate::__private::deserialize(deserializer)
            }
        }
    };
}

/// Checks a namespace; in a `const`, at compile time.
pub const fn assert_namespace(namespace: &str) {
    let bytes = namespace.as_bytes();
    assert!(!bytes.is_empty(), "a namespace is not empty");
    assert!(bytes.len() <= NAMESPACE_LEN_MAX, "a namespace has at most 64 bytes");
    assert!(
        bytes[0] != b':' && bytes[bytes.len() - 1] != b':',
        "a namespace does not begin or end with a colon"
    );
    let mut i = 0;
    while i < bytes.len() {
        assert!(
            bytes[i].is_ascii_graphic() && bytes[i] != b'@',
            "a namespace is made of printable ASCII without spaces and @"
        );
        i += 1;
    }
}

/// Shows an id, for the macro.
pub fn display<I: EntityId>(id: &I, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}:{}", I::NAMESPACE, EventId::from_bytes(id.to_bytes()))
}

/// An id as text, for the macro.
pub fn text<I: EntityId>(id: &I) -> String {
    id.to_string()
}

/// Parses an id, for the macro.
pub fn parse<I: EntityId>(text: &str) -> Result<I, EntityIdParseError> {
    text.strip_prefix(I::NAMESPACE)
        .and_then(|rest| rest.strip_prefix(':'))
        .filter(|uuid| uuid.len() == UUID_LEN)
        .and_then(|uuid| uuid.parse::<EventId>().ok())
        .map(|id| I::from_bytes(id.to_bytes()))
        .ok_or_else(|| EntityIdParseError::new(I::NAMESPACE, text))
}

/// Serializes an id, for the macro.
pub fn serialize<I: EntityId, S: Serializer>(id: &I, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return serializer.collect_str(id);
    }
    id.to_bytes().serialize(serializer)
}

/// Deserializes an id, for the macro.
pub fn deserialize<'de, I: EntityId, D: Deserializer<'de>>(deserializer: D) -> Result<I, D::Error> {
    if deserializer.is_human_readable() {
        return String::deserialize(deserializer)?.parse().map_err(D::Error::custom);
    }
    <[u8; 16]>::deserialize(deserializer).map(I::from_bytes)
}
