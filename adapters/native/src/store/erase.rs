//! Erasure in a running store.

use crate::store::Store;
use annals_core::{
    CompactionProgress, ErasurePlan, ErasureReport, ErasureStep, ErasureTarget, Storage, StoreError,
};
use std::ops::ControlFlow;

impl<S: Storage> Store<S> {
    /// Erases metadata and payloads for good: of all events of a region, or of the event with an
    /// id. Headers, hashes and the chain stay, the events come with
    /// [`Payload::Erased`](crate::Payload::Erased), and the store still verifies. Appends and readers
    /// go on beside it; what is appended after the call began is not touched.
    ///
    /// When it returns, no file of the store has a byte of them, but for those that the report calls
    /// waiting, and an [`ErasureRecord`](crate::ErasureRecord) of the kind
    /// [`EventKind::ERASURE`](crate::EventKind::ERASURE) says when and how many, not what. After a
    /// crash on the way, erase the same again: it goes on. An idempotency key of an erased event
    /// still finds it, and tells the same append from another by the content's hash. States that
    /// projections keep in this store are removed; caches elsewhere hold states made of the erased
    /// payloads until they are asked for them next, so clear those.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] for an id that no event has; corruption of a segment that is read;
    /// storage errors. Erase the same again when the cause is gone.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{Coordinate, EventKind, Region, Store};
    ///
    /// let store = Store::in_memory()?;
    /// let person = Coordinate::new("person:7", "crm")?;
    /// let receipt = store.append(&person, EventKind::new(1, 1), &"a private note")?;
    ///
    /// let report = store.erase(&Region::entity("person:7"))?;
    /// assert_eq!(report.erased, 1);
    /// assert!(store.get(receipt.id)?.payload.is_erased());
    /// assert_eq!(store.by_fact(EventKind::ERASURE).count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn erase(&self, target: impl Into<ErasureTarget>) -> Result<ErasureReport, StoreError> {
        self.erase_with_progress(target, |_| ControlFlow::Continue(()))
    }

    /// As [`erase`](Store::erase). `progress` hears of every quarter of a MiB, in sums over all
    /// segments, and may stop it: erasing the same again goes on then.
    ///
    /// # Errors
    ///
    /// As [`erase`](Store::erase).
    pub fn erase_with_progress(
        &self,
        target: impl Into<ErasureTarget>,
        mut progress: impl FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<ErasureReport, StoreError> {
        let _alone = self.inner.compacting.lock();
        let committer = &self.inner.committer;
        let target = target.into();
        let mut erasure = committer.with_log(|log| log.begin_erasure(&target))?;
        loop {
            let so_far = erasure.progress();
            let found = match erasure.step(&committer.reader(), || progress(&so_far))? {
                ErasureStep::Erase(found) => found,
                ErasureStep::Done => {
                    return committer.with_log(|log| {
                        self.inner.projecting.forget_saved();
                        log.finish_erasure(&mut erasure)
                    });
                }
                // Stopped: there is nothing else that a step answers.
                _ => return committer.with_log(|log| log.stop_erasure(&erasure)),
            };
            let begun = committer.with_log(|log| log.begin_erasing(&mut erasure, found))?;
            let Some(compaction) = begun else { continue };
            let mut stopped = false;
            let compacted = compaction.run(|now| {
                let mut sum = so_far;
                sum.add(now);
                let told = progress(&sum);
                stopped = told.is_break();
                told
            })?;
            drop(compaction);
            if let Some(compacted) = compacted {
                committer.with_log(|log| log.finish_erasing(&mut erasure, found, &compacted))?;
            }
            if stopped {
                return committer.with_log(|log| log.stop_erasure(&erasure));
            }
        }
    }

    /// What [`erase`](Store::erase) would do; nothing is changed.
    ///
    /// # Errors
    ///
    /// As [`erase`](Store::erase).
    pub fn plan_erasure(
        &self,
        target: impl Into<ErasureTarget>,
    ) -> Result<ErasurePlan, StoreError> {
        self.reader().plan_erasure(&target.into(), || ControlFlow::Continue(()))
    }

    /// Whether an erasure was begun and not brought to its end: some of its payloads may still be
    /// there. Erase the same again.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn is_erasure_pending(&self) -> Result<bool, StoreError> {
        self.inner.committer.with_log(|log| log.is_erasure_pending())
    }
}
