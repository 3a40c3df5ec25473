//! `annals append`: one event, on disk when the command ends.

use crate::args::{AppendArgs, AppendFormat};
use crate::failure::{Code, Failure};
use crate::kind_names;
use crate::open::{self, of_store};
use crate::output::{Output, note};
use crate::stop;
use annals::{
    AppendOptions, AppendReceipt, Coordinate, EventFlags, EventId, EventKind, Hash,
    METADATA_LEN_MAX, PAYLOAD_LEN_MAX, Payload, PayloadFormat, Store,
};
use console::Style;
use serde::Serialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;
use std::sync::Arc;

/// What is told with `--json`.
#[derive(Debug, Serialize)]
struct AppendJson<'a> {
    sequence: u64,
    id: EventId,
    entity: &'a str,
    scope: &'a str,
    version: u64,
    kind: String,
    kind_name: Option<Arc<str>>,
    timestamp_us: i64,
    event_hash: Hash,
    /// Whether the key says that the event was there before.
    known: bool,
}

pub(crate) fn run(dir: &Path, args: &AppendArgs, out: &mut Output) -> Result<Code, Failure> {
    let at = Coordinate::new(&args.entity, &args.scope).map_err(|error| {
        Failure::usage(error.to_string()).hint("--entity says who, --scope says where")
    })?;
    // Everything that can be wrong about the event is, before a store is begun or locked for it.
    let payload = payload(args)?;
    let options = options(args)?;
    let store = open::for_writing(dir)?;
    let before = store.reader().end();
    let kind = kind(&store, &args.kind, dir)?;
    let receipt = store.append_with_options(&at, kind, payload, options);
    let receipt = receipt.map_err(|error| of_store(dir, error))?;
    let known = receipt.sequence < before;
    tell(args, &at, kind, &receipt, known, store.kind_name(kind), out)?;
    store.close().map_err(|error| of_store(dir, error))?;
    Ok(Code::Done)
}

fn options(args: &AppendArgs) -> Result<AppendOptions, Failure> {
    let mut metadata = args.metadata.clone().map(String::into_bytes);
    if let Some(path) = &args.metadata_file {
        metadata = Some(bytes_of(path, METADATA_LEN_MAX)?);
    }
    let flags = args.flag.iter().fold(EventFlags::NONE, |flags, flag| flags | flag.0);
    Ok(AppendOptions {
        expected_version: args.expect.unwrap_or_default(),
        idempotency_key: args.key.as_deref().map(EventId::from_key),
        correlation: args.correlation,
        causation: args.causation,
        flags,
        metadata,
        ..AppendOptions::default()
    })
}

fn payload(args: &AppendArgs) -> Result<Payload, Failure> {
    let bytes = match (&args.payload, &args.file) {
        (Some(text), _) if text != "-" => text.clone().into_bytes(),
        (_, Some(path)) => bytes_of(path, PAYLOAD_LEN_MAX)?,
        (_, None) => bytes_of(Path::new("-"), PAYLOAD_LEN_MAX)?,
    };
    let (format, bytes) = match args.format {
        AppendFormat::Raw => (PayloadFormat::Raw, bytes),
        AppendFormat::Json => (PayloadFormat::Json, json_in(&bytes)?),
    };
    Ok(Payload::from_parts(format, args.payload_version, bytes))
}

/// The one JSON value that the bytes are, as it is written, without the space around it.
fn json_in(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let value: Result<&RawValue, _> = serde_json::from_slice(bytes);
    value.map(|value| value.get().as_bytes().to_vec()).map_err(|error| {
        Failure::usage(format!("the payload is no JSON: {error}")).hint(
            "quote it for the shell ('{\"cents\":450}'), or take it as it is with --format raw",
        )
    })
}

/// The bytes of a file, or of stdin, of which there are at most so many.
fn bytes_of(path: &Path, len_max: usize) -> Result<Vec<u8>, Failure> {
    let is_stdin = path == Path::new("-");
    let name = if is_stdin { "stdin".into() } else { path.display().to_string() };
    let unreadable = |error: io::Error| Failure::unreadable(&name, &error);
    let mut bytes = Vec::new();
    // One more than there may be tells that there are too many.
    let limit = u64::try_from(len_max).unwrap_or(u64::MAX - 1) + 1;
    let read = if is_stdin {
        if io::stdin().is_terminal() {
            note("reading from the terminal: end it with Ctrl-D");
        }
        stop::stdin().map_err(unreadable)?.take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut bytes)
    };
    read.map_err(unreadable)?;
    if bytes.len() > len_max {
        return Err(Failure::usage(format!("{name} has more than {len_max} bytes"))
            .hint("keep large things outside, and append where they are and their hash"));
    }
    Ok(bytes)
}

/// The kind that a person means: `0x1001`, or a name, which may be new.
fn kind(store: &Store, text: &str, dir: &Path) -> Result<EventKind, Failure> {
    if kind_names::is_number(text) {
        return text.parse().map_err(|error| kind_names::no_kind(text, &error));
    }
    let Some(name) = kind_names::name_of(text) else {
        return Err(Failure::usage(format!("{text:?} has no letter or digit to name a kind with"))
            .hint("a name is such as order.placed, a number such as 0x1001"));
    };
    if let Some(kind) = store.kind_named(&name) {
        return Ok(kind);
    }
    let kind = store.kind_for_name(&name).map_err(|error| of_store(dir, error))?;
    note(format_args!("{name} is a new kind of this store, {kind}"));
    Ok(kind)
}

fn tell(
    args: &AppendArgs,
    at: &Coordinate,
    kind: EventKind,
    receipt: &AppendReceipt,
    known: bool,
    kind_name: Option<Arc<str>>,
    out: &mut Output,
) -> Result<(), Failure> {
    if args.json {
        return out.json(&AppendJson {
            sequence: receipt.sequence.get(),
            id: receipt.id,
            entity: at.entity(),
            scope: at.scope(),
            version: receipt.version.get(),
            kind: kind.to_string(),
            kind_name,
            timestamp_us: receipt.timestamp_us,
            event_hash: receipt.event_hash,
            known,
        });
    }
    let done = if known { "there already" } else { "appended" };
    out.line(format_args!(
        "{} #{} {at} v{} {}",
        Style::new().green().bold().apply_to(done),
        receipt.sequence,
        receipt.version,
        receipt.id,
    ))
}
