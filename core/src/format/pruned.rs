//! The mark that retention leaves where it dropped events of one stream.
//!
//! ```text
//! record of state 2    header   postcard: entity | first_version | last_version | last_sequence
//!                      content  prev_hash of the first event dropped [32] | hash of the last [32]
//! ```
//!
//! It stands before the stream's next event in the segment, or at the segment's end, and takes up
//! no sequence. It carries the chain over the gap: the next event of the stream names the second
//! hash, and the stream's versions go on behind `last_version`, also where no event is left.

use super::Fault;
use super::record::{self, RECORD_PREFIX_LEN, RecordRef, RecordState};
use crate::model::{ENTITY_LEN_MAX, Hash, Sequence, Version};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Consecutive events of one stream that are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrunedRun {
    /// The stream.
    pub entity: String,
    /// The version of the first event dropped.
    pub first_version: Version,
    /// The version of the last.
    pub last_version: Version,
    /// The sequence of the last.
    pub last_sequence: Sequence,
    /// The hash that the first one names.
    pub prev_hash: Hash,
    /// The hash of the last.
    pub last_hash: Hash,
}

#[derive(Serialize, Deserialize)]
struct Fields<'a> {
    entity: &'a str,
    first_version: u64,
    last_version: u64,
    last_sequence: u64,
}

impl PrunedRun {
    pub(crate) fn decode(record: &RecordRef<'_>) -> Result<Self, Fault> {
        let fault = |what: &'static str| {
            Fault::new(RECORD_PREFIX_LEN as u64, "the mark of pruned events", what)
        };
        let (fields, rest): (Fields<'_>, _) =
            postcard::take_from_bytes(record.header).map_err(|_| fault("other bytes"))?;
        let hashes = record.content.split_first_chunk::<32>();
        let hashes = hashes.and_then(|(prev, last)| Some((prev, last.try_into().ok()?)));
        let (prev_hash, last_hash): (&[u8; 32], [u8; 32]) =
            hashes.ok_or_else(|| fault("a content that is not two hashes"))?;
        if !rest.is_empty()
            || fields.entity.is_empty()
            || fields.entity.len() > ENTITY_LEN_MAX
            || fields.first_version > fields.last_version
        {
            return Err(fault("fields out of range"));
        }
        Ok(PrunedRun {
            entity: fields.entity.into(),
            first_version: Version::new(fields.first_version),
            last_version: Version::new(fields.last_version),
            last_sequence: Sequence::new(fields.last_sequence),
            prev_hash: Hash::from_bytes(*prev_hash),
            last_hash: Hash::from_bytes(last_hash),
        })
    }

    /// Appends the record of the mark to `out`.
    pub(crate) fn encode(&self, out: &mut Vec<u8>, salt: u32) {
        let start = record::begin(out);
        let fields = Fields {
            entity: &self.entity,
            first_version: self.first_version.get(),
            last_version: self.last_version.get(),
            last_sequence: self.last_sequence.get(),
        };
        let header = postcard::to_allocvec(&fields).expect("plain fields have an encoding");
        out.extend_from_slice(&header);
        let content_at = out.len();
        out.extend_from_slice(self.prev_hash.as_bytes());
        out.extend_from_slice(self.last_hash.as_bytes());
        record::finish(out, start, content_at, RecordState::Pruned, salt);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back() {
        let run = PrunedRun {
            entity: "order:5".into(),
            first_version: Version::new(3),
            last_version: Version::new(900),
            last_sequence: Sequence::new(70_000),
            prev_hash: Hash::from_bytes([8; 32]),
            last_hash: Hash::from_bytes([9; 32]),
        };
        let mut bytes = Vec::new();
        run.encode(&mut bytes, 5);
        let record = RecordRef::parse_checked(&bytes, 5).unwrap();
        assert_eq!(PrunedRun::decode(&record), Ok(run));
    }
}
