//! The log: the only layer that writes.
//!
//! `Log` is the single writer. It stages a group of batches (checks, ids, versions, hashes,
//! bytes), writes once, syncs once if asked, publishes, answers. A `Reader` sees one prefix of the
//! log for as long as it is held; a batch is visible whole or not at all. Opening is recovery:
//! there is no other path.

mod compaction;
mod config;
mod decode;
mod erasure;
mod error;
mod fetch;
mod hashes;
mod heads;
mod import;
mod meta;
mod names;
mod pieces;
mod query;
mod read_only;
mod reader;
mod record_bytes;
mod recovery;
mod salvage;
mod seal;
mod segments;
mod shared;
mod source;
mod stage;
mod staged;
mod stats;
mod walk;
mod writer;
mod zeros;

pub use compaction::{
    Compacted, Compaction, CompactionConfig, CompactionPlan, CompactionProgress, CompactionRun,
    CompactionStep, CompactionStrategy, EventPredicate,
};
pub use config::{Durability, Host, LogConfig};
pub use decode::EventRef;
pub(crate) use decode::check_content;
pub use erasure::{
    Erasable, Erasure, ErasurePlan, ErasureRecord, ErasureReport, ErasureStep, ErasureTarget,
};
pub use error::{Corruption, StoreError};
pub use import::{BackupCheck, BackupError, Import, ImportSummary, Unpublished};
pub(crate) use meta::Travelling;
pub use meta::{CheckpointName, ConsumerCheckpoint, MetaStats, MetaSync};
pub use names::{KIND_NAME_LEN_MAX, KindNameError};
pub(crate) use pieces::{Frames, Piece};
pub use query::{Query, Skipped};
pub use read_only::ReadOnlyLog;
pub use reader::{Reader, Readers, StreamHead};
pub use record_bytes::RecordBytes;
pub use recovery::{Recovery, TornTail};
pub use salvage::{SalvageLoss, SalvageProgress, SalvageReport, salvage};
pub(crate) use segments::Segment;
pub(crate) use source::FileSource;
pub use staged::{CommitInfo, Staged};
pub use stats::{IndexDamage, LogDiagnostics, LogStats, SegmentStats};
pub use walk::{Ancestors, AncestorsEnd};
pub use writer::{Log, PendingSync};
