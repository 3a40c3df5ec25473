//! What can go wrong between a caller and the log.

use crate::format::Fault;
use crate::format::segment::HeaderFault;
use crate::log::names::KindNameError;
use crate::model::{
    CodecError, EventId, EventKind, ExpectedVersion, LimitError, Sequence, Version,
};
use crate::storage::{FileId, StorageError};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;

/// Stored bytes that are not what they must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at byte {offset}: expected {expected}, found {found}")]
pub struct Corruption {
    /// The file.
    pub file: FileId,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What the format asks for at that place.
    pub expected: Cow<'static, str>,
    /// What stands there.
    pub found: Cow<'static, str>,
}

impl Corruption {
    pub(crate) fn new(
        file: FileId,
        offset: u64,
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
    ) -> Self {
        Corruption { file, offset, expected: expected.into(), found: found.into() }
    }

    /// A fault in a file, `base` bytes behind where the fault counts from.
    pub(crate) fn at(file: FileId, base: u64, fault: Fault) -> Self {
        let fault = fault.behind(base);
        Corruption::new(file, fault.offset, fault.expected, fault.found)
    }
}

/// Why the store did not do what it was asked for.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The stream is not at the version that the append expects. Nothing was written: read the
    /// stream again and decide anew.
    #[error("{entity} is at {}, but {expected} was expected", At(*actual))]
    VersionConflict {
        /// The stream.
        entity: String,
        /// What the append expects.
        expected: ExpectedVersion,
        /// The version of the stream's newest event; `None` where it has none.
        actual: Option<Version>,
    },
    /// The idempotency key belongs to an event with another address, kind or payload.
    #[error("the idempotency key {id} belongs to event {sequence}, which differs from this one")]
    IdempotencyConflict {
        /// The key, which is that event's id.
        id: EventId,
        /// The event that has it.
        sequence: Sequence,
    },
    /// An event stands in the region that an append condition wants empty.
    #[error("event {sequence} stands in the region that the append condition wants empty")]
    ConditionFailed {
        /// The first such event.
        sequence: Sequence,
    },
    /// Kinds of the categories 0x0 and 0xD are the store's own.
    #[error("the kind {kind} is reserved for the store: use a category of 0x1 to 0xC, 0xE or 0xF")]
    ReservedKind {
        /// The kind.
        kind: EventKind,
    },
    /// A batch contradicts itself.
    #[error("item {item} of the batch {reason}")]
    InvalidBatch {
        /// The item, from 0.
        item: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Something exceeds a limit.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A payload could not be encoded or decoded.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// No event has this id.
    #[error("no event has the id {0}")]
    NotFound(EventId),
    /// No event has this sequence: it is behind the end, or was pruned.
    #[error("no event has the sequence {0}")]
    SequenceNotFound(Sequence),
    /// Stored bytes are damaged.
    #[error(transparent)]
    Corruption(#[from] Box<Corruption>),
    /// A newer version of Annals wrote this file: open it with that version.
    #[error("{file} has format version {found}; this version of Annals reads up to {supported}")]
    NewerFormat {
        /// The file.
        file: FileId,
        /// Its format version.
        found: u16,
        /// The newest that this library reads.
        supported: u16,
    },
    /// The storage failed. Nothing is half-visible; the append may be tried again.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A sync failed, so nobody knows what is on stable storage: no append is taken until the
    /// store is opened again. Reading goes on.
    #[error("a sync failed earlier ({cause}): open the store again to recover")]
    Poisoned {
        /// The failure.
        cause: StorageError,
    },
    /// Another writer has the store.
    #[error("another writer has the store at {store} open: close it, or open this one read-only")]
    Locked {
        /// Where the store is.
        store: String,
    },
    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
    /// The commit panicked and the writer was rebuilt from storage. Whether this append was
    /// written is not known: read before trying again, or use an idempotency key.
    #[error("the commit was interrupted by a panic ({message}): read before trying again")]
    Interrupted {
        /// What the panic said.
        message: String,
    },
    /// The writer panicked more often than its restart policy forgives. Reading goes on.
    #[error(
        "the writer crashed ({message}) and its restart policy is used up: open the store again"
    )]
    WriterCrashed {
        /// What the last panic said.
        message: String,
    },
    /// More appends wait than `write_queue_capacity`: wait for some, then try again.
    #[error("{capacity} appends wait already: try again when some are done")]
    QueueFull {
        /// The queue's capacity.
        capacity: usize,
    },
    /// A kind has another name, or a name another kind, already.
    #[error("the kind {kind} can't be named {name}: one of them belongs to {known} already")]
    NameConflict {
        /// The kind.
        kind: EventKind,
        /// The name that was to be registered.
        name: String,
        /// What the store knows: the kind's name, or the kind that has the name.
        known: String,
    },
    /// A projection could not take in an event.
    #[error("the projection {projection} could not take in event {sequence}")]
    Projection {
        /// The projection's name.
        projection: &'static str,
        /// The event.
        sequence: Sequence,
        /// What decoding it said.
        #[source]
        cause: CodecError,
    },
    /// A text can't be the name of a kind.
    #[error(transparent)]
    KindName(#[from] KindNameError),
    /// Something else about a call is wrong.
    #[error("{0}")]
    InvalidInput(String),
}

impl StoreError {
    pub(crate) fn corruption(file: FileId, base: u64, fault: Fault) -> Self {
        Corruption::at(file, base, fault).into()
    }

    pub(crate) fn header(file: FileId, fault: HeaderFault) -> Self {
        match fault {
            HeaderFault::Fault(fault) => StoreError::corruption(file, 0, fault),
            HeaderFault::NewerFormat { found } => {
                StoreError::NewerFormat { file, found, supported: crate::format::FORMAT_VERSION }
            }
        }
    }
}

impl From<Corruption> for StoreError {
    fn from(corruption: Corruption) -> Self {
        StoreError::Corruption(Box::new(corruption))
    }
}

impl From<core::convert::Infallible> for StoreError {
    fn from(never: core::convert::Infallible) -> Self {
        match never {}
    }
}

/// How a stream's newest version reads in a sentence.
struct At(Option<Version>);

impl core::fmt::Display for At {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0 {
            Some(version) => write!(f, "version {version}"),
            None => f.write_str("no version, as it has no event"),
        }
    }
}
