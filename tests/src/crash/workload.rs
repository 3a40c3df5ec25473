//! A random workload on a simulated disk, and the journal of it.
//!
//! What keeps a store (merges, retention, erasure) and what follows it (checkpoints, a cursor) is
//! in `keep` and `follow`.

mod follow;
mod keep;

use std::num::NonZeroU32;
use std::panic::{AssertUnwindSafe, catch_unwind};

use annals_core::{
    Append, AppendCondition, AppendOptions, Batch, Coordinate, Cursor, Durability, EventKind,
    ExpectedVersion, Log, LogConfig, Payload, Reader, Region, Staged, StoreError, Version,
};

use super::{Found, Journal, Outcome, Said};
use crate::conformance::TestHost;
use crate::sim_disk::{Random, SimDisk};

const KIND: EventKind = EventKind::new(1, 1);

/// What a workload is.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How many things it does.
    pub steps: usize,
    /// When it syncs by itself.
    pub durability: Durability,
}

impl Plan {
    /// A plan whose durability follows from its seed too.
    #[must_use]
    pub fn of(seed: u64, steps: usize) -> Self {
        let durability = match seed % 4 {
            0 | 1 => Durability::Durable,
            2 => Durability::EveryN(NonZeroU32::new(3).expect("three")),
            _ => Durability::OnSync,
        };
        Plan { seed, steps, durability }
    }

    /// The smallest segments, so that they rotate often; sealed at close or not, as the seed
    /// says.
    #[must_use]
    pub fn config(&self) -> LogConfig {
        let seal_on_close_bytes = if self.seed.is_multiple_of(3) { 1 } else { u64::MAX };
        LogConfig::default()
            .with_segment_max_bytes(4096)
            .with_index_cache_bytes(64 * 1024)
            .with_durability(self.durability)
            .with_seal_on_close_bytes(seal_on_close_bytes)
            .with_zeros_ahead_bytes(if self.seed.is_multiple_of(2) { 1024 } else { 0 })
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The workload goes on.
    Fine,
    /// The process is as good as dead: a panic, or a log that must be opened again.
    Down,
}

/// See the module.
#[derive(Debug)]
pub struct Workload {
    plan: Plan,
    disk: SimDisk,
    random: Random,
    /// None where opening failed.
    log: Option<Log<SimDisk, TestHost>>,
    reader: Option<Reader<SimDisk>>,
    is_compaction_failed: bool,
    /// Follows the whole log.
    cursor: Cursor,
    journal: Journal,
    attempts: u64,
}

impl Workload {
    /// A workload on an empty disk. Nothing is done yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let disk = SimDisk::new(plan.seed);
        let random = Random::new(plan.seed);
        let journal = Journal::default();
        Workload {
            plan,
            disk,
            random,
            log: None,
            reader: None,
            is_compaction_failed: false,
            cursor: Cursor::new(Region::all()),
            journal,
            attempts: 0,
        }
    }

    /// Its disk.
    #[must_use]
    pub fn disk(&self) -> &SimDisk {
        &self.disk
    }

    /// What it attempted so far.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Does one thing. What is attempted is in the journal before the disk is touched: `before`
    /// is shown the journal then.
    ///
    /// # Panics
    ///
    /// Where the store answers what it must not.
    pub fn step(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        let action = self.random.below(32);
        let act = AssertUnwindSafe(|| self.act(action, before));
        let end = catch_unwind(act).unwrap_or_else(|panic| {
            let simulated = panic.downcast_ref::<String>();
            if !simulated.is_some_and(|text| text.starts_with("simulated")) {
                std::panic::resume_unwind(panic);
            }
            End::Down
        });
        if end == End::Down {
            self.log = None;
        }
        end
    }

    fn act(&mut self, action: u64, before: &mut dyn FnMut(&Journal)) -> End {
        if self.log.is_none() {
            before(&self.journal);
            let host = TestHost::new(self.random.next_u64()).with_step_us(1);
            match Log::open(self.disk.clone(), host, self.plan.config()) {
                Ok(log) => self.opened(log),
                Err(StoreError::Storage(_) | StoreError::Poisoned { .. }) => return End::Down,
                Err(error) => panic!("the store does not open: {error}"),
            }
        }
        match action {
            0..9 => self.append(1, before),
            9..12 => {
                let count = 2 + self.random.index(4);
                self.append(count, before)
            }
            12..14 => self.group(before),
            14 => self.refused(before),
            15 | 16 => {
                before(&self.journal);
                let done = self.log().sync().map(drop);
                self.settle(done)
            }
            17 => {
                before(&self.journal);
                let done = self.log().seal();
                self.settle(done)
            }
            18 => {
                before(&self.journal);
                let done = self.log().close_in_place();
                if done.is_ok() {
                    self.journal.notes.synced();
                }
                let end = self.settle(done);
                if end == End::Fine && self.random.one_in(2) {
                    self.log = None;
                    self.reader = None;
                }
                end
            }
            19 => {
                self.log = None;
                self.reader = None;
                End::Fine
            }
            20 | 21 => self.merge(before),
            22 => self.retain(before),
            23 => self.erase(before),
            24..27 => self.checkpoint(before),
            27 => self.name_kind(before),
            28..30 => self.poll(before),
            // Whoever reads keeps segments that a compaction has replaced.
            _ => {
                let reader = self.log().reader();
                self.reader = self.reader.is_none().then_some(reader);
                End::Fine
            }
        }
    }

    /// After an opening, all is as it was found. Without a crash, that is all there was.
    fn opened(&mut self, log: Log<SimDisk, TestHost>) {
        let said = Said::by(&log).expect("the meta log can be read");
        self.journal.notes.reopened(said);
        if self.cursor.position().is_some_and(|position| position >= log.reader().end()) {
            self.cursor = Cursor::new(Region::all());
        }
        self.log = Some(log);
    }

    fn log(&mut self) -> &mut Log<SimDisk, TestHost> {
        self.log.as_mut().expect("opened before it is used")
    }

    /// Payloads like no other; many of one length, so that stale frames would fit.
    fn payload(&mut self) -> Payload {
        self.attempts += 1;
        let len = [8, 8, 8, 100, 700, 1800][self.random.index(6)];
        let mut bytes = vec![b'.'; len];
        bytes[..8].copy_from_slice(&self.attempts.to_le_bytes());
        Payload::raw(bytes)
    }

    fn item(&mut self) -> Append {
        let entity = format!("order:{}", self.random.below(4));
        let payload = self.payload();
        Append::new(Coordinate::new(entity, "shop").expect("valid"), KIND, payload)
    }

    fn batch(&mut self, count: usize) -> Batch {
        (0..count).map(|_| self.item()).collect()
    }

    fn append(&mut self, count: usize, before: &mut dyn FnMut(&Journal)) -> End {
        let batch = self.batch(count);
        let batch = self.conditional(batch);
        self.journal.attempt(items(&batch));
        before(&self.journal);
        let answer = self.log().append_batch(&batch);
        let answer = answer.map(|receipts| receipts.iter().all(|receipt| receipt.durable));
        self.answered(answer)
    }

    /// Now and then with a condition that holds.
    fn conditional(&mut self, batch: Batch) -> Batch {
        let reader = self.log().reader();
        if !self.random.one_in(3) {
            return batch;
        }
        let last = reader.end().checked_prev();
        if self.random.one_in(2) {
            return batch.with_condition(AppendCondition::new(Region::all(), last));
        }
        let first = batch.items()[0].clone();
        let Ok(head) = reader.head(first.coordinate.entity()) else { return batch };
        let expected = head.map_or(ExpectedVersion::NoStream, |head| {
            ExpectedVersion::Exact(Version::new(head.version.get()))
        });
        let first = first.with_options(AppendOptions::default().with_expected_version(expected));
        std::iter::once(first).chain(batch.items()[1..].iter().cloned()).collect()
    }

    /// Several batches in one write and one sync.
    fn group(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        let batches: Vec<Batch> = (0..3).map(|_| self.batch(1)).collect();
        let mut staged = 0;
        before(&self.journal);
        for batch in &batches {
            match self.log().stage(batch.items(), None) {
                Ok(Staged::Group(_)) => staged += 1,
                Err(error) if staged == 0 => return self.failed(&error),
                // What is staged is not touched by what comes after it.
                Ok(_) | Err(StoreError::Storage(_)) => break,
                Err(error) => panic!("no fault answers that: {error}"),
            }
        }
        for batch in &batches[..staged] {
            self.journal.attempt(items(batch));
        }
        before(&self.journal);
        let mut durable = false;
        let answer = self.log().commit(|_, info| durable = info.durable);
        self.answered(answer.map(|()| durable))
    }

    /// A condition that does not hold: nothing of it may ever be seen.
    fn refused(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        before(&self.journal);
        let batch = self.batch(2).with_condition(AppendCondition::new(Region::all(), None));
        if self.log().reader().end().get() == 0 {
            return End::Fine;
        }
        match self.log().append_batch(&batch) {
            Err(StoreError::ConditionFailed { .. }) => End::Fine,
            Err(error) => self.failed(&error),
            Ok(receipts) => panic!("the condition does not hold: {receipts:?}"),
        }
    }

    fn answered(&mut self, answer: Result<bool, StoreError>) -> End {
        match answer {
            Ok(durable) => self.journal.answer(Outcome::Acknowledged { durable }),
            Err(StoreError::Poisoned { .. }) => return End::Down,
            Err(error) => {
                self.journal.answer(Outcome::Refused);
                return self.failed(&error);
            }
        }
        self.settle(Ok(()))
    }

    fn failed(&mut self, error: &StoreError) -> End {
        match error {
            StoreError::Poisoned { .. } => End::Down,
            StoreError::Storage(_) => End::Fine,
            other => panic!("no fault answers that: {other}"),
        }
    }

    /// Takes note of what is on stable storage by now.
    fn settle(&mut self, done: Result<(), StoreError>) -> End {
        if let Err(error) = done {
            return self.failed(&error);
        }
        let stats = self.log().stats();
        if let Ok(stats) = stats {
            self.journal.synced(stats.durable_end.get());
        }
        End::Fine
    }

    /// What readers see must be what was acknowledged.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong.
    pub fn check_readers(&self) -> Result<(), String> {
        let Some(log) = &self.log else { return Ok(()) };
        let found = Found::read(&log.reader())?;
        // A compaction runs beside the writer, which learns of its failures by its own.
        if self.disk.retried_sync_count() > 0 && !self.is_compaction_failed {
            return Err("a failed sync was tried again".to_owned());
        }
        self.journal.allows(&found, true)
    }
}

fn items(batch: &Batch) -> impl Iterator<Item = (&str, Payload)> {
    batch.items().iter().map(|item| (item.coordinate.entity(), item.payload.clone()))
}
