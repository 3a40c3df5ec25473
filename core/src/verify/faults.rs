//! What can be wrong with a store, and the collection of the first of each kind.

use crate::format::Fault;
use crate::storage::{FileId, StorageError, StorageErrorKind};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use serde::{Serialize, Serializer};

/// What kind of thing is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FaultKind {
    /// The storage failed, so that bytes could not be looked at.
    Unreadable,
    /// A file is shorter or longer than it must be.
    FileLength,
    /// A segment's header.
    SegmentHeader,
    /// A segment's footer, or what it says of the segment.
    SegmentFooter,
    /// A frame: marker, length, CRC.
    Frame,
    /// A frame says that bytes are on stable storage which come behind it.
    SyncedLength,
    /// Bytes between frames are not zero.
    Padding,
    /// A record: length, state, CRC, or how its content is laid out.
    Record,
    /// The header of an event.
    EventHeader,
    /// Sequences have a gap, or go back.
    Sequence,
    /// The hybrid logical clock does not rise.
    Clock,
    /// The versions of a stream have a gap, or go back.
    StreamVersion,
    /// An event does not name the hash of the event before it in its stream.
    PrevHash,
    /// Two events have one id.
    DuplicateId,
    /// The frames are not those that the footer was written for.
    FramesHash,
    /// A segment does not name the one before it.
    SegmentChain,
    /// A page or the directory of an index block.
    IndexBlock,
    /// An index block says something else than the frames.
    IndexContent,
}

impl FaultKind {
    /// The kind as a word, the same that it is serialized as.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            FaultKind::Unreadable => "unreadable",
            FaultKind::FileLength => "file_length",
            FaultKind::SegmentHeader => "segment_header",
            FaultKind::SegmentFooter => "segment_footer",
            FaultKind::Frame => "frame",
            FaultKind::SyncedLength => "synced_length",
            FaultKind::Padding => "padding",
            FaultKind::Record => "record",
            FaultKind::EventHeader => "event_header",
            FaultKind::Sequence => "sequence",
            FaultKind::Clock => "clock",
            FaultKind::StreamVersion => "stream_version",
            FaultKind::PrevHash => "prev_hash",
            FaultKind::DuplicateId => "duplicate_id",
            FaultKind::FramesHash => "frames_hash",
            FaultKind::SegmentChain => "segment_chain",
            FaultKind::IndexBlock => "index_block",
            FaultKind::IndexContent => "index_content",
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The first fault of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct VerifyFault {
    /// What kind of thing is wrong.
    pub kind: FaultKind,
    /// How many such faults there are.
    pub count: u64,
    /// The file.
    #[serde(serialize_with = "as_text")]
    pub file: FileId,
    /// Where in the file, in bytes.
    pub offset: u64,
    /// What must stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

impl fmt::Display for VerifyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let VerifyFault { kind, count, file, offset, expected, found } = self;
        write!(f, "{kind}: {file} at byte {offset}: expected {expected}, found {found}")?;
        match count {
            0 | 1 => Ok(()),
            more => write!(f, " (the first of {more})"),
        }
    }
}

fn as_text<S: Serializer>(file: &FileId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(file)
}

/// Keeps the first fault of each kind, and counts the others.
#[derive(Debug, Default)]
pub(super) struct Faults {
    first: BTreeMap<FaultKind, VerifyFault>,
}

impl Faults {
    pub(super) fn add(
        &mut self,
        kind: FaultKind,
        file: FileId,
        offset: u64,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        // What is not kept need not be put into words.
        match self.first.get_mut(&kind) {
            Some(first) => first.count += 1,
            None => {
                let (expected, found) = (expected.into(), found.into());
                let fault = VerifyFault { kind, count: 1, file, offset, expected, found };
                self.first.insert(kind, fault);
            }
        }
    }

    /// A fault that the format found, `base` bytes behind where it counts from.
    pub(super) fn add_format(&mut self, kind: FaultKind, file: FileId, base: u64, fault: Fault) {
        let fault = fault.behind(base);
        self.add(kind, file, fault.offset, fault.expected, fault.found);
    }

    /// Bytes from `offset` on that could not be read.
    pub(super) fn add_storage(&mut self, file: FileId, offset: u64, error: &StorageError) {
        let kind = match error.kind() {
            StorageErrorKind::OutOfBounds => FaultKind::FileLength,
            _ => FaultKind::Unreadable,
        };
        self.add(kind, file, offset, "bytes that can be read", error.to_string());
    }

    /// Adds those of the same file, or of a later one.
    pub(super) fn append(&mut self, others: Faults) {
        for (kind, fault) in others.first {
            match self.first.get_mut(&kind) {
                Some(first) => {
                    let count = first.count + fault.count;
                    if fault.file == first.file && fault.offset < first.offset {
                        *first = fault;
                    }
                    first.count = count;
                }
                None => drop(self.first.insert(kind, fault)),
            }
        }
    }

    pub(super) fn has(&self, kind: FaultKind) -> bool {
        self.first.contains_key(&kind)
    }

    pub(super) fn into_vec(self) -> Vec<VerifyFault> {
        self.first.into_values().collect()
    }
}
