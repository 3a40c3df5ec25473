//! Opening after a crash, and everything that must hold then.

use std::panic::{AssertUnwindSafe, catch_unwind};

use annals_core::{
    Append, Coordinate, Event, EventKind, Log, LogConfig, Payload, Storage, StoreError,
};

use super::Journal;
use crate::conformance::TestHost;
use crate::model::check_log;
use crate::sim_disk::{Fault, Random, SimDisk};

/// What the crash took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mercy {
    /// The machine: what was not synced may be gone.
    PowerCut,
    /// The process: the kernel keeps what was written.
    Kill,
}

impl Mercy {
    /// Lets it happen.
    pub fn strike(self, disk: &SimDisk, seed: u64) {
        match self {
            Mercy::PowerCut => disk.power_cut(seed),
            Mercy::Kill => disk.restart_process(),
        }
    }
}

/// Opens a disk after a crash, once with a second crash on the way, and checks all that must
/// hold. Returns the events that it holds.
///
/// # Errors
///
/// A sentence that says what is wrong.
pub fn check_recovery(
    disk: &SimDisk,
    journal: &Journal,
    mercy: Mercy,
    seed: u64,
    config: &LogConfig,
) -> Result<Vec<Event>, String> {
    let mut random = Random::new(seed);
    let retried_before = disk.retried_sync_count();
    let mut process_only = mercy == Mercy::Kill;
    disk.clear_faults();
    mercy.strike(disk, random.next_u64());
    if random.one_in(3) {
        let second = if random.one_in(3) { Mercy::Kill } else { Mercy::PowerCut };
        crash_while_opening(disk, second, &mut random, config)?;
        process_only &= second == Mercy::Kill;
    }
    let mut log = open(disk, random.next_u64(), config)?;
    let events = read(&log)?;
    journal.allows(&events, process_only)?;
    let mut after = journal.clone();
    after.reopened(&events);
    append(&mut log, &mut after, &mut random)?;
    drop(log);

    let third = if random.one_in(2) { Mercy::Kill } else { Mercy::PowerCut };
    third.strike(disk, random.next_u64());
    let log = open(disk, random.next_u64(), config)?;
    let again = read(&log)?;
    after.allows(&again, third == Mercy::Kill).map_err(|why| format!("opened again: {why}"))?;
    if again[..events.len()] != events {
        return Err("what was recovered changed when it was opened again".to_owned());
    }
    if disk.retried_sync_count() > retried_before {
        return Err("a failed sync was tried again".to_owned());
    }
    Ok(events)
}

/// Opens, and loses the power or the process at one of the operations of opening.
fn crash_while_opening(
    disk: &SimDisk,
    mercy: Mercy,
    random: &mut Random,
    config: &LogConfig,
) -> Result<(), String> {
    let rehearsal = disk.fork();
    drop(open(&rehearsal, 1, config)?);
    let cost = rehearsal.operation_count() - disk.operation_count();
    let fault = match mercy {
        Mercy::PowerCut => Fault::PowerLoss,
        Mercy::Kill => Fault::Panic,
    };
    disk.fail_at(disk.operation_count() + random.below(cost.max(1)), fault);
    let host = TestHost::new(random.next_u64());
    let opening = || Log::open(disk.clone(), host, config.clone()).map(drop);
    // It ends in an error or a panic, whichever the crash is played by.
    let _ = catch_unwind(AssertUnwindSafe(opening));
    disk.clear_faults();
    mercy.strike(disk, random.next_u64());
    Ok(())
}

fn open(disk: &SimDisk, seed: u64, config: &LogConfig) -> Result<Log<SimDisk, TestHost>, String> {
    Log::open(disk.clone(), TestHost::new(seed), config.clone())
        .map_err(|error| format!("the store does not open: {error}"))
}

fn read<S: Storage>(log: &Log<S, TestHost>) -> Result<Vec<Event>, String> {
    check_log(&log.reader()).map_err(|error| format!("the store can't be read: {error}"))
}

/// The store goes on where it stands.
fn append(
    log: &mut Log<SimDisk, TestHost>,
    journal: &mut Journal,
    random: &mut Random,
) -> Result<(), String> {
    for _ in 0..random.below(4) {
        let payload = Payload::raw(random.next_u64().to_le_bytes().repeat(random.index(60) + 1));
        let at = Coordinate::new("order:after", "shop").expect("valid");
        journal.attempt(vec![payload.clone()]);
        let receipt = log
            .append(&Append::new(at, EventKind::new(1, 9), payload))
            .map_err(|error: StoreError| format!("no append after the recovery: {error}"))?;
        journal.answer(super::Outcome::Acknowledged { durable: receipt.durable });
    }
    Ok(())
}
