//! What a cache of projections is asked for, the keys it is asked by, and how it may fail.

use super::{CheckpointCache, EventSourced};
use crate::model::{Hash, Region};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::error::Error;
use core::fmt;

/// Keeps entries by key. It may forget any at any time, and fail: that costs time, nothing else.
///
/// An entry is opaque. It carries its own checksum and everything that says whether it is good, so
/// a cache needs neither be durable nor checked. `projection_cache_contract` in the tests says
/// what one must do.
pub trait ProjectionCache {
    /// The entry last put under a key, if it was not forgotten.
    ///
    /// # Errors
    ///
    /// Whatever fails. The projection is made anew then.
    fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError>;

    /// Keeps an entry in place of the one before.
    ///
    /// # Errors
    ///
    /// Whatever fails. The entry before may be left or gone.
    fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError>;

    /// Forgets the entry under a key, if there is one.
    ///
    /// # Errors
    ///
    /// Whatever fails.
    fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError>;

    /// The entries that the store itself is to keep: those of a [`CheckpointCache`], by which a
    /// store that is given any cache knows. No other cache needs this.
    fn as_checkpoints(&self) -> Option<&CheckpointCache> {
        None
    }
}

macro_rules! forward_through_pointer {
    ($($pointer:ty),*) => {$(
        impl<C: ProjectionCache + ?Sized> ProjectionCache for $pointer {
            fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
                (**self).get(key)
            }

            fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError> {
                (**self).put(key, entry)
            }

            fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError> {
                (**self).remove(key)
            }

            fn as_checkpoints(&self) -> Option<&CheckpointCache> {
                (**self).as_checkpoints()
            }
        }
    )*};
}

forward_through_pointer!(&C, Box<C>, Rc<C>, Arc<C>);

/// The cache that keeps nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoCache;

impl ProjectionCache for NoCache {
    fn get(&self, _key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
        Ok(None)
    }

    fn put(&self, _key: &ProjectionKey, _entry: &[u8]) -> Result<(), CacheError> {
        Ok(())
    }

    fn remove(&self, _key: &ProjectionKey) -> Result<(), CacheError> {
        Ok(())
    }
}

/// What an entry belongs to: a projection, its version, and an entity or a region.
///
/// ```text
/// name_len u32 LE | name | version u32 LE | 0 | entity
///                                         | 1 | BLAKE3 of the region [32]
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectionKey {
    bytes: Vec<u8>,
}

const OF_ENTITY: u8 = 0;
const OF_REGION: u8 = 1;

impl ProjectionKey {
    /// The key of a projection of one entity.
    #[must_use]
    pub fn entity<T: EventSourced>(entity: &str) -> Self {
        ProjectionKey::new::<T>(OF_ENTITY, entity.as_bytes())
    }

    /// The key of a projection of a region.
    ///
    /// # Panics
    ///
    /// Never: a region is always encoded.
    #[must_use]
    pub fn region<T: EventSourced>(region: &Region) -> Self {
        let bytes = postcard::to_allocvec(region).expect("a region is plain data");
        ProjectionKey::new::<T>(OF_REGION, blake3::hash(&bytes).as_bytes())
    }

    fn new<T: EventSourced>(tag: u8, of: &[u8]) -> Self {
        let name_len = u32::try_from(T::NAME.len()).expect("a projection's name is short");
        let mut bytes = Vec::with_capacity(9 + T::NAME.len() + of.len());
        bytes.extend_from_slice(&name_len.to_le_bytes());
        bytes.extend_from_slice(T::NAME.as_bytes());
        bytes.extend_from_slice(&T::VERSION.to_le_bytes());
        bytes.push(tag);
        bytes.extend_from_slice(of);
        ProjectionKey { bytes }
    }

    /// The key as bytes, other for every other key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key as 32 bytes, for caches that limit the length of keys.
    #[must_use]
    pub fn digest(&self) -> Hash {
        Hash::from_bytes(*blake3::hash(&self.bytes).as_bytes())
    }
}

/// A cache that could not do what it was asked.
#[derive(Debug)]
pub struct CacheError {
    reason: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl CacheError {
    /// An error with a reason, in lower case and without a full stop.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        CacheError { reason: reason.into(), source: None }
    }

    /// Keeps the cache's own error as the [`source`](Error::source).
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

impl fmt::Display for CacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the projection cache failed: {}", self.reason)
    }
}

impl Error for CacheError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

/// Why a cache was of no use to a projection. The answer was right all the same.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheFault {
    /// The cache failed.
    #[error(transparent)]
    Failed(#[from] CacheError),
    /// The entry is not one of this library, is damaged, or belongs to another key.
    #[error("the cached entry is damaged or of another key")]
    Damaged,
    /// The entry was made from another store.
    #[error("the cached entry is of another store")]
    OtherStore,
    /// The entry has looked at events that this reader does not see.
    #[error("the cached entry is ahead of the reader")]
    Ahead,
    /// The entry has looked at events that the log has lost since, or changed.
    #[error("the cached entry is of events that the log no longer has")]
    OtherHistory,
    /// A compaction has erased or dropped events that the entry was, or may have been, made from.
    #[error("the cached entry is from before a compaction that erased or dropped events")]
    Rewritten,
    /// The state in the entry is none of this projection: its code has changed, and not its
    /// version.
    #[error("the cached state is not one of this projection")]
    OtherState,
    /// The state can't be encoded.
    #[error("the state can't be encoded: {reason}")]
    NotEncoded {
        /// What the encoder said.
        reason: String,
    },
    /// The cached state could not take in the new events, and was dropped.
    #[error("the cached state could not be brought up to date")]
    NotAdvanced,
}
