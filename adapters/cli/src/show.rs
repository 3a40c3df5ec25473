//! `annals show`: all there is to one event.

use crate::args::ShowArgs;
use crate::event_json::{EventJson, json_of};
use crate::failure::{Code, Failure};
use crate::json_text;
use crate::open::{self, of_store};
use crate::output::{Output, counted, hex, printable};
use crate::time::rfc3339;
use annals::{
    AncestorsEnd, Event, EventFlags, FsStorage, Payload, PayloadFormat, Reader, Sequence,
    StoreError,
};
use console::Style;
use std::fmt;
use std::path::Path;

pub(crate) fn run(dir: &Path, args: &ShowArgs, out: &mut Output) -> Result<Code, Failure> {
    let log = open::for_reading(dir)?;
    let reader = log.reader();
    let event = find(&reader, &args.id, dir)?;
    if args.json {
        out.json_pretty(&EventJson::new(&event, &reader))?;
        return Ok(Code::Done);
    }
    print_header(&event, &reader, out)?;
    print_chain(&event, &reader, dir, out)?;
    print_payload(&event.payload, out)?;
    Ok(Code::Done)
}

/// The event that a person means: by its id, or by its sequence.
pub(crate) fn find(reader: &Reader<FsStorage>, id: &str, dir: &Path) -> Result<Event, Failure> {
    let digits = id.strip_prefix('#').unwrap_or(id);
    let found: Result<Event, StoreError> = if let Ok(sequence) = digits.parse() {
        reader.get_at(Sequence::new(sequence))
    } else {
        let id = id.parse().map_err(|error| {
            Failure::usage(format!("{id:?} names no event: {error}"))
                .hint("a sequence such as 17 will do, too")
        })?;
        reader.get(id)
    };
    found.map_err(|error| of_store(dir, error))
}

fn print_header(
    event: &Event,
    reader: &Reader<FsStorage>,
    out: &mut Output,
) -> Result<(), Failure> {
    let header = &event.header;
    let kind = match reader.kind_name(event.kind()) {
        Some(name) => format!("{}  {}", Style::new().green().apply_to(name), event.kind()),
        None => event.kind().to_string(),
    };
    field(out, "event", Style::new().bold().apply_to(event.id()))?;
    field(out, "sequence", format_args!("#{}", event.sequence()))?;
    field(out, "entity", event.coordinate.entity())?;
    field(out, "scope", event.coordinate.scope())?;
    field(out, "version", event.version())?;
    field(out, "kind", kind)?;
    field(out, "time", rfc3339(header.timestamp_us))?;
    field(out, "position", header.position)?;
    match header.correlation == event.id() {
        true => field(out, "correlation", "itself")?,
        false => field(out, "correlation", header.correlation)?,
    }
    match header.causation {
        Some(cause) => field(out, "causation", cause)?,
        None => field(out, "causation", "none")?,
    }
    field(out, "flags", flags(header.flags))?;
    if let Some(admission) = &header.admission {
        field(out, "admission", printable(&admission.to_string()))?;
    }
    if let Some(metadata) = &event.metadata {
        let text = str::from_utf8(metadata).map_or_else(|_| hex(metadata), printable);
        field(out, "metadata", text)?;
    }
    Ok(())
}

/// The hashes, and whether the event before is the one that this one names.
fn print_chain(
    event: &Event,
    reader: &Reader<FsStorage>,
    dir: &Path,
    out: &mut Output,
) -> Result<(), Failure> {
    let walk = reader.walk_ancestors(event.id(), 2).map_err(|error| of_store(dir, error))?;
    let previous = match (walk.events.get(1), walk.end) {
        (Some(previous), _) => {
            format!("{}  checked: #{} has it", event.header.prev_hash, previous.sequence())
        }
        (None, AncestorsEnd::Pruned { version }) => {
            format!("{}  of version {version}, which was pruned", event.header.prev_hash)
        }
        (None, _) => "none: the first event of its stream".into(),
    };
    field(out, "previous", previous)?;
    field(out, "content", event.content_hash())?;
    field(out, "hash", event.event_hash())
}

fn print_payload(payload: &Payload, out: &mut Output) -> Result<(), Failure> {
    let (format, version) = (payload.format(), payload.version());
    let Some(bytes) = payload.bytes() else {
        return field(out, "payload", format_args!("{format}, version {version}, erased"));
    };
    let len = counted(bytes.len() as u64, "byte", "bytes");
    field(out, "payload", format_args!("{format}, version {version}, {len}"))?;
    out.line("")?;
    if let Some(json) = json_of(payload) {
        return out.line(json_text::pretty(json.get()));
    }
    match str::from_utf8(bytes) {
        Ok(text) if format != PayloadFormat::Postcard => {
            text.lines().try_for_each(|line| out.line(printable(line)))
        }
        _ => bytes.chunks(32).try_for_each(|chunk| out.line(hex(chunk))),
    }
}

fn field(out: &mut Output, name: &str, value: impl fmt::Display) -> Result<(), Failure> {
    let name = format!("{name:<12}");
    out.line(format_args!("{}{value}", Style::new().cyan().apply_to(name)))
}

fn flags(flags: EventFlags) -> String {
    let known = [
        (EventFlags::REQUIRES_ACK, "requires-ack"),
        (EventFlags::TRANSACTIONAL, "transactional"),
        (EventFlags::REPLAY, "replay"),
    ];
    let set = known.into_iter().filter(|(flag, _)| flags.contains(*flag));
    let names: Vec<_> = set.map(|(_, name)| name).collect();
    match (flags.bits(), names.is_empty()) {
        (0, _) => "none".into(),
        (bits, true) => format!("0x{bits:04X}"),
        (bits, false) => format!("0x{bits:04X} {}", names.join(", ")),
    }
}
