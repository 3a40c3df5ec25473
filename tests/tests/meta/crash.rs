//! Power cuts, kills and faults at every operation of a meta workload. What was acknowledged as
//! synced survives, and what is found is always what the log was after some write: nothing is
//! out of order, nothing is wrong.

use std::collections::BTreeMap;

use annals_core::{CheckpointName, EventKind, MetaSync, StoreError};
use annals_tests::sim_disk::{Fault, Random, SimDisk, for_each_seed};

use crate::store::{TestLog, append, consumer, open, try_open};

const CONSUMERS: [&str; 4] = ["a", "b", "c", "d"];
const KINDS: u16 = 8;

/// What a log says: checkpoints and names of kinds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    checkpoints: BTreeMap<&'static str, Vec<u8>>,
    kinds: BTreeMap<EventKind, String>,
}

impl State {
    fn of(log: &TestLog) -> Self {
        let checkpoints = CONSUMERS.iter().filter_map(|name| Some((*name, consumer(log, name)?)));
        let kinds = log.reader().kind_names().into_iter();
        State {
            checkpoints: checkpoints.collect(),
            kinds: kinds.map(|(kind, name)| (kind, name.to_string())).collect(),
        }
    }
}

/// One step of the workload.
#[derive(Clone, Debug)]
enum Step {
    Set(&'static str, Vec<u8>, MetaSync),
    Remove(&'static str, MetaSync),
    Name(EventKind),
    Append,
    Sync,
    Reopen { close: bool },
}

impl Step {
    fn draw(random: &mut Random) -> Self {
        let name = CONSUMERS[random.index(CONSUMERS.len())];
        let sync = if random.one_in(2) { MetaSync::Now } else { MetaSync::Later };
        match random.below(24) {
            0 => Step::Append,
            1 => Step::Sync,
            2 | 3 => Step::Reopen { close: random.one_in(2) },
            4 => Step::Remove(name, sync),
            5..=8 => {
                let type_id = u16::try_from(random.below(u64::from(KINDS))).unwrap();
                Step::Name(EventKind::new(1, type_id))
            }
            // Large enough that the file is replaced a few times.
            9..=16 => {
                let mut value = vec![0; random.index(16_000)];
                random.fill(&mut value);
                Step::Set(name, value, sync)
            }
            _ => Step::Set(name, random.next_u64().to_le_bytes().to_vec(), sync),
        }
    }

    fn change(&self, state: &mut State) {
        match self {
            Step::Set(name, value, _) => {
                state.checkpoints.insert(name, value.clone());
            }
            Step::Remove(name, _) => {
                state.checkpoints.remove(name);
            }
            Step::Name(kind) => {
                state.kinds.insert(*kind, format!("kind-{kind}"));
            }
            Step::Append | Step::Sync | Step::Reopen { .. } => {}
        }
    }

    /// Whether all writes so far are on stable storage once it has succeeded.
    fn is_durable(&self) -> bool {
        match self {
            Step::Set(_, _, sync) | Step::Remove(_, sync) => *sync == MetaSync::Now,
            // A kind that has its name already needs no sync of what is lazy.
            Step::Name(_) | Step::Append | Step::Reopen { close: false } => false,
            Step::Sync | Step::Reopen { close: true } => true,
        }
    }

    fn run(&self, log: &mut TestLog) -> Result<(), StoreError> {
        match self {
            Step::Set(name, value, sync) => {
                log.set_checkpoint(CheckpointName::consumer(name), value, *sync)
            }
            Step::Remove(name, sync) => {
                log.remove_checkpoint(CheckpointName::consumer(name), *sync)
            }
            Step::Name(kind) => log.name_kind(*kind, &format!("kind-{kind}")),
            Step::Append => append(log, EventKind::new(1, 1)).map(drop),
            Step::Sync => log.sync_meta(),
            Step::Reopen { close: true } => log.close_in_place(),
            Step::Reopen { close: false } => Ok(()),
        }
    }
}

/// The states that a crash may leave, the oldest first.
#[derive(Debug, Default)]
struct History {
    /// At the front what is known to be on stable storage.
    possible: Vec<State>,
    visible: State,
    named: BTreeMap<EventKind, String>,
}

impl History {
    fn new() -> Self {
        History { possible: vec![State::default()], ..Default::default() }
    }

    fn begin(&mut self, step: &Step) {
        let mut next = self.visible.clone();
        step.change(&mut next);
        self.possible.push(next);
    }

    fn succeed(&mut self, step: &Step) {
        step.change(&mut self.visible);
        if let Step::Name(_) = step {
            self.named = self.visible.kinds.clone();
        }
        if step.is_durable() {
            self.possible = vec![self.visible.clone()];
        }
    }

    fn check(&self, found: &State, place: &str) {
        assert!(self.possible.contains(found), "{place}: found what never was: {found:?}");
        assert!(
            self.named.iter().all(|(kind, name)| found.kinds.get(kind) == Some(name)),
            "{place}: a registered name is gone"
        );
    }
}

#[test]
fn b29_b47_a_power_cut_at_any_operation_loses_nothing_synced_and_invents_nothing() {
    for_each_seed("meta power cuts", 12, |seed| {
        let mut random = Random::new(seed);
        let disk = SimDisk::new(seed);
        disk.record_checkpoints();
        let mut history = History::new();
        let mut log = open(&disk);
        let mut cuts = 0;
        for _ in 0..60 {
            let step = Step::draw(&mut random);
            history.begin(&step);
            step.run(&mut log).unwrap();
            if let Step::Reopen { .. } = step {
                drop(log);
                disk.restart_process();
                log = open(&disk);
                assert_eq!(log.recovery().meta_damage, []);
            }
            for checkpoint in disk.take_checkpoints() {
                for cut in 0..3 {
                    cuts += 1;
                    let place = format!("{step:.20?}, {}, cut {cut}", checkpoint.operation);
                    cut_and_check(&checkpoint.disk.fork(), random.next_u64(), &history, &place);
                }
            }
            history.succeed(&step);
            assert_eq!(State::of(&log), history.visible);
        }
        assert!(cuts > 200, "{cuts}");
        assert_eq!(disk.retried_sync_count(), 0);
    });
}

/// Cuts the power, opens, and checks that what is found stays, through another cut too.
fn cut_and_check(disk: &SimDisk, cut_seed: u64, history: &History, place: &str) {
    disk.power_cut(cut_seed);
    let mut log = open(disk);
    let found = State::of(&log);
    history.check(&found, place);
    assert_eq!(log.recovery().meta_damage, [], "{place}: a crash is no damage");
    if cut_seed.is_multiple_of(4) {
        log.set_checkpoint(CheckpointName::consumer("after"), b"1", MetaSync::Now).unwrap();
        drop(log);
        disk.power_cut(cut_seed / 4);
        let log = open(disk);
        assert_eq!(consumer(&log, "after").as_deref(), Some(&b"1"[..]), "{place}");
        assert_eq!(State::of(&log), found, "{place}: what was found is gone");
    }
}

#[test]
fn b29_b47_a_fault_in_any_operation_is_survived_with_every_synced_value() {
    for seed in [3, 4] {
        let operations = faulty_run(seed, None);
        assert!(operations > 120, "{operations}");
        for operation in 0..operations {
            faulty_run(seed, Some((operation, Fault::Io)));
        }
        for operation in (0..operations).step_by(3) {
            faulty_run(seed, Some((operation, Fault::NoSpace)));
        }
    }
}

#[test]
fn b29_b47_faults_at_random_lose_nothing_synced() {
    for_each_seed("meta faults", 60, |seed| {
        let mut random = Random::new(seed ^ 0xFA17);
        let disk = SimDisk::new(seed);
        let faults = (0..5).map(|_| (random.below(300), Fault::Io));
        faults.for_each(|(operation, fault)| disk.fail_at(operation, fault));
        run_through_faults(&disk, seed);
    });
}

/// Runs a workload in which one operation fails, and returns how many there were.
fn faulty_run(seed: u64, fault: Option<(u64, Fault)>) -> u64 {
    let disk = SimDisk::new(seed);
    if let Some((operation, fault)) = fault {
        disk.fail_at(operation, fault);
    }
    run_through_faults(&disk, seed);
    disk.operation_count()
}

/// Goes on after every error: a poisoned log is opened again, as after a kill.
fn run_through_faults(disk: &SimDisk, seed: u64) {
    let mut random = Random::new(seed);
    let mut history = History::new();
    let mut log = reopen(disk);
    for round in 0..80 {
        let step = Step::draw(&mut random);
        history.begin(&step);
        let done = step.run(&mut log);
        let place = format!("seed {seed}, step {round}, {done:?}");
        match &done {
            Ok(()) => history.succeed(&step),
            Err(StoreError::Storage(_) | StoreError::Poisoned { .. }) => {}
            Err(other) => panic!("{place}: {other}"),
        }
        assert_eq!(State::of(&log), history.visible, "{place}");
        let cut_seed = random.next_u64();
        if done.is_err() || random.one_in(3) {
            cut_without_faults(disk, cut_seed, &history, &place);
        }
        if matches!(step, Step::Reopen { .. }) || matches!(done, Err(StoreError::Poisoned { .. })) {
            drop(log);
            disk.restart_process();
            log = reopen(disk);
            // What a kill left is seen from now on, and stays possible to lose until a sync.
            history.check(&State::of(&log), &place);
            history.visible = State::of(&log);
            history.possible.push(history.visible.clone());
        }
    }
    assert_eq!(disk.retried_sync_count(), 0);
}

fn cut_without_faults(disk: &SimDisk, cut_seed: u64, history: &History, place: &str) {
    let cut = disk.fork();
    cut.clear_faults();
    cut_and_check(&cut, cut_seed, history, place);
}

/// Opens the disk as often as its faults make that fail.
fn reopen(disk: &SimDisk) -> TestLog {
    for _ in 0..10 {
        match try_open(disk) {
            Ok(log) => return log,
            Err(StoreError::Storage(_) | StoreError::Poisoned { .. }) => disk.restart_process(),
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the disk has fewer faults than that");
}
