//! What the command is told: its subcommands and their options, by clap.
//!
//! Every option is described here and nowhere else; the commands read the values.

mod append;
mod inspect;
mod keep;
mod shell;

pub(crate) use append::{AppendArgs, AppendFormat};
pub(crate) use inspect::InspectArgs;
pub(crate) use keep::{CompactArgs, EraseArgs, RepairArgs};
pub(crate) use shell::{CompletionsArgs, ManArgs, command};

use crate::failure::Failure;
use crate::project::parse_path;
use crate::region_args::RegionArgs;
use crate::time::TimeUnit;
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use serde_json_path::JsonPath;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Look at, fill and check an Annals event store.
#[derive(Debug, Parser)]
#[command(name = "annals", version, after_help = shell::EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    /// The directory of the store.
    #[arg(
        long,
        global = true,
        env = "ANNALS_STORE",
        value_name = "DIR",
        hide_env_values = true,
        display_order = 900
    )]
    store: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// The directory of the store.
    ///
    /// # Errors
    ///
    /// Where neither the option nor the environment names one.
    pub(crate) fn store(&self) -> Result<&Path, Failure> {
        let none =
            || Failure::usage("no store is named").hint("give --store DIR, or set ANNALS_STORE");
        self.store.as_deref().filter(|dir| !dir.as_os_str().is_empty()).ok_or_else(none)
    }

    /// The directory of the store, which an argument may name in place of the option.
    ///
    /// # Errors
    ///
    /// Where none is named, or the argument and the option name two.
    pub(crate) fn store_or<'a>(&'a self, path: Option<&'a Path>) -> Result<&'a Path, Failure> {
        let Some(path) = path else { return self.store() };
        let from_environment = std::env::var_os("ANNALS_STORE");
        match &self.store {
            // An argument counts for more than the environment, as an option does.
            Some(store)
                if store != path && Some(store.as_os_str()) != from_environment.as_deref() =>
            {
                let named =
                    format!("two stores are named: {} and {}", path.display(), store.display());
                Err(Failure::usage(named).hint("give PATH or --store, not both"))
            }
            _ => Ok(path),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Append one event
    #[command(long_about = append::APPEND_LONG, after_help = append::APPEND_EXAMPLES)]
    Append(AppendArgs),
    /// Append the rows of a CSV or JSON Lines file as events
    #[command(long_about = IMPORT_LONG, after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Print the newest events, and go on printing with --follow
    Tail(TailArgs),
    /// Print all there is to one event
    Show(ShowArgs),
    /// Print the events that pass every given filter
    Query(QueryArgs),
    /// List the entities with their events and their newest change
    Streams(StreamsArgs),
    /// Count events, entities, scopes, kinds, bytes and segments
    Stats(StatsArgs),
    /// Draw what led to an event and what it led to, or how the events of a filter belong together
    #[command(after_help = GRAPH_EXAMPLES)]
    Graph(GraphArgs),
    /// Answer with one number or value from many events
    #[command(long_about = PROJECT_LONG, after_help = PROJECT_EXAMPLES)]
    Project(ProjectArgs),
    /// Check every byte, hash and index of the store
    #[command(after_help = VERIFY_EXIT_CODES)]
    Verify(VerifyArgs),
    /// Show the store on a page in the browser, on this machine alone
    #[command(long_about = inspect::INSPECT_LONG, after_help = inspect::INSPECT_EXAMPLES)]
    Inspect(InspectArgs),
    /// Write segments anew: fewer and larger ones, or without events that may go
    #[command(long_about = keep::COMPACT_LONG, after_help = keep::COMPACT_EXAMPLES)]
    Compact(CompactArgs),
    /// Erase metadata and payloads for good; headers, hashes and the chain stay
    #[command(long_about = keep::ERASE_LONG, after_help = keep::ERASE_EXAMPLES)]
    Erase(EraseArgs),
    /// Copy what is provably whole in a damaged store into a new one
    #[command(long_about = keep::REPAIR_LONG, after_help = keep::REPAIR_EXIT_CODES)]
    Repair(RepairArgs),
    /// Make a copy of the store as it is now, beside its writer
    #[command(long_about = SNAPSHOT_LONG)]
    Snapshot(SnapshotArgs),
    /// Write a backup into one file, beside the store's writer
    #[command(long_about = EXPORT_LONG, after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Take in a backup: into an empty directory, or behind the events that it continues
    #[command(long_about = IMPORT_BACKUP_LONG)]
    ImportBackup(ImportBackupArgs),
    /// Print a script that completes the command's options in a shell
    #[command(after_help = shell::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Print the manual page, or write the pages of all commands
    #[command(after_help = shell::MAN_EXAMPLES)]
    Man(ManArgs),
}

const SNAPSHOT_LONG: &str = "\
Make a copy of the store as it is now, beside its writer.

The snapshot is a store of its own, complete or absent. Sealed segments are shared with the store \
where the file system can, so most of it costs no space: it protects against mistakes, and against \
a damaged disk only on another one. A payload that is erased later stays in it.";

const EXPORT_LONG: &str = "\
Write a backup into one file, beside the store's writer.

It holds the events, the names of kinds and the checkpoints of consumers, and a checksum of each \
part. With --from it holds only what came since an earlier backup; erasures and retention among the \
events before travel with a whole backup only.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  annals export monday.annals --store shop
  annals export tuesday.annals --store shop --from 8577
  annals export --store shop | ssh elsewhere annals import-backup - --store shop";

const IMPORT_BACKUP_LONG: &str = "\
Take in a backup: into an empty directory, or behind the events that it continues.

All of it counts at once, when everything is proven and on the disk, and nothing of it before. The \
copy has the same id as the store that it was made of: let only one of the two be written to.";

#[derive(Debug, Args)]
pub(crate) struct SnapshotArgs {
    /// A directory that is new or empty
    #[arg(value_name = "DEST")]
    pub(crate) dest: PathBuf,
    /// Print one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// A file that is not there yet; `-`, or no file, writes to stdout
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    pub(crate) file: PathBuf,
    /// Only the events from this sequence on: the end of an earlier backup
    #[arg(long, value_name = "SEQ")]
    pub(crate) from: Option<u64>,
    /// Leave out the checkpoints of consumers, for a copy that has its own
    #[arg(long)]
    pub(crate) without_consumers: bool,
    /// Print one object of JSON; the backup then needs a file
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ImportBackupArgs {
    /// The backup; `-` reads stdin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Check the backup, and whether it could go there, and take nothing in
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const IMPORT_LONG: &str = "\
Append the rows of a CSV or JSON Lines file as events.

The columns named by --entity, --scope, --kind and --time become the event's address, kind and \
time; the rest of the row is its payload, as JSON. In CSV all values are strings; JSON Lines keep \
theirs exactly as they are written.

A kind has a name of ASCII letters, digits, '.', '_', '-' and ':'. A text that is such a name \
stays as it is. In any other, letters of other scripts are transcribed, and each run of other \
characters and dashes becomes one '-', with none at the ends: 'T02 Check confirmation' becomes \
'T02-Check-confirmation'. The store gives a new name a number.

A row that can't be an event stops the import with its line and column; the rows before it are in \
the store. With --key or --key-row the same import can be run again: what is there is not appended \
twice.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  annals import orders.csv --store shop --entity order_id --scope-value shop --kind status --time at
  generate | annals import - --store shop --format jsonl --entity id --scope tenant --kind type";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("scope from").required(true))]
#[command(group = ArgGroup::new("kind from").required(true))]
pub(crate) struct ImportArgs {
    /// The file to read; `-`, or no file, reads stdin
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    pub(crate) file: PathBuf,
    /// How the rows are written; by default as the file's name says
    #[arg(long)]
    pub(crate) format: Option<InputFormat>,
    /// What separates the fields of CSV: one character, or `tab`
    #[arg(long, value_name = "CHAR", value_parser = parse_delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// The column that says which entity an event is about
    #[arg(long, value_name = "COL")]
    pub(crate) entity: String,
    /// The column that says in which scope
    #[arg(long, value_name = "COL", group = "scope from")]
    pub(crate) scope: Option<String>,
    /// The scope of every row, where no column says it
    #[arg(long, value_name = "SCOPE", group = "scope from")]
    pub(crate) scope_value: Option<String>,
    /// The column whose text names the kind
    #[arg(long, value_name = "COL", group = "kind from")]
    pub(crate) kind: Option<String>,
    /// The kind of every row, by name, where no column says it
    #[arg(long, value_name = "NAME", group = "kind from")]
    pub(crate) kind_name: Option<String>,
    /// The column that says when; without it, events happen as they are read
    #[arg(
        long,
        value_name = "COL",
        long_help = "The column that says when; without it, events happen as they are read.\n\
        \n\
        Times are RFC 3339, with a space for the T if you like, or whole numbers: seconds, \
        milliseconds or microseconds since 1970, told apart by how long they are (up to 11 \
        digits, up to 14, or more) unless --time-unit says which."
    )]
    pub(crate) time: Option<String>,
    /// What whole numbers in the time column count
    #[arg(long, value_name = "UNIT", default_value = "auto", requires = "time")]
    pub(crate) time_unit: TimeUnit,
    /// Take times without an offset as UTC, instead of refusing them
    #[arg(long, requires = "time")]
    pub(crate) utc: bool,
    /// The column that makes a row unique: a row that is in the store already is not appended
    #[arg(long, value_name = "COL")]
    pub(crate) key: Option<String>,
    /// Take the file's name and the row's line as what makes a row unique
    #[arg(long, conflicts_with = "key")]
    pub(crate) key_row: bool,
    /// Leave the columns of entity, scope, kind and time in the payload too
    #[arg(long)]
    pub(crate) keep_columns: bool,
    /// How many rows are written and synced together
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    pub(crate) batch: u32,
    /// Pass over rows that can't be events, count them and list the first few
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Stop after this many bad rows all the same
    #[arg(long, value_name = "N", requires = "skip_bad")]
    pub(crate) max_errors: Option<u64>,
    /// Print the summary as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputFormat {
    /// Fields between commas, the first row names them
    Csv,
    /// One JSON object a line
    Jsonl,
}

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// How many of the newest events
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    pub(crate) count: u64,
    /// Go on printing events as they are appended
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Print each event as one line of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) region: RegionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// A UUID, `event:` and 32 hex digits, or a sequence such as 17 or '#17'
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Print one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct QueryArgs {
    /// How to print the events
    #[arg(long, default_value = "table")]
    pub(crate) format: OutputFormat,
    /// The same as --format jsonl
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// At most so many events
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// Newest first
    #[arg(long, alias = "backward")]
    pub(crate) reverse: bool,
    /// Print only how many there are
    #[arg(long, conflicts_with_all = ["format", "reverse"])]
    pub(crate) count: bool,
    #[command(flatten)]
    pub(crate) region: RegionArgs,
}

/// How events are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// A line an event, for people
    Table,
    /// One JSON object a line
    Jsonl,
    /// Comma-separated values with a header
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct StreamsArgs {
    /// In which order
    #[arg(long, default_value = "newest")]
    pub(crate) sort: StreamOrder,
    /// At most so many entities
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Print one line of JSON an entity
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) region: RegionArgs,
}

/// The order of the entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StreamOrder {
    /// The one that changed last comes first
    Newest,
    /// The one with the most events comes first
    Events,
    /// By name
    Name,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Print one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

const GRAPH_EXAMPLES: &str = "\
Examples:
  annals graph 17 --store shop --format svg > why.svg
  annals graph --store shop --correlation 0192f0c1-2b3c-7d4e-8f50-112233445566 --format mermaid
  annals graph --store shop --entity order:5 --since 2024-01-01 | dot -Tpdf > order.pdf

Without an ID and without a filter the graph has the oldest events of the store. Where the limit \
cuts it, the graph says so, and so does a note on stderr. Graphviz draws larger graphs better than \
--format svg does.";

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// The event to explain: a UUID, `event:` and 32 hex digits, or a sequence such as 17
    #[arg(value_name = "ID", conflicts_with = "RegionArgs")]
    pub(crate) id: Option<String>,
    /// How to write the graph
    #[arg(long, default_value = "dot")]
    pub(crate) format: GraphFormat,
    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// At most so many events: of an event, causes first and the nearest first; else the oldest
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        value_parser = clap::value_parser!(u64).range(1..=100_000)
    )]
    pub(crate) limit: u64,
    #[command(flatten)]
    pub(crate) region: RegionArgs,
}

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// The language of Graphviz
    Dot,
    /// For Markdown
    Mermaid,
    /// Nodes and edges, for programs
    Json,
    /// A picture
    Svg,
}

const PROJECT_LONG: &str = "\
Answer with one number or value from many events.

A path is JSONPath (RFC 9535), such as $.total or $.lines[*].cents, into payloads that are JSON. \
Numbers are added exactly, as decimals; text that is a number, as in all fields of an imported \
CSV, counts as one. Where events have none, a note on stderr says how many.";

const PROJECT_EXAMPLES: &str = "\
Examples:
  annals project --store shop --entity order:5 --count
  annals project --store shop --stream order:5 --last '$.status'
  annals project --store shop --kind order.paid --since 2024-01-01 --sum '$.cents'";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("reduction").required(true))]
pub(crate) struct ProjectArgs {
    /// How many events there are
    #[arg(long, group = "reduction")]
    pub(crate) count: bool,
    /// The value at a path in the newest event that has one; without a path, its payload
    #[arg(
        long,
        value_name = "JSON_PATH",
        num_args = 0..=1,
        default_missing_value = "$",
        value_parser = parse_path,
        group = "reduction"
    )]
    pub(crate) last: Option<JsonPath>,
    /// The sum of the numbers at a path
    #[arg(long, value_name = "JSON_PATH", value_parser = parse_path, group = "reduction")]
    pub(crate) sum: Option<JsonPath>,
    /// Print one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) region: RegionArgs,
}

const VERIFY_EXIT_CODES: &str = "\
Exit codes:
  0    whole
  1    damaged; the first fault of each kind is told with its file and place
  2    not looked at: no store there, files that can't be read
  130  stopped";

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Print one object of JSON; docs/REPORTS.md says what is in it
    #[arg(long)]
    pub(crate) json: bool,
    /// How many threads; by default as many as the machine runs at once
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err("one ASCII character other than a quote, or the word tab".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_contradict_each_other_nowhere() {
        command().debug_assert();
    }

    #[test]
    fn a_delimiter_is_one_byte_or_the_word_tab() {
        assert_eq!(parse_delimiter(";"), Ok(b';'));
        assert_eq!(parse_delimiter("tab"), Ok(b'\t'));
        assert_eq!(parse_delimiter("\t"), Ok(b'\t'));
        for bad in ["", ";;", "\"", "\n", "é"] {
            assert!(parse_delimiter(bad).is_err(), "{bad:?}");
        }
    }
}
