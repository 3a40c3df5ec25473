//! Compaction of a running store.

use crate::cancel::Cancel;
use crate::store::{Inner, Store};
use annals_core::{CompactionConfig, CompactionProgress, Sequence, Storage, StoreError};
use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

impl<S: Storage> Store<S> {
    /// Writes sealed segments anew: fewer and larger ones, without events that are no longer
    /// wanted, or without payloads that must go. Appends and readers go on beside it; sequences,
    /// versions, ids and hashes stay.
    ///
    /// `progress` hears of every quarter of a MiB, of each output on its own, and may stop it: what
    /// is finished by then stays. It waits to keep within `bytes_per_second`. One compaction or
    /// erasure runs at a time; a second call waits for the first. Returns the sums over all outputs.
    /// Erasing for good, with a record of it, is [`erase`](Store::erase).
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
        progress: impl FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<CompactionProgress, StoreError> {
        self.compact_until(config, &Cancel::new(), progress)
    }

    /// As [`compact`](Store::compact), until another thread calls it off. Outputs that are finished
    /// by then stay, and the sums say what was done.
    ///
    /// # Errors
    ///
    /// As [`compact`](Store::compact).
    pub fn compact_until(
        &self,
        config: &CompactionConfig,
        cancel: &Cancel,
        mut progress: impl FnMut(&CompactionProgress) -> ControlFlow<()>,
    ) -> Result<CompactionProgress, StoreError> {
        compact(&self.inner, config, cancel, &mut progress)
    }
}

/// Runs every compaction that `config` asks for.
pub(super) fn compact<S: Storage>(
    inner: &Inner<S>,
    config: &CompactionConfig,
    cancel: &Cancel,
    progress: &mut dyn FnMut(&CompactionProgress) -> ControlFlow<()>,
) -> Result<CompactionProgress, StoreError> {
    let _alone = inner.compacting.lock();
    let committer = &inner.committer;
    let mut sums = CompactionProgress::default();
    let mut pace = Pace::new(config.bytes_per_second);
    let mut config = config.clone();
    // What is appended from now on is for the next call, else this one might never end.
    let until = committer.feed().end();
    let mut from = Sequence::ZERO;
    while from < until && !cancel.is_cancelled() {
        let next = committer.with_log(|log| log.begin_compaction(&config, from))?;
        let Some(compaction) = next else { break };
        config.seal_active = false;
        from = compaction.end();
        let mut stopped = false;
        pace.begin();
        let compacted = compaction.run(|now| {
            stopped = progress(now).is_break() || pace.wait(now, cancel);
            if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        if let Some(compacted) = compacted {
            let done = committer.with_log(|log| log.finish_compaction(&compacted))?;
            sums.add(&done);
        }
        if stopped {
            break;
        }
    }
    Ok(sums)
}

/// Keeps a rate by waiting.
struct Pace {
    bytes_per_second: Option<NonZeroU64>,
    /// Bytes of this compaction that were paid for.
    paid_bytes: u64,
    /// When the next bytes are due.
    due: Instant,
}

impl Pace {
    fn new(bytes_per_second: Option<NonZeroU64>) -> Self {
        Pace { bytes_per_second, paid_bytes: 0, due: Instant::now() }
    }

    /// Another compaction counts from the beginning.
    fn begin(&mut self) {
        self.paid_bytes = 0;
    }

    /// Waits until so many bytes are due; `true` where it was called off meanwhile.
    fn wait(&mut self, now: &CompactionProgress, cancel: &Cancel) -> bool {
        let Some(limit) = self.bytes_per_second else { return cancel.is_cancelled() };
        let bytes = now.looked_bytes + now.read_bytes;
        let fresh = bytes.saturating_sub(self.paid_bytes);
        self.paid_bytes = bytes;
        let nanos = u128::from(fresh) * 1_000_000_000 / u128::from(limit.get());
        // A day for a step is as good as for ever.
        let span = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).min(DAY);
        // Time that was lost is not caught up with: the limit holds in every second.
        self.due = self.due.max(Instant::now()) + span;
        cancel.wait_until(self.due)
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
