//! Event flags: 16 bits, the lower eight Annals' own, the upper eight free for applications.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

use serde::{Deserialize, Serialize};

/// A set of flags on an event. Annals stores them and hands them back; it acts on none.
///
/// ```
/// # use annals_core::EventFlags;
/// let flags = EventFlags::REQUIRES_ACK | EventFlags::from_bits(0x0100);
/// assert!(flags.contains(EventFlags::REQUIRES_ACK));
/// assert!(!flags.contains(EventFlags::REPLAY));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventFlags(u16);

impl EventFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// Whoever handles the event must acknowledge it.
    pub const REQUIRES_ACK: Self = Self(1);

    /// The event belongs to a transaction of the application.
    pub const TRANSACTIONAL: Self = Self(1 << 1);

    /// The event repeats an earlier one.
    pub const REPLAY: Self = Self(1 << 2);

    /// The bits that Annals gives no meaning to, now or later.
    pub const APPLICATION: Self = Self(0xFF00);

    /// Takes bits as they are.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Whether no flag is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags that are set in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Sets all flags of `other`.
    pub const fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitOr for EventFlags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl BitOrAssign for EventFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.insert(other);
    }
}

impl fmt::Debug for EventFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventFlags({:#06X})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_form_a_set() {
        let mut flags = EventFlags::NONE;
        assert!(flags.is_empty() && flags.contains(EventFlags::NONE));
        flags.insert(EventFlags::REPLAY);
        flags |= EventFlags::from_bits(0x8000);
        assert_eq!(flags.bits(), 0x8004);
        assert!(flags.contains(EventFlags::REPLAY));
        assert!(!flags.contains(EventFlags::REPLAY | EventFlags::REQUIRES_ACK));
        assert!(!EventFlags::APPLICATION.contains(EventFlags::TRANSACTIONAL));
    }

    #[test]
    fn flags_are_a_number_to_serde() {
        let flags = EventFlags::REPLAY | EventFlags::TRANSACTIONAL;
        assert_eq!(serde_json::to_string(&flags).unwrap(), "6");
        assert_eq!(serde_json::from_str::<EventFlags>("6").unwrap(), flags);
        let bytes = postcard::to_allocvec(&flags).unwrap();
        assert_eq!(postcard::from_bytes::<EventFlags>(&bytes).unwrap(), flags);
    }
}
