//! Appending.

use crate::store::Store;
use crate::store::ticket::{BatchTicket, Ticket};
use annals_core::{
    Append, AppendOptions, AppendReceipt, Batch, Coordinate, EventId, EventKind, EventPayload,
    IntoPayload, Sequence, Storage, StoreError,
};

impl<S> Store<S>
where
    S: Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    /// Appends one event and waits until it is committed, and on stable storage under
    /// [`Durability::Durable`](crate::Durability::Durable).
    ///
    /// `payload` is any `&T` that serializes, stored as postcard, or a
    /// [`Payload`](crate::Payload) in a format of your choice.
    ///
    /// # Errors
    ///
    /// Limits, a reserved kind, a payload that does not encode, storage errors,
    /// [`StoreError::Poisoned`] after a failed sync.
    pub fn append(
        &self,
        at: &Coordinate,
        kind: EventKind,
        payload: impl IntoPayload,
    ) -> Result<AppendReceipt, StoreError> {
        self.append_with_options(at, kind, payload, AppendOptions::default())
    }

    /// Appends one event whose type says its kind, name, version and format.
    ///
    /// # Errors
    ///
    /// As [`append`](Store::append); [`StoreError::NameConflict`] where the store knows the kind
    /// by another name, or the name for another kind.
    pub fn append_typed<T: EventPayload>(
        &self,
        at: &Coordinate,
        payload: &T,
    ) -> Result<AppendReceipt, StoreError> {
        self.append_typed_with_options(at, payload, AppendOptions::default())
    }

    /// As [`append_typed`](Store::append_typed), with options.
    ///
    /// # Errors
    ///
    /// As [`append_typed`](Store::append_typed) and
    /// [`append_with_options`](Store::append_with_options).
    pub fn append_typed_with_options<T: EventPayload>(
        &self,
        at: &Coordinate,
        payload: &T,
        options: AppendOptions,
    ) -> Result<AppendReceipt, StoreError> {
        self.name_kind_of::<T>()?;
        self.append_one(
            Append::new(at.clone(), T::KIND, payload.to_payload()?).with_options(options),
        )
    }

    /// Appends an event that another one caused.
    ///
    /// # Errors
    ///
    /// As [`append`](Store::append).
    pub fn append_reaction(
        &self,
        at: &Coordinate,
        kind: EventKind,
        payload: impl IntoPayload,
        correlation: EventId,
        causation: EventId,
    ) -> Result<AppendReceipt, StoreError> {
        let options =
            AppendOptions::default().with_correlation(correlation).with_causation(causation);
        self.append_with_options(at, kind, payload, options)
    }

    /// Appends one event with an expected version, an idempotency key, a condition, metadata and
    /// whatever else [`AppendOptions`] has.
    ///
    /// # Errors
    ///
    /// As [`append`](Store::append); [`StoreError::VersionConflict`],
    /// [`StoreError::IdempotencyConflict`] and [`StoreError::ConditionFailed`] where an option
    /// does not hold.
    pub fn append_with_options(
        &self,
        at: &Coordinate,
        kind: EventKind,
        payload: impl IntoPayload,
        options: AppendOptions,
    ) -> Result<AppendReceipt, StoreError> {
        self.append_one(
            Append::new(at.clone(), kind, payload.into_payload()?).with_options(options),
        )
    }

    /// Appends a batch: all of it or nothing, over any number of entities.
    ///
    /// # Errors
    ///
    /// As [`append_with_options`](Store::append_with_options), for any of its items.
    pub fn append_batch(&self, batch: Batch) -> Result<Vec<AppendReceipt>, StoreError> {
        self.inner.committer.append(batch)
    }

    /// Hands an append to the store and returns at once, or when the queue has room. The receipt
    /// comes through the ticket.
    ///
    /// # Errors
    ///
    /// [`StoreError::Closed`]. What is wrong with the append itself comes through the ticket.
    pub fn submit(&self, append: Append) -> Result<Ticket, StoreError> {
        let batch = self.submit_batch(Batch::new().push(append))?;
        Ok(Ticket { batch })
    }

    /// As [`submit`](Store::submit), but never waits.
    ///
    /// # Errors
    ///
    /// [`StoreError::QueueFull`] where `write_queue_capacity` appends wait already;
    /// [`StoreError::Closed`].
    pub fn try_submit(&self, append: Append) -> Result<Ticket, StoreError> {
        self.start_leader()?;
        let request = self.inner.committer.try_submit(Batch::new().push(append))?;
        Ok(Ticket { batch: BatchTicket { request } })
    }

    /// As [`submit`](Store::submit), for a batch.
    ///
    /// # Errors
    ///
    /// As [`submit`](Store::submit).
    pub fn submit_batch(&self, batch: Batch) -> Result<BatchTicket, StoreError> {
        self.start_leader()?;
        let request = self.inner.committer.submit(batch)?;
        Ok(BatchTicket { request })
    }

    /// Puts everything acknowledged on stable storage; returns the sequence behind it.
    ///
    /// # Errors
    ///
    /// A storage error, after which the writer is poisoned.
    pub fn sync(&self) -> Result<Sequence, StoreError> {
        self.inner.committer.sync()
    }

    /// Names a kind, for good. Appending a typed event does so by itself.
    ///
    /// # Errors
    ///
    /// As [`Log::name_kind`](crate::Log::name_kind): [`StoreError::NameConflict`] where the kind
    /// has another name or the name another kind, [`StoreError::KindName`] for a text that is no
    /// name, storage errors.
    pub fn name_kind(&self, kind: EventKind, name: &str) -> Result<(), StoreError> {
        self.inner.committer.with_log(|log| log.name_kind(kind, name))
    }

    /// The kind that has a name; a name that is new gets a number that is free.
    ///
    /// # Errors
    ///
    /// As [`Log::kind_for_name`](crate::Log::kind_for_name).
    pub fn kind_for_name(&self, name: &str) -> Result<EventKind, StoreError> {
        self.inner.committer.with_log(|log| log.kind_for_name(name))
    }

    /// Registers the name that a type gives its kind, the first time that this handle meets it.
    pub(super) fn name_kind_of<T: EventPayload>(&self) -> Result<(), StoreError> {
        let Some(name) = T::NAME else { return Ok(()) };
        if self.names.read().get(&T::KIND) == Some(&name) {
            return Ok(());
        }
        self.name_kind(T::KIND, name)?;
        self.names.write().insert(T::KIND, name);
        Ok(())
    }

    pub(super) fn append_one(&self, append: Append) -> Result<AppendReceipt, StoreError> {
        let receipts = self.inner.committer.append(Batch::new().push(append))?;
        Ok(receipts.into_iter().next().expect("one receipt for one event"))
    }
}
