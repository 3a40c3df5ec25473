//! Opening after a crash, and everything that must hold then.

use std::panic::{AssertUnwindSafe, catch_unwind};

use annals_core::{
    Append, ConsumerCheckpoint, Coordinate, EventKind, Log, LogConfig, MetaSync, Payload, Region,
    Sequence, StoreError,
};

use super::{Found, Journal, Said};
use crate::conformance::TestHost;
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
) -> Result<Found, String> {
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
    let (found, said) = look(&log)?;
    journal.allows(&found, process_only)?;
    journal.notes.allow(&said, process_only)?;
    // Proving every byte takes its time.
    if random.one_in(8) {
        found.verify(&log.reader())?;
    }
    let mut after = journal.clone();
    after.reopened(&found);
    after.notes.reopened(said);
    go_on(&mut log, &mut after, &mut random)?;
    drop(log);

    let third = if random.one_in(2) { Mercy::Kill } else { Mercy::PowerCut };
    third.strike(disk, random.next_u64());
    let log = open(disk, random.next_u64(), config)?;
    let (again, said) = look(&log)?;
    let wrong = |why| format!("opened again: {why}");
    after.allows(&again, third == Mercy::Kill).map_err(wrong)?;
    after.notes.allow(&said, third == Mercy::Kill).map_err(wrong)?;
    if again.events[..found.events.len()] != found.events {
        return Err("what was recovered changed when it was opened again".to_owned());
    }
    if disk.retried_sync_count() > retried_before {
        return Err("a failed sync was tried again".to_owned());
    }
    Ok(found)
}

/// Reads a log that was recovered, and what it says of its consumers.
fn look(log: &Log<SimDisk, TestHost>) -> Result<(Found, Said), String> {
    let damage = &log.recovery().meta_damage;
    if !damage.is_empty() {
        return Err(format!("a crash is no damage: {damage:?}"));
    }
    let reader = log.reader();
    let found = Found::read(&reader)?;
    let said = Said::by(log).map_err(|error| format!("the meta log can't be read: {error}"))?;
    found.check_consumers(&reader, &said)?;
    Ok((found, said))
}

/// Opens, and loses the power or the process at one of the operations of opening.
///
/// # Errors
///
/// A sentence, where the store does not open as it is.
pub fn crash_while_opening(
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

/// The store goes on where it stands, and a consumer with it.
fn go_on(
    log: &mut Log<SimDisk, TestHost>,
    journal: &mut Journal,
    random: &mut Random,
) -> Result<(), String> {
    let wrong = |error: StoreError| format!("it does not go on after the recovery: {error}");
    for _ in 0..random.below(4) {
        let payload = Payload::raw(random.next_u64().to_le_bytes().repeat(random.index(60) + 1));
        let at = Coordinate::new("order:after", "shop").expect("valid");
        journal.attempt([(at.entity(), payload.clone())]);
        let receipt = log.append(&Append::new(at, EventKind::new(1, 9), payload)).map_err(wrong)?;
        journal.answer(super::Outcome::Acknowledged { durable: receipt.durable });
    }
    if random.one_in(3) {
        let end = log.sync().map_err(wrong)?;
        journal.synced(end.get());
        let after = end.checked_prev();
        let said = |said: &mut Said| {
            said.consumers.insert("after".to_owned(), after.map(Sequence::get));
        };
        journal.notes.begin(said);
        let checkpoint = ConsumerCheckpoint { after, region: Region::all() };
        log.set_consumer_checkpoint("after", &checkpoint, MetaSync::Now).map_err(wrong)?;
        journal.notes.done(true);
    }
    Ok(())
}
