//! Event kinds: a category of 4 bits and a type of 12, in one `u16`.
//!
//! Categories 0x0 and 0xD belong to the store. No constructor, parser or deserializer that a user
//! can reach makes a kind of theirs; what is read from a log may have one.

use core::fmt;
use core::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// The category without a meaning: a kind of all zeros is never an event's.
const CATEGORY_SYSTEM: u8 = 0x0;

/// The category of the effects that the store itself records.
const CATEGORY_EFFECT: u8 = 0xD;

/// The greatest category.
const CATEGORY_MAX: u8 = 0xF;

/// The greatest type id.
const TYPE_ID_MAX: u16 = 0xFFF;

/// What kind of event: a category of 4 bits and a type id of 12, shown as `0x1001`.
///
/// ```
/// # use annals_core::EventKind;
/// const ORDER_PLACED: EventKind = EventKind::new(0x1, 0x001);
/// assert_eq!(ORDER_PLACED.to_string(), "0x1001");
/// assert_eq!(ORDER_PLACED.category(), 1);
/// ```
///
/// A reserved category in a constant fails to compile:
///
/// ```compile_fail
/// # use annals_core::EventKind;
/// const RESERVED: EventKind = EventKind::new(0xD, 1);
/// # let _ = RESERVED;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EventKind(u16);

impl EventKind {
    /// The store's own kind for the record that a payload was erased. Users can't append it.
    pub const ERASURE: Self = Self::reserved(CATEGORY_EFFECT, 0x001);

    /// Makes a kind; in a constant, a wrong one is a compile error.
    ///
    /// # Panics
    ///
    /// A category of 0, 0xD or above 15, or a type id above 0xFFF.
    #[must_use]
    pub const fn new(category: u8, type_id: u16) -> Self {
        match Self::try_new(category, type_id) {
            Ok(kind) => kind,
            Err(KindError::ReservedCategory { .. }) => {
                panic!("categories 0x0 and 0xD are reserved for the store")
            }
            Err(KindError::CategoryTooLarge { .. }) => panic!("a category is at most 15"),
            Err(_) => panic!("a type id is at most 0xFFF"),
        }
    }

    /// Makes a kind.
    ///
    /// # Errors
    ///
    /// A category of 0, 0xD or above 15, or a type id above 0xFFF.
    pub const fn try_new(category: u8, type_id: u16) -> Result<Self, KindError> {
        if category > CATEGORY_MAX {
            Err(KindError::CategoryTooLarge { category })
        } else if type_id > TYPE_ID_MAX {
            Err(KindError::TypeIdTooLarge { type_id })
        } else {
            Self::from_u16((category as u16) << 12 | type_id)
        }
    }

    /// Makes a kind of both parts in one number.
    ///
    /// # Errors
    ///
    /// A reserved category.
    pub const fn from_u16(kind: u16) -> Result<Self, KindError> {
        let kind = Self(kind);
        if kind.is_reserved() {
            Err(KindError::ReservedCategory { category: kind.category() })
        } else {
            Ok(kind)
        }
    }

    /// Makes one of the store's own kinds.
    pub(crate) const fn reserved(category: u8, type_id: u16) -> Self {
        let kind = Self((category as u16) << 12 | type_id);
        assert!(kind.is_reserved() && category <= CATEGORY_MAX && type_id <= TYPE_ID_MAX);
        kind
    }

    /// Takes a kind as a log holds it, which may be reserved.
    pub(crate) const fn from_stored(kind: u16) -> Self {
        Self(kind)
    }

    /// The category, 0 to 15.
    #[must_use]
    pub const fn category(self) -> u8 {
        self.0.to_be_bytes()[0] >> 4
    }

    /// The type id within the category, 0 to 0xFFF.
    #[must_use]
    pub const fn type_id(self) -> u16 {
        self.0 & TYPE_ID_MAX
    }

    /// Both parts in one number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether the kind is the store's own, which users can't append.
    #[must_use]
    pub const fn is_reserved(self) -> bool {
        matches!(self.category(), CATEGORY_SYSTEM | CATEGORY_EFFECT)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:04X}", self.0)
    }
}

impl FromStr for EventKind {
    type Err = KindError;

    /// Parses `0x` and one to four hex digits.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let is_hex = |digits: &&str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let digits = digits.filter(is_hex).ok_or(KindError::NotHex)?;
        Self::from_u16(u16::from_str_radix(digits, 16).map_err(|_| KindError::NotHex)?)
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_u16(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Why a kind was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KindError {
    /// The category belongs to the store.
    #[error("kind category 0x{category:X} is reserved for the store")]
    ReservedCategory {
        /// The category, 0x0 or 0xD.
        category: u8,
    },
    /// The category has more than 4 bits.
    #[error("kind category {category} is above 15")]
    CategoryTooLarge {
        /// The category.
        category: u8,
    },
    /// The type id has more than 12 bits.
    #[error("kind type id 0x{type_id:X} is above 0xFFF")]
    TypeIdTooLarge {
        /// The type id.
        type_id: u16,
    },
    /// The text is not `0x` and one to four hex digits.
    #[error("a kind is 0x and one to four hex digits")]
    NotHex,
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;

    use super::*;

    #[test]
    fn b40_a_kind_is_shown_as_four_hex_digits() {
        const KIND: EventKind = EventKind::new(0xA, 0x0BC);
        assert_eq!(KIND.to_string(), "0xA0BC");
        assert_eq!("0xA0bc".parse(), Ok(KIND));
        assert_eq!((KIND.category(), KIND.type_id(), KIND.as_u16()), (0xA, 0x0BC, 0xA0BC));
    }

    #[test]
    fn b09_no_constructor_and_no_parser_makes_a_reserved_kind() {
        for kind in 0..=u16::MAX {
            let reserved = matches!(kind >> 12, 0x0 | 0xD);
            assert_eq!(EventKind::from_u16(kind).is_err(), reserved, "{kind:#06X}");
            let (category, type_id) = (u8::try_from(kind >> 12).unwrap(), kind & 0xFFF);
            assert_eq!(EventKind::try_new(category, type_id).is_err(), reserved);
            assert_eq!(format!("0x{kind:04X}").parse::<EventKind>().is_err(), reserved);
            assert_eq!(EventKind::from_stored(kind).is_reserved(), reserved);
        }
        assert!(EventKind::ERASURE.is_reserved());
    }

    #[test]
    fn b09_no_deserializer_makes_a_reserved_kind() {
        for kind in [0x0001_u16, 0x0FFF, 0xD000, 0xD001, 0xDFFF] {
            assert!(serde_json::from_str::<EventKind>(&kind.to_string()).is_err());
            let bytes = postcard::to_allocvec(&kind).unwrap();
            assert!(postcard::from_bytes::<EventKind>(&bytes).is_err());
        }
        let kind = EventKind::new(1, 1);
        assert_eq!(serde_json::to_string(&kind).unwrap(), "4097");
        assert_eq!(serde_json::from_str::<EventKind>("4097").unwrap(), kind);
        let bytes = postcard::to_allocvec(&kind).unwrap();
        assert_eq!(postcard::from_bytes::<EventKind>(&bytes).unwrap(), kind);
    }

    #[test]
    fn a_category_or_type_id_out_of_range_is_an_error() {
        assert_eq!(EventKind::try_new(16, 0), Err(KindError::CategoryTooLarge { category: 16 }));
        assert_eq!(
            EventKind::try_new(1, 0x1000),
            Err(KindError::TypeIdTooLarge { type_id: 0x1000 })
        );
    }

    #[test]
    #[should_panic(expected = "reserved")]
    fn a_reserved_category_panics_outside_a_constant() {
        let _ = EventKind::new(core::hint::black_box(0xD), 1);
    }

    #[test]
    fn what_is_not_hex_does_not_parse() {
        for bad in ["", "0x", "4097", "0x+101", "0x10001", "0x1g", "order.placed"] {
            assert_eq!(bad.parse::<EventKind>(), Err(KindError::NotHex), "{bad}");
        }
    }
}
