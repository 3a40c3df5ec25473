//! Reading. Every call sees all that was committed before it.

use crate::parallel::verify_parallel;
use crate::store::Store;
use annals_core::{
    Ancestors, CausalWalk, Cursor, Event, EventId, EventKind, LogDiagnostics, LogStats, Query,
    Reader, Region, Sequence, Storage, StoreError, StreamHead, VerifyOptions, VerifyProgress,
    VerifyReport,
};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

impl<S: Storage> Store<S> {
    /// One consistent prefix of the log, for as long as it is held. Cheap.
    pub fn reader(&self) -> Reader<Arc<S>> {
        self.inner.committer.reader()
    }

    /// The event with an id. An erased one comes with
    /// [`Payload::Erased`](crate::Payload::Erased).
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] where there is none; storage errors and corruption.
    pub fn get(&self, id: EventId) -> Result<Event, StoreError> {
        self.reader().get(id)
    }

    /// The event at a sequence.
    ///
    /// # Errors
    ///
    /// [`StoreError::SequenceNotFound`] where there is none; storage errors and corruption.
    pub fn get_at(&self, sequence: Sequence) -> Result<Event, StoreError> {
        self.reader().get_at(sequence)
    }

    /// The events of a region in sequence order, lazily; see [`Query`] for newest first and a
    /// limit.
    pub fn query(&self, region: &Region) -> Query<Arc<S>> {
        self.reader().query(region)
    }

    /// The events of one entity, by version.
    pub fn stream(&self, entity: &str) -> Query<Arc<S>> {
        self.reader().stream(entity)
    }

    /// The events of one scope.
    pub fn by_scope(&self, scope: &str) -> Query<Arc<S>> {
        self.query(&Region::all().scope(scope))
    }

    /// The events of one kind.
    pub fn by_fact(&self, kind: EventKind) -> Query<Arc<S>> {
        self.query(&Region::all().kind(kind))
    }

    /// The newest version of a stream; `None` where it has no event.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn head(&self, entity: &str) -> Result<Option<StreamHead>, StoreError> {
        self.reader().head(entity)
    }

    /// An event and those before it in its stream, newest first, along the hash chain.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`]; [`StoreError::Corruption`] where the chain is broken; storage
    /// errors.
    pub fn walk_ancestors(&self, id: EventId, limit: usize) -> Result<Ancestors, StoreError> {
        self.reader().walk_ancestors(id, limit)
    }

    /// The name of a kind; `None` where it has none.
    pub fn kind_name(&self, kind: EventKind) -> Option<Arc<str>> {
        self.reader().kind_name(kind)
    }

    /// The kind that has a name; `None` where none has.
    pub fn kind_named(&self, name: &str) -> Option<EventKind> {
        self.reader().kind_named(name)
    }

    /// All kinds that have names, in the order of their numbers.
    pub fn kind_names(&self) -> Vec<(EventKind, Arc<str>)> {
        self.reader().kind_names()
    }

    /// A place in a region, before its first event: poll it with [`Store::reader`].
    pub fn cursor(&self, region: &Region) -> Cursor {
        Cursor::at(region.clone(), None)
    }

    /// What led to an event: its causation, that one's, and so on, `limit` events at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`]; storage errors and corruption.
    pub fn causes(&self, id: EventId, limit: usize) -> Result<CausalWalk, StoreError> {
        self.reader().causes(id, limit)
    }

    /// What an event led to, directly and further on, `limit` events at most.
    ///
    /// # Errors
    ///
    /// As [`causes`](Store::causes).
    pub fn effects(&self, id: EventId, limit: usize) -> Result<CausalWalk, StoreError> {
        self.reader().effects(id, limit)
    }

    /// The events with a correlation id, `limit` at most.
    ///
    /// # Errors
    ///
    /// As [`causes`](Store::causes).
    pub fn correlated(&self, id: EventId, limit: usize) -> Result<CausalWalk, StoreError> {
        self.reader().correlated(id, limit)
    }

    /// Numbers about the store. Counting entities reads the names in every segment.
    ///
    /// # Errors
    ///
    /// Storage errors and corruption.
    pub fn stats(&self) -> Result<LogStats, StoreError> {
        let waiting = self.inner.committer.waiting_events();
        let mut stats = self.reader().stats()?;
        stats.accepted_end = stats.end.checked_add(waiting).unwrap_or(stats.end);
        Ok(stats)
    }

    /// What the store holds in memory, and what it found damaged and mended.
    pub fn diagnostics(&self) -> LogDiagnostics {
        self.reader().diagnostics()
    }
}

impl<S> Store<S>
where
    S: Storage + Send + Sync,
    S::File: Send + Sync,
{
    /// Proves every byte of the store against every other, on as many threads as the machine runs
    /// at once; see [`verify_parallel`] for fewer. `progress` may stop it.
    pub fn verify(
        &self,
        options: &VerifyOptions,
        progress: impl FnMut(VerifyProgress) -> ControlFlow<()>,
    ) -> VerifyReport {
        let jobs = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        verify_parallel(&self.reader(), options, jobs, progress)
    }
}
