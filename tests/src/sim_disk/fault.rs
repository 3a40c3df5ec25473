//! Which operations fail, and how: by plan at a number, or by chance at a rate.

use std::collections::BTreeMap;

use super::{OperationKind, Random};

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// It fails with an I/O error. A write has then changed any part of its range, a
    /// `set_len` happened or not, a read filled a part of its buffer with bytes and the rest
    /// with garbage, a sync made any part of what was unsynced durable and has dropped the
    /// rest for good.
    Io,
    /// It fails for lack of space; a write has then changed any part of its range.
    NoSpace,
    /// It panics and does nothing.
    Panic,
    /// It takes long, so that operations of other threads overtake it, and is done then.
    Slow,
    /// The power fails before it: this and every later operation fails until
    /// [`power_cut`](super::SimDisk::power_cut) decides what is left.
    PowerLoss,
}

/// How often operations fail with [`Fault::Io`], in millionths, and how often they take long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRates {
    /// Of `read_exact_at` and `len`.
    pub read_ppm: u32,
    /// Of `write_all_at` and `set_len`.
    pub write_ppm: u32,
    /// Of `sync_data` and `sync_dir`.
    pub sync_ppm: u32,
    /// Of `list`, `create`, `open` and `remove`.
    pub directory_ppm: u32,
    /// How many of all operations are [`Fault::Slow`] instead, in millionths.
    pub slow_ppm: u32,
}

impl FaultRates {
    /// The same rate of failures for every operation, in millionths; none is slow.
    #[must_use]
    pub const fn all(ppm: u32) -> Self {
        Self { read_ppm: ppm, write_ppm: ppm, sync_ppm: ppm, directory_ppm: ppm, slow_ppm: 0 }
    }

    const fn of(&self, kind: OperationKind) -> u32 {
        match kind {
            OperationKind::ReadExactAt | OperationKind::Len => self.read_ppm,
            OperationKind::WriteAllAt | OperationKind::SetLen => self.write_ppm,
            OperationKind::SyncData | OperationKind::SyncDir => self.sync_ppm,
            OperationKind::List
            | OperationKind::Create
            | OperationKind::Open
            | OperationKind::Remove => self.directory_ppm,
        }
    }
}

/// A fault that an operation itself has to act out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Injected {
    Io,
    NoSpace,
    Panic,
    Slow,
}

/// The plan and the rates.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    plan: BTreeMap<u64, Fault>,
    rates: FaultRates,
}

impl Faults {
    pub(super) fn plan(&mut self, operation: u64, fault: Fault) {
        self.plan.insert(operation, fault);
    }

    pub(super) fn set_rates(&mut self, rates: FaultRates) {
        self.rates = rates;
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault of this operation, if it has one.
    pub(super) fn draw(
        &self,
        number: u64,
        kind: OperationKind,
        random: &mut Random,
    ) -> Option<Fault> {
        if let Some(fault) = self.plan.get(&number) {
            return Some(*fault);
        }
        let mut happens = |ppm: u32| ppm > 0 && random.below(1_000_000) < u64::from(ppm);
        if happens(self.rates.of(kind)) {
            return Some(Fault::Io);
        }
        happens(self.rates.slow_ppm).then_some(Fault::Slow)
    }
}
