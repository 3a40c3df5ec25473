//! What the checkpoint of a consumer says: how far it came, and of which events.
//!
//! The value is JSON with named fields, so that a later version may know more filters and still
//! tell whether a consumer's region is the one that it had.

use crate::log::StoreError;
use crate::log::config::Host;
use crate::log::meta::{CheckpointName, MetaSync};
use crate::log::writer::Log;
use crate::model::{CodecError, Payload, PayloadFormat, Region, Sequence};
use crate::storage::Storage;
use serde::{Deserialize, Serialize};

/// How far a consumer came in the events of its region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerCheckpoint {
    /// The last sequence that is done with; `None` at the log's beginning.
    pub after: Option<Sequence>,
    /// Which events it takes.
    pub region: Region,
}

impl<S: Storage, H: Host> Log<S, H> {
    /// The checkpoint of a consumer; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Codec`] where its value is none of a consumer's: something else was set
    /// under that name.
    pub fn consumer_checkpoint(
        &self,
        name: &str,
    ) -> Result<Option<ConsumerCheckpoint>, StoreError> {
        let value = self.checkpoint(CheckpointName::consumer(name));
        value.map(|value| Ok(decode(value)?)).transpose()
    }

    /// Sets the checkpoint of a consumer; see [`set_checkpoint`](Log::set_checkpoint).
    ///
    /// # Errors
    ///
    /// As [`set_checkpoint`](Log::set_checkpoint).
    ///
    /// # Examples
    ///
    /// ```
    /// # use annals_core::{Host, Log, LogConfig, MemoryStorage};
    /// # struct Fixed;
    /// # impl Host for Fixed {
    /// #     fn now_us(&self) -> i64 { 0 }
    /// #     fn fill_random(&self, buffer: &mut [u8]) { buffer.fill(7) }
    /// # }
    /// # let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
    /// use annals_core::{ConsumerCheckpoint, MetaSync, Region, Sequence};
    ///
    /// let region = Region::all().scope("shop");
    /// let mailer = ConsumerCheckpoint { after: Some(Sequence::new(41)), region };
    /// log.set_consumer_checkpoint("mailer", &mailer, MetaSync::Now)?;
    /// assert_eq!(log.consumer_checkpoint("mailer")?, Some(mailer));
    /// # Ok::<(), annals_core::StoreError>(())
    /// ```
    pub fn set_consumer_checkpoint(
        &mut self,
        name: &str,
        checkpoint: &ConsumerCheckpoint,
        sync: MetaSync,
    ) -> Result<(), StoreError> {
        let value = Payload::json(checkpoint)?;
        let bytes = value.bytes().unwrap_or_default();
        self.set_checkpoint(CheckpointName::consumer(name), bytes, sync)
    }
}

fn decode(value: alloc::vec::Vec<u8>) -> Result<ConsumerCheckpoint, CodecError> {
    Payload::from_parts(PayloadFormat::Json, 1, value).decode()
}
