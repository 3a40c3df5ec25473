//! Compaction of a running store.

use crate::store::Store;
use annals_core::{CompactionConfig, CompactionProgress, Sequence, Storage, StoreError};
use std::ops::ControlFlow;

impl<S: Storage> Store<S> {
    /// Writes sealed segments anew: fewer and larger ones, without events that are no longer
    /// wanted, or without payloads that must go. Appends and readers go on beside it; sequences,
    /// versions, ids and hashes stay.
    ///
    /// `progress` hears of every quarter of a MiB, of each output on its own, may wait to keep
    /// the rate low, and may stop it: what is finished by then stays. One compaction runs at a
    /// time; a second call waits for the first. Returns the sums over all outputs.
    ///
    /// # Errors
    ///
    /// Corruption of a segment that is read, and storage errors. Outputs finished before stay;
    /// nothing else has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use annals::{CompactionConfig, Coordinate, EventKind, Store, CompactionStrategy};
    /// use std::ops::ControlFlow;
    /// use std::sync::Arc;
    ///
    /// let store = Store::in_memory()?;
    /// let person = Coordinate::new("person:7", "crm")?;
    /// let receipt = store.append(&person, EventKind::new(1, 1), &"a private note")?;
    ///
    /// let of_person = Arc::new(|event: &annals::EventRef<'_>| event.header().entity() == "person:7");
    /// let config = CompactionConfig::new(CompactionStrategy::Erase(of_person)).with_seal_active(true);
    /// let done = store.compact(&config, |_| ControlFlow::Continue(()))?;
    ///
    /// assert_eq!(done.erased_events, 1);
    /// assert!(store.get(receipt.id)?.payload.is_erased());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn compact(
        &self,
        config: &CompactionConfig,
        mut progress: impl FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<CompactionProgress, StoreError> {
        let _alone = self.inner.compacting.lock();
        let committer = &self.inner.committer;
        let mut sums = CompactionProgress::default();
        let mut config = config.clone();
        let mut from = Sequence::ZERO;
        loop {
            let next = committer.with_log(|log| log.begin_compaction(&config, from))?;
            let Some(compaction) = next else { break };
            // What is appended from now on is for the next call, else this one might never end.
            config.seal_active = false;
            from = compaction.end();
            let mut stopped = false;
            let compacted = compaction.run(|now| {
                let told = progress(now);
                stopped = told.is_break();
                told
            })?;
            if let Some(compacted) = compacted {
                let done = committer.with_log(|log| log.finish_compaction(&compacted))?;
                sums.read_bytes += done.read_bytes;
                sums.total_bytes += done.total_bytes;
                sums.kept_events += done.kept_events;
                sums.dropped_events += done.dropped_events;
                sums.erased_events += done.erased_events;
            }
            if stopped {
                break;
            }
        }
        Ok(sums)
    }
}
