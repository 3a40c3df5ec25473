//! What a power cut leaves of unsynced changes: any subset, each write torn anywhere.
//!
//! Purely independent choices would almost never give the orderly outcomes (nothing, all, a
//! clean prefix) that real disks give most of the time, so a pattern is drawn first and the
//! choices for each change after it.

use super::{Random, inode::Change, pages::Pages};

/// Which of a row of changes survive.
pub(super) enum Pattern {
    None,
    All,
    /// Those before this one whole, this one torn, none after.
    UpTo(usize),
    /// Only the last, torn.
    OnlyLast,
    /// Each as chance has it.
    Independent,
}

/// How much of one change survives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Survival {
    Lost,
    Whole,
    Torn,
}

impl Pattern {
    pub(super) fn draw(random: &mut Random, change_count: usize) -> Self {
        match random.below(8) {
            0 => Self::None,
            1 => Self::All,
            2 | 3 if change_count > 0 => Self::UpTo(random.index(change_count)),
            4 => Self::OnlyLast,
            _ => Self::Independent,
        }
    }

    pub(super) fn survival(
        &self,
        index: usize,
        change_count: usize,
        random: &mut Random,
    ) -> Survival {
        match self {
            Self::None => Survival::Lost,
            Self::All => Survival::Whole,
            Self::UpTo(last) if index < *last => Survival::Whole,
            Self::UpTo(last) if index == *last => Survival::Torn,
            Self::UpTo(_) => Survival::Lost,
            Self::OnlyLast if index + 1 == change_count => Survival::Torn,
            Self::OnlyLast => Survival::Lost,
            Self::Independent => match random.below(3) {
                0 => Survival::Lost,
                1 => Survival::Whole,
                _ => Survival::Torn,
            },
        }
    }
}

/// Applies to the stable bytes what survives of the pending changes.
pub(super) fn apply_some(stable: &mut Pages, pending: &[Change], random: &mut Random) {
    let pattern = Pattern::draw(random, pending.len());
    for (index, change) in pending.iter().enumerate() {
        match (pattern.survival(index, pending.len(), random), change) {
            (Survival::Lost, _) => {}
            (Survival::Torn, Change::Write { offset, bytes }) => {
                apply_torn(stable, bytes, *offset, random);
            }
            (Survival::Torn, Change::SetLen(_)) if random.one_in(2) => {}
            (Survival::Whole | Survival::Torn, _) => change.apply(stable),
        }
    }
}

/// Applies a part of a write: a prefix, a suffix, a mix of sectors, or only its growth.
pub(super) fn apply_torn(stable: &mut Pages, bytes: &[u8], offset: u64, random: &mut Random) {
    match random.below(4) {
        0 => stable.write(&bytes[..random.index(bytes.len() + 1)], offset),
        1 => {
            let start = random.index(bytes.len() + 1);
            stable.write(&bytes[start..], offset + start as u64);
        }
        2 => {
            let behind_border = usize::try_from(offset % SECTOR_LEN as u64).unwrap_or_default();
            let (head, tail) = bytes.split_at(bytes.len().min(SECTOR_LEN - behind_border));
            let mut at = offset;
            for sector in std::iter::once(head).chain(tail.chunks(SECTOR_LEN)) {
                if random.one_in(2) {
                    stable.write(sector, at);
                }
                at += sector.len() as u64;
            }
        }
        _ => {
            let end = offset + bytes.len() as u64;
            stable.set_len(stable.len().max(end));
        }
    }
}

const SECTOR_LEN: usize = 512;
