//! What keeps the store small and clean: merges, retention, erasure.

use std::ops::ControlFlow;
use std::sync::Arc;

use annals_core::{CompactionConfig, CompactionStrategy, EventRef, Region, Sequence, StoreError};

use super::super::{Found, Journal, Outcome};
use super::{End, Workload};

/// Its events are dropped.
const DROPPED: &str = "order:0";
/// Its events are erased.
const ERASED: &str = "order:1";

impl Workload {
    /// Merges segments.
    pub(super) fn merge(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        before(&self.journal);
        let done = self.compact(CompactionStrategy::Merge);
        self.kept(done.map(drop))
    }

    /// Drops the events of an entity from some segments.
    pub(super) fn retain(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        self.journal.dropping(DROPPED);
        before(&self.journal);
        let keep = |event: &EventRef<'_>| event.header().entity() != DROPPED;
        let done = self.compact(CompactionStrategy::Retention(Arc::new(keep)));
        if let Ok(true) = done {
            // A fault may hit this reading too: then nothing more is known.
            if let Ok(found) = Found::read(&self.log().reader()) {
                self.journal.dropped(&found);
            }
        }
        self.kept(done.map(drop))
    }

    /// Erases the events of an entity, now and then with a stop on the way.
    pub(super) fn erase(&mut self, before: &mut dyn FnMut(&Journal)) -> End {
        let mut calls_left = if self.random.one_in(4) { self.random.below(4) } else { u64::MAX };
        self.journal.erasing(ERASED);
        before(&self.journal);
        let target = Region::entity_exact(ERASED).into();
        let end = self.log().reader().end();
        let report = self.log().erase(&target, |_| {
            calls_left = calls_left.saturating_sub(1);
            if calls_left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match &report {
            Ok(report) => {
                let outcome = report.record.map_or(Outcome::Refused, |record| {
                    Outcome::Acknowledged { durable: record.durable }
                });
                self.journal.answer(outcome);
                if report.complete {
                    self.journal.erased(ERASED);
                }
            }
            Err(StoreError::Poisoned { .. }) => {}
            // What was left to do behind the record failed.
            Err(_) if self.log().reader().end() > end => {
                self.journal.answer(Outcome::Acknowledged { durable: false });
            }
            Err(_) => self.journal.answer(Outcome::Refused),
        }
        self.kept(report.map(drop))
    }

    /// Whether a compaction was taken in.
    fn compact(&mut self, strategy: CompactionStrategy) -> Result<bool, StoreError> {
        let config = CompactionConfig::new(strategy)
            .with_seal_active(self.random.one_in(2))
            .with_output_max_bytes(4096 * (1 + self.random.below(6)));
        let end = self.log().reader().end();
        let from = Sequence::new(self.random.below(end.get() + 1));
        let Some(compaction) = self.log().begin_compaction(&config, from)? else {
            return Ok(false);
        };
        let is_stopped = self.random.one_in(4);
        let compacted = compaction.run(|_| match is_stopped {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })?;
        let Some(compacted) = compacted else { return Ok(false) };
        drop(compaction);
        self.log().finish_compaction(&compacted)?;
        Ok(true)
    }

    fn kept(&mut self, done: Result<(), StoreError>) -> End {
        self.is_compaction_failed |= done.is_err();
        self.settle(done)
    }
}
