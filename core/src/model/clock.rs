//! The hybrid logical clock: the wall clock's milliseconds, and a counter for when it stands still.
//!
//! Each tick is greater than the one before, whatever the wall clock does. See Kulkarni et al.,
//! "Logical Physical Clocks" (2014); with one writer there is no clock to merge with.

use core::fmt;

use serde::{Deserialize, Serialize};

/// A reading of the store's hybrid logical clock, shown as `wall.counter`.
///
/// ```
/// # use annals_core::Hlc;
/// let first = Hlc::ZERO.tick(1_700_000_000_000_000);
/// let second = first.tick(1_600_000_000_000_000); // the wall clock went back
/// assert!(first < second);
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Hlc {
    /// Milliseconds since 1970, never less than those of an earlier event.
    pub wall_ms: u64,
    /// Counts the events of one wall reading, from 0.
    pub counter: u32,
}

impl Hlc {
    /// Before the first event.
    pub const ZERO: Self = Self { wall_ms: 0, counter: 0 };

    /// The greatest wall reading that a log may hold. No clock of microseconds comes near it,
    /// and ticks from there on have room for ages.
    pub(crate) const STORED_WALL_MS_MAX: u64 = 1 << 61;

    /// The reading for the next event, strictly greater than this one.
    ///
    /// `now_us` is the wall clock in microseconds since 1970; before 1970 it counts as 1970.
    ///
    /// # Panics
    ///
    /// When no greater reading exists: at `u64::MAX` milliseconds and `u32::MAX`.
    #[must_use]
    pub fn tick(self, now_us: i64) -> Self {
        let now_ms = u64::try_from(now_us).unwrap_or(0) / 1000;
        if now_ms > self.wall_ms {
            return Self { wall_ms: now_ms, counter: 0 };
        }
        match self.counter.checked_add(1) {
            Some(counter) => Self { counter, ..self },
            None => Self {
                wall_ms: self.wall_ms.checked_add(1).expect("the clock has not run out"),
                counter: 0,
            },
        }
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.wall_ms, self.counter)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn b10_the_clock_follows_the_wall_clock_when_that_moves() {
        let hlc = Hlc::ZERO.tick(5_000_999);
        assert_eq!(hlc, Hlc { wall_ms: 5000, counter: 0 });
        assert_eq!(hlc.tick(5_000_999), Hlc { wall_ms: 5000, counter: 1 });
        assert_eq!(hlc.tick(5_001_000), Hlc { wall_ms: 5001, counter: 0 });
        assert_eq!(hlc.tick(-1), Hlc { wall_ms: 5000, counter: 1 });
        assert_eq!(hlc.to_string(), "5000.0");
    }

    #[test]
    fn b10_a_full_counter_moves_the_wall_reading_on() {
        let full = Hlc { wall_ms: 9, counter: u32::MAX };
        assert_eq!(full.tick(0), Hlc { wall_ms: 10, counter: 0 });
    }

    #[test]
    fn a_reading_round_trips() {
        let hlc = Hlc { wall_ms: 7, counter: 3 };
        let json = serde_json::to_string(&hlc).unwrap();
        assert_eq!(json, r#"{"wall_ms":7,"counter":3}"#);
        assert_eq!(serde_json::from_str::<Hlc>(&json).unwrap(), hlc);
        let bytes = postcard::to_allocvec(&hlc).unwrap();
        assert_eq!(postcard::from_bytes::<Hlc>(&bytes).unwrap(), hlc);
    }

    proptest! {
        #[test]
        fn b10_the_clock_is_strictly_increasing_for_any_wall_clock(
            wall_ms in 0..=Hlc::STORED_WALL_MS_MAX,
            counter in prop_oneof![any::<u32>(), u32::MAX - 3..=u32::MAX],
            clock in prop::collection::vec(
                prop_oneof![any::<i64>(), -5_000..5_000_i64, Just(i64::MIN), Just(i64::MAX)], 1..50,
            ),
        ) {
            let mut hlc = Hlc { wall_ms, counter };
            for now_us in clock {
                let next = hlc.tick(now_us);
                prop_assert!(next > hlc);
                prop_assert!(i128::from(next.wall_ms) >= i128::from(now_us / 1000));
                hlc = next;
            }
        }

        #[test]
        fn readings_are_ordered_by_wall_then_counter(pairs: Vec<(u64, u32)>) {
            let mut pairs = pairs;
            let mut readings: Vec<_> =
                pairs.iter().map(|&(wall_ms, counter)| Hlc { wall_ms, counter }).collect();
            pairs.sort_unstable();
            readings.sort_unstable();
            let back: Vec<_> = readings.iter().map(|hlc| (hlc.wall_ms, hlc.counter)).collect();
            prop_assert_eq!(back, pairs);
        }
    }
}
