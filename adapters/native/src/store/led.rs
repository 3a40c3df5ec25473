//! The batches of one group: what is staged of them, and what each is answered.
//!
//! An answer that depends on the group is given only when that is on stable storage, where the
//! durability asks for that: receipts, and refusals in view of what is staged.

use crate::store::commit::NativeLog;
use crate::store::request::{Answer, Request};
use annals_core::{
    Append, AppendCondition, AppendReceipt, PendingSync, Staged, Storage, StoreError,
};
use std::ops::Range;
use std::sync::Arc;

/// A group is written when it has grown to so many bytes.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A batch and its own condition.
pub(crate) type BatchRef<'a> = (&'a [Append], Option<&'a AppendCondition>);

/// See the module.
#[derive(Default)]
pub(crate) struct Led {
    pub(crate) queued: Vec<Arc<Request>>,
    /// How many of these are in the queue still: all that were staged ahead.
    pub(crate) left_in_queue: usize,
    /// How many of these are staged.
    staged: usize,
    /// In the order of staging: those of the queued batches, and the leader's own among them.
    answers: Vec<Option<Answer>>,
    own_at: Option<usize>,
    /// What becomes of these is known when the group is committed.
    pending: Vec<(usize, Pending)>,
}

/// An answer that waits for the group.
enum Pending {
    /// Staged: so many events, from there on.
    Events(Range<usize>),
    /// Staged and written.
    Written(Vec<AppendReceipt>),
    /// Appended before, by a group that was not on stable storage yet.
    Known(Vec<AppendReceipt>),
    /// Refused in view of what was staged or not on stable storage: true only once that is.
    Refused(StoreError),
}

impl Led {
    /// Stages what is queued beside a commit that is under way, up to what must wait for its end,
    /// or until `enough` says so.
    pub(crate) fn stage_ahead<S: Storage>(
        &mut self,
        log: &mut NativeLog<S>,
        enough: impl Fn() -> bool,
    ) {
        while let Some(request) = self.queued.get(self.staged).cloned() {
            if enough() || log.staged_bytes() >= GROUP_BYTES_MAX {
                return;
            }
            let (items, condition) = request.batch_ref();
            let staged = log.stage(items, condition);
            if matches!(staged, Ok(Staged::Full)) {
                return;
            }
            self.note(log, staged);
            self.staged += 1;
        }
    }

    /// Stages what is queued.
    pub(crate) fn stage_queued<S: Storage>(&mut self, log: &mut NativeLog<S>) {
        while let Some(request) = self.queued.get(self.staged).cloned() {
            self.stage(log, request.batch_ref());
            self.staged += 1;
        }
    }

    /// Stages the leader's own batch, once.
    pub(crate) fn stage_own<S: Storage>(&mut self, log: &mut NativeLog<S>, own: BatchRef<'_>) {
        if self.own_at.is_none() {
            self.own_at = Some(self.answers.len());
            self.stage(log, own);
        }
    }

    /// Stages a batch, behind a commit of what is staged where it does not fit.
    fn stage<S: Storage>(&mut self, log: &mut NativeLog<S>, (items, condition): BatchRef<'_>) {
        let staged = loop {
            match log.stage(items, condition) {
                Ok(Staged::Full) => self.commit(log),
                staged => break staged,
            }
        };
        self.note(log, staged);
        if log.staged_bytes() >= GROUP_BYTES_MAX {
            self.commit(log);
        }
    }

    /// Notes what became of the next batch.
    fn note<S: Storage>(&mut self, log: &NativeLog<S>, staged: Result<Staged, StoreError>) {
        let mut wait_for = |pending| {
            self.pending.push((self.answers.len(), pending));
            None
        };
        let answer = match staged {
            Ok(Staged::Group(range)) => wait_for(Pending::Events(range)),
            Ok(Staged::Known(receipts)) if is_ahead(log, &receipts) => {
                wait_for(Pending::Known(receipts))
            }
            Ok(Staged::Known(receipts)) => Some(Ok(receipts)),
            Ok(_) => unreachable!("whoever stages deals with what does not fit"),
            Err(error) if judges_the_log(&error) => wait_for(Pending::Refused(error)),
            Err(error) => Some(Err(error)),
        };
        self.answers.push(answer);
    }

    /// Commits what is staged.
    fn commit<S: Storage>(&mut self, log: &mut NativeLog<S>) {
        let pending = &mut self.pending;
        let committed = log.commit(|log, info| take_receipts(pending, log, info));
        self.settle(log, &committed);
    }

    /// Writes what is staged. Where that needs a sync, [`settle`](Led::settle) is for after it;
    /// else all is settled.
    pub(crate) fn begin_commit<S: Storage>(
        &mut self,
        log: &mut NativeLog<S>,
    ) -> Option<PendingSync<Arc<S>>> {
        let pending = &mut self.pending;
        match log.begin_commit(|log, info| take_receipts(pending, log, info)) {
            Ok(Some(sync)) => return Some(sync),
            Ok(None) => self.settle(log, &Ok(())),
            Err(error) => self.settle(log, &Err(error)),
        }
        None
    }

    /// Gives the answers that waited for a commit, now that it has ended so.
    pub(crate) fn settle<S: Storage>(
        &mut self,
        log: &NativeLog<S>,
        committed: &Result<(), StoreError>,
    ) {
        let durable_end = log.durable_end();
        for (at, pending) in self.pending.drain(..) {
            let answer = match (pending, committed) {
                (Pending::Known(mut receipts), _) => {
                    for receipt in &mut receipts {
                        receipt.durable |= receipt.sequence < durable_end;
                    }
                    Ok(receipts)
                }
                (_, Err(failure)) => Err(failure.clone()),
                (Pending::Written(receipts), Ok(())) => Ok(receipts),
                (Pending::Refused(refusal), Ok(())) => Err(refusal),
                (Pending::Events(_), Ok(())) => unreachable!("a commit takes all receipts"),
            };
            self.answers[at] = Some(answer);
        }
    }

    /// The answers to the queued batches, in their order, and to the leader's own; `failure` to
    /// those that have got none.
    pub(crate) fn into_answers(
        mut self,
        failure: &StoreError,
    ) -> (impl Iterator<Item = (Arc<Request>, Answer)> + use<>, Option<Answer>) {
        let len = self.queued.len() + usize::from(self.own_at.is_some());
        self.answers.resize_with(len, || None);
        let own = self.own_at.and_then(|at| self.answers.remove(at));
        let failure = failure.clone();
        let answers = self.answers.into_iter();
        let answers = answers.map(move |answer| answer.unwrap_or_else(|| Err(failure.clone())));
        (self.queued.into_iter().zip(answers), own)
    }
}

fn take_receipts<S: Storage>(
    pending: &mut [(usize, Pending)],
    log: &NativeLog<S>,
    info: annals_core::CommitInfo,
) {
    for (_, pending) in pending {
        if let Pending::Events(range) = pending {
            *pending = Pending::Written(log.receipts(range.clone(), info).collect());
        }
    }
}

/// Whether events that were appended before are not visible yet.
fn is_ahead<S: Storage>(log: &NativeLog<S>, receipts: &[AppendReceipt]) -> bool {
    let end = log.readers().end();
    receipts.iter().any(|receipt| receipt.sequence >= end)
}

/// Whether an error says something about events that may only be staged.
fn judges_the_log(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::VersionConflict { .. }
            | StoreError::IdempotencyConflict { .. }
            | StoreError::ConditionFailed { .. }
    )
}
