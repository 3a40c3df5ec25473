//! The options of `annals append`.

use annals::{EventFlags, EventId, ExpectedVersion, Version};
use clap::{ArgGroup, Args, ValueEnum};
use std::path::PathBuf;

pub(super) const APPEND_LONG: &str = "\
Append one event. It is on disk when the command ends.

The store is begun if the directory is new or empty. A kind is a name of ASCII letters, digits, \
'.', '_', '-' and ':', or a number; the store gives a new name a number, and a note on stderr says \
so. JSON is kept as it is written. With --key the same command can be run again: what is there is \
not appended twice, and the answer is the event that has the key.";

pub(super) const APPEND_EXAMPLES: &str = "\
Examples:
  annals append --store shop --entity order:5 --scope eu --kind order.placed '{\"cents\":450}'
  annals append --store shop --entity order:5 --scope eu --kind order.paid --expect 0 '{}'
  sensor | annals append --store lab --entity probe:1 --scope hall --kind reading --format raw -";

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("content").required(true))]
pub(crate) struct AppendArgs {
    /// The payload; `-` reads stdin
    #[arg(value_name = "PAYLOAD", group = "content", allow_hyphen_values = true)]
    pub(crate) payload: Option<String>,
    /// A file that holds the payload; `-` reads stdin
    #[arg(long, value_name = "FILE", group = "content")]
    pub(crate) file: Option<PathBuf>,
    /// The entity that the event is about
    #[arg(long, value_name = "ENTITY")]
    pub(crate) entity: String,
    /// The scope that it happened in
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: String,
    /// The kind by its name, which may be new, or by its number such as 0x1001
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: String,
    /// What the payload is
    #[arg(long, default_value = "json")]
    pub(crate) format: AppendFormat,
    /// The version of the payload's shape
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) payload_version: u16,
    /// Append only if the stream is so: `any`, `no-stream`, `exists`, or the version that it is at
    #[arg(long, value_name = "STATE", value_parser = parse_expected)]
    pub(crate) expect: Option<ExpectedVersion>,
    /// A text that makes the event unique: the same key again appends nothing
    #[arg(long, value_name = "TEXT")]
    pub(crate) key: Option<String>,
    /// The event that it belongs to; without one, itself
    #[arg(long, value_name = "ID")]
    pub(crate) correlation: Option<EventId>,
    /// The event that caused it
    #[arg(long, value_name = "ID")]
    pub(crate) causation: Option<EventId>,
    /// Text beside the payload
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) metadata: Option<String>,
    /// A file that holds what stands beside the payload
    #[arg(long, value_name = "FILE", conflicts_with = "metadata", value_parser = parse_file)]
    pub(crate) metadata_file: Option<PathBuf>,
    /// A flag: `requires-ack`, `transactional`, `replay`, or bits such as 0x0100; may be repeated
    #[arg(long, value_name = "FLAG", value_parser = parse_flag)]
    pub(crate) flag: Vec<Flag>,
    /// Print one object of JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AppendFormat {
    /// One JSON value
    Json,
    /// Bytes as they are
    Raw,
}

/// Flags of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flag(pub(crate) EventFlags);

fn parse_expected(text: &str) -> Result<ExpectedVersion, String> {
    match text {
        "any" => Ok(ExpectedVersion::Any),
        "no-stream" => Ok(ExpectedVersion::NoStream),
        "exists" => Ok(ExpectedVersion::StreamExists),
        number => match number.parse() {
            Ok(version) => Ok(ExpectedVersion::Exact(Version::new(version))),
            Err(_) => Err("`any`, `no-stream`, `exists`, or a version such as 3".into()),
        },
    }
}

fn parse_flag(text: &str) -> Result<Flag, String> {
    let bits = text.strip_prefix("0x").and_then(|digits| u16::from_str_radix(digits, 16).ok());
    match (text, bits) {
        ("requires-ack", _) => Ok(Flag(EventFlags::REQUIRES_ACK)),
        ("transactional", _) => Ok(Flag(EventFlags::TRANSACTIONAL)),
        ("replay", _) => Ok(Flag(EventFlags::REPLAY)),
        (_, Some(bits)) => Ok(Flag(EventFlags::from_bits(bits))),
        _ => Err("`requires-ack`, `transactional`, `replay`, or 16 bits such as 0x0100".into()),
    }
}

/// Stdin is the payload's alone.
fn parse_file(text: &str) -> Result<PathBuf, String> {
    match text {
        "-" => Err("metadata can't be read from stdin".into()),
        path => Ok(path.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stream_must_be_is_a_word_or_a_version() {
        assert_eq!(parse_expected("any"), Ok(ExpectedVersion::Any));
        assert_eq!(parse_expected("no-stream"), Ok(ExpectedVersion::NoStream));
        assert_eq!(parse_expected("exists"), Ok(ExpectedVersion::StreamExists));
        assert_eq!(parse_expected("3"), Ok(ExpectedVersion::Exact(Version::new(3))));
        for bad in ["", "-1", "0x3", "none", "99999999999999999999"] {
            assert!(parse_expected(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_flag_is_a_word_or_bits() {
        assert_eq!(parse_flag("replay"), Ok(Flag(EventFlags::REPLAY)));
        assert_eq!(parse_flag("0x0100"), Ok(Flag(EventFlags::from_bits(0x0100))));
        for bad in ["", "1", "0x", "0x10000", "ack"] {
            assert!(parse_flag(bad).is_err(), "{bad:?}");
        }
    }
}
