//! An event's position in the causal graph: depth and lane, beside its numbers and its clock.
//!
//! Positions of different lanes or depths run beside each other and don't compare.

use core::cmp::Ordering;
use core::fmt;

use serde::{Deserialize, Serialize};

use super::clock::Hlc;
use super::numbers::{Sequence, Version};

/// Where an event stands: shown as `depth:lane:sequence@wall.counter`.
///
/// Within one lane and depth, positions are ordered by version; others don't compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct DagPosition {
    /// How many forks lie between the root and this position.
    pub depth: u32,
    /// Which of the branches beside each other this is.
    pub lane: u32,
    /// The place in the entity's stream.
    pub version: Version,
    /// The place in the store.
    pub sequence: Sequence,
    /// The store's clock.
    pub hlc: Hlc,
}

impl DagPosition {
    /// Whether this position comes before `other` in the same lane and depth.
    #[must_use]
    pub fn is_ancestor_of(&self, other: &Self) -> bool {
        self.shares_branch(other) && self.version < other.version
    }

    /// The hint that starts a branch here: one deeper, in another lane.
    ///
    /// At the greatest depth a fork stays there.
    #[must_use]
    pub const fn fork(&self, new_lane: u32) -> PositionHint {
        PositionHint { lane: new_lane, depth: self.depth.saturating_add(1) }
    }

    fn shares_branch(&self, other: &Self) -> bool {
        (self.lane, self.depth) == (other.lane, other.depth)
    }
}

impl PartialOrd for DagPosition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        if !self.shares_branch(other) {
            return None;
        }
        match self.version.cmp(&other.version) {
            // Two entities' positions of one version are neither equal nor ordered.
            Ordering::Equal => (self == other).then_some(Ordering::Equal),
            unequal => Some(unequal),
        }
    }
}

impl fmt::Display for DagPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}@{}", self.depth, self.lane, self.sequence, self.hlc)
    }
}

/// The part of a position that an append may choose. By default, lane 0 at depth 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct PositionHint {
    /// Which of the branches beside each other.
    pub lane: u32,
    /// How many forks from the root.
    pub depth: u32,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;

    fn at(depth: u32, lane: u32, version: u64) -> DagPosition {
        let hlc = Hlc { wall_ms: 1000 + version, counter: 2 };
        let (version, sequence) = (Version::new(version), Sequence::new(version * 10));
        DagPosition { depth, lane, version, sequence, hlc }
    }

    #[test]
    fn b41_a_position_is_shown_with_depth_lane_sequence_and_clock() {
        assert_eq!(at(1, 2, 3).to_string(), "1:2:30@1003.2");
    }

    #[test]
    fn b41_positions_of_other_lanes_or_depths_do_not_compare() {
        assert!(at(0, 0, 1) < at(0, 0, 2));
        assert_eq!(at(0, 0, 1).partial_cmp(&at(0, 1, 2)), None);
        assert_eq!(at(0, 0, 1).partial_cmp(&at(1, 0, 2)), None);
        assert_eq!(at(0, 0, 1).partial_cmp(&at(0, 0, 1)), Some(Ordering::Equal));
        let other_entity = DagPosition { sequence: Sequence::new(99), ..at(0, 0, 1) };
        assert_eq!(at(0, 0, 1).partial_cmp(&other_entity), None);
    }

    #[test]
    fn b41_an_ancestor_has_the_same_lane_and_depth_and_a_lower_version() {
        assert!(at(0, 0, 1).is_ancestor_of(&at(0, 0, 2)));
        assert!(!at(0, 0, 2).is_ancestor_of(&at(0, 0, 2)));
        assert!(!at(0, 0, 2).is_ancestor_of(&at(0, 0, 1)));
        assert!(!at(0, 0, 1).is_ancestor_of(&at(0, 1, 2)));
        assert!(!at(0, 0, 1).is_ancestor_of(&at(1, 0, 2)));
    }

    #[test]
    fn b41_a_fork_goes_one_deeper() {
        assert_eq!(at(1, 0, 3).fork(7), PositionHint { lane: 7, depth: 2 });
        assert_eq!(at(u32::MAX, 0, 3).fork(7).depth, u32::MAX);
    }

    #[test]
    fn positions_and_hints_round_trip() {
        let (position, hint) = (at(1, 2, 3), PositionHint { lane: 1, depth: 2 });
        let json = serde_json::to_string(&(position, hint)).unwrap();
        assert_eq!(
            serde_json::from_str::<(DagPosition, PositionHint)>(&json).unwrap(),
            (position, hint)
        );
        let bytes = postcard::to_allocvec(&(position, hint)).unwrap();
        assert_eq!(
            postcard::from_bytes::<(DagPosition, PositionHint)>(&bytes).unwrap(),
            (position, hint)
        );
    }
}
