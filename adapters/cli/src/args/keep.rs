//! The options of the commands that rewrite a store: compact, erase, repair.

use crate::region_args::RegionArgs;
use annals::EventId;
use clap::Args;
use std::num::NonZeroU64;
use std::path::PathBuf;

pub(super) const COMPACT_LONG: &str = "\
Write sealed segments anew, and free the old ones.

Without --drop nothing is lost: neighbouring segments become fewer and larger ones. With --drop the \
events that pass every filter are gone for good, but for marks that carry the hash chains over the \
gaps, so that `annals verify` says pruned and not damaged. Sequences, versions, ids and hashes of \
the others stay. A crash at any time leaves the store as it was, or as it is to be.";

pub(super) const COMPACT_EXAMPLES: &str = "\
Examples:
  annals compact --store shop
  annals compact --store shop --drop --kind page.viewed --until 2024-12-31 --dry-run
  annals compact --store shop --drop --kind page.viewed --until 2024-12-31 --yes";

#[derive(Debug, Args)]
pub(crate) struct CompactArgs {
    /// Drop the events that pass the filters, of which there must be one
    #[arg(long = "drop")]
    pub(crate) drops: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Drop without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Take the newest events too, of the segment that is being written to; --drop does
    #[arg(long)]
    pub(crate) seal: bool,
    /// Read so many bytes a second at most
    #[arg(long, value_name = "BYTES")]
    pub(crate) bytes_per_second: Option<NonZeroU64>,
    /// Bytes that a segment has at most afterwards
    #[arg(long, value_name = "BYTES", default_value_t = 1024 * 1024 * 1024)]
    pub(crate) output_max_bytes: u64,
    /// Print one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) region: RegionArgs,
}

pub(super) const ERASE_LONG: &str = "\
Erase the metadata and payloads of the events that pass every filter, or of one event.

When it is done, no file of the store has a byte of them. The events are still there, with address, \
kind, time and hashes, and the store still verifies. A record of the kind 0xD001 says when and how \
many, not what. After a crash, or Ctrl-C, run the same again: it goes on. Names of entities and \
scopes are not erased. Copies and backups of the store are not its files.";

pub(super) const ERASE_EXAMPLES: &str = "\
Examples:
  annals erase --store crm --entity person:7 --dry-run
  annals erase --store crm --entity person:7 --yes
  annals erase --store crm --id 018bcfe5-6801-7803-b333-333333333333 --yes";

#[derive(Debug, Args)]
pub(crate) struct EraseArgs {
    /// One event, by its id
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<EventId>,
    /// Erase everything, where no filter is given
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Erase without asking
    #[arg(long)]
    pub(crate) yes: bool,
    /// Print one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) region: RegionArgs,
}

pub(super) const REPAIR_LONG: &str = "\
Copy what is provably whole in a damaged store, also one that does not open, into a new one.

The damaged store is not changed; nobody should write to it meanwhile. An event is kept where its \
checksum is right, its sequence is beyond doubt, and the event behind it in its stream names its \
hash. Whole segments are copied byte by byte. What is gone leaves marks, so that the new store is \
proven whole with pruned events; sequences, versions, ids and hashes stay. All that was left is \
listed with its file and place. Where the newest events of a stream are gone, its versions go on \
behind the newest that is kept.";

pub(super) const REPAIR_EXIT_CODES: &str = "\
Exit codes:
  0    all events were kept
  1    some were left; they are listed, and the new store is whole
  2    nothing was salvaged: no store there, a target that is not empty
  130  stopped";

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// The directory of the new store, which must be new or empty
    #[arg(long, value_name = "DEST")]
    pub(crate) salvage: PathBuf,
    /// Print one object of JSON; docs/REPORTS.md says what is in it
    #[arg(long)]
    pub(crate) json: bool,
}
