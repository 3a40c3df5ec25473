//! Named checkpoints: how far a consumer came, and what a projection has computed.
//!
//! The key of the meta log is a namespace and the name: `c/` for consumers, `p/` for projections
//! (`k/` is for the names of kinds), so that no two kinds of users ever see each other's bytes.
//! What a value means is its user's business.

use crate::format::meta::{META_KEY_LEN_MAX, META_VALUE_LEN_MAX};
use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::meta::{Change, MetaSync};
use crate::log::writer::Log;
use crate::model::LimitError;
use crate::storage::Storage;
use alloc::vec;
use alloc::vec::Vec;

/// Whose checkpoint, and its name: 1 to 1,022 bytes.
///
/// ```
/// # use annals_core::CheckpointName;
/// // A consumer and a projection of one name are different checkpoints.
/// assert_ne!(CheckpointName::consumer("balance"), CheckpointName::projection(b"balance"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CheckpointName<'a> {
    namespace: Namespace,
    name: &'a [u8],
}

/// What the keys of projections begin with.
pub(super) const PROJECTION_PREFIX: &[u8] = b"p/";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Namespace {
    Consumer,
    Projection,
}

impl Namespace {
    const fn prefix(self) -> &'static [u8] {
        match self {
            Namespace::Consumer => b"c/",
            Namespace::Projection => PROJECTION_PREFIX,
        }
    }
}

impl<'a> CheckpointName<'a> {
    /// The most bytes of a name.
    pub const LEN_MAX: usize = META_KEY_LEN_MAX - 2;

    /// The checkpoint of a consumer.
    #[must_use]
    pub const fn consumer(name: &'a str) -> Self {
        CheckpointName { namespace: Namespace::Consumer, name: name.as_bytes() }
    }

    /// The checkpoint of a projection: what its type, its version and the entity make.
    #[must_use]
    pub const fn projection(name: &'a [u8]) -> Self {
        CheckpointName { namespace: Namespace::Projection, name }
    }

    fn key(&self) -> Vec<u8> {
        [self.namespace.prefix(), self.name].concat()
    }

    fn check(&self) -> Result<(), StoreError> {
        if (1..=Self::LEN_MAX).contains(&self.name.len()) {
            return Ok(());
        }
        let limit = "checkpoint name bytes (at least 1)";
        Err(LimitError::new(limit, Self::LEN_MAX, self.name.len()).into())
    }
}

impl<S: Storage, H: Host> Log<S, H> {
    /// The value of a checkpoint; `None` where it was never set, or was removed.
    #[must_use]
    pub fn checkpoint(&self, name: CheckpointName<'_>) -> Option<Vec<u8>> {
        self.meta.values().get(&name.key()).map(<[u8]>::to_vec)
    }

    /// The names of all consumers that have a checkpoint, in their order.
    pub fn consumer_names(&self) -> impl Iterator<Item = &str> {
        let names = self.meta.values().behind(Namespace::Consumer.prefix());
        names.filter_map(|(name, _)| core::str::from_utf8(name).ok())
    }

    /// The names and values of all checkpoints of projections, by name.
    pub fn projection_checkpoints(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.meta.values().behind(Namespace::Projection.prefix())
    }

    /// Sets a checkpoint to a value of up to 64 KiB.
    ///
    /// Whoever writes down how far it has read should see to it that those events are on stable
    /// storage first: under another durability than the default one, a checkpoint can survive a
    /// power cut that the events before it don't.
    ///
    /// # Errors
    ///
    /// [`StoreError::Limit`] for a name or a value that is too long. A storage error: the
    /// checkpoint is as it was, and setting it may be tried again. After a failed sync every
    /// later write to the meta log answers [`StoreError::Poisoned`]; appends go on.
    ///
    /// # Examples
    ///
    /// ```
    /// # use annals_core::{CheckpointName, Host, Log, LogConfig, MemoryStorage, MetaSync};
    /// # struct Fixed;
    /// # impl Host for Fixed {
    /// #     fn now_us(&self) -> i64 { 0 }
    /// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7) }
    /// # }
    /// let mailer = CheckpointName::consumer("mailer");
    /// let storage = MemoryStorage::new();
    /// let mut log = Log::open(storage.clone(), Fixed, LogConfig::default())?;
    /// assert_eq!(log.checkpoint(mailer), None);
    /// log.set_checkpoint(mailer, b"42", MetaSync::Now)?;
    /// drop(log);
    ///
    /// let log = Log::open(storage, Fixed, LogConfig::default())?;
    /// assert_eq!(log.checkpoint(mailer).as_deref(), Some(&b"42"[..]));
    /// # Ok::<(), annals_core::StoreError>(())
    /// ```
    pub fn set_checkpoint(
        &mut self,
        name: CheckpointName<'_>,
        value: &[u8],
        sync: MetaSync,
    ) -> Result<(), StoreError> {
        name.check()?;
        LimitError::check("checkpoint bytes", META_VALUE_LEN_MAX, value.len())?;
        self.write_meta(vec![Change { key: name.key(), value: Some(value.to_vec()) }], sync)
    }

    /// Removes a checkpoint; one that isn't there is fine.
    ///
    /// # Errors
    ///
    /// As [`set_checkpoint`](Log::set_checkpoint).
    pub fn remove_checkpoint(
        &mut self,
        name: CheckpointName<'_>,
        sync: MetaSync,
    ) -> Result<(), StoreError> {
        name.check()?;
        self.write_meta(vec![Change { key: name.key(), value: None }], sync)
    }
}
