//! `annals stats`: what a store holds, in numbers.

use crate::args::StatsArgs;
use crate::failure::{Code, Failure};
use crate::kind_names;
use crate::open::{self, of_store};
use crate::output::{Output, grouped};
use annals::{FsStorage, LogStats, Reader};
use console::Style;
use indicatif::BinaryBytes;
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

#[derive(Debug, Serialize)]
struct StatsJson {
    events: u64,
    entities: u64,
    scopes: u64,
    kinds: Vec<KindJson>,
    bytes: u64,
    segments: Vec<SegmentJson>,
    /// The sequence that the next event will get.
    end: u64,
}

#[derive(Debug, Serialize)]
struct KindJson {
    kind: String,
    name: Option<Arc<str>>,
    events: u64,
}

#[derive(Debug, Serialize)]
struct SegmentJson {
    file: String,
    sealed: bool,
    first_sequence: u64,
    events: u64,
    bytes: u64,
}

pub(crate) fn run(dir: &Path, args: &StatsArgs, out: &mut Output) -> Result<Code, Failure> {
    let log = open::for_reading(dir)?;
    let reader = log.reader();
    let stats = reader.stats().map_err(|error| of_store(dir, error))?;
    if args.json {
        out.json(&json_of(&stats, &reader))?;
        return Ok(Code::Done);
    }
    let bold = Style::new().bold();
    let numbers = [
        ("events", grouped(stats.events)),
        ("entities", grouped(stats.entities)),
        ("scopes", grouped(stats.scopes)),
        ("kinds", grouped(stats.kinds.len() as u64)),
        ("segments", grouped(stats.segments.len() as u64)),
        ("bytes", format!("{} ({})", grouped(stats.bytes), BinaryBytes(stats.bytes))),
    ];
    for (name, number) in numbers {
        out.line(format_args!("{name:<9} {}", bold.apply_to(number)))?;
    }
    if let Some(torn) = log.recovery().torn_tail {
        out.line(format_args!(
            "{} of {} at byte {} are an append under way, or one that was cut short",
            BinaryBytes(torn.len),
            torn.file,
            torn.offset
        ))?;
    }
    print_kinds(&stats, &reader, out)?;
    print_segments(&stats, out)?;
    Ok(Code::Done)
}

fn print_kinds(
    stats: &LogStats,
    reader: &Reader<FsStorage>,
    out: &mut Output,
) -> Result<(), Failure> {
    if stats.kinds.is_empty() {
        return Ok(());
    }
    let titles = format!("\n{:<6}  {:>12}  NAME", "KIND", "EVENTS");
    out.line(Style::new().bold().apply_to(titles))?;
    let mut kinds = stats.kinds.clone();
    kinds.sort_by_key(|(kind, events)| (std::cmp::Reverse(*events), *kind));
    for (kind, events) in kinds {
        let name = reader.kind_name(kind).map_or_else(
            || Style::new().dim().apply_to(unnamed(reader, kind)).to_string(),
            |name| Style::new().green().apply_to(name).to_string(),
        );
        out.line(format_args!("{kind}  {:>12}  {name}", grouped(events)))?;
    }
    Ok(())
}

fn unnamed(reader: &Reader<FsStorage>, kind: annals::EventKind) -> String {
    if kind.is_reserved() { kind_names::label(reader, kind) } else { "(no name)".into() }
}

fn print_segments(stats: &LogStats, out: &mut Output) -> Result<(), Failure> {
    if stats.segments.is_empty() {
        return Ok(());
    }
    let titles = format!("\n{:<14}  {:>12}  {:>12}  {:>12}", "SEGMENT", "EVENTS", "FROM", "BYTES");
    out.line(Style::new().bold().apply_to(titles))?;
    for segment in &stats.segments {
        out.line(format_args!(
            "{:<14}  {:>12}  {:>12}  {:>12}  {}",
            segment.file.to_string(),
            grouped(segment.events),
            format!("#{}", segment.first_sequence),
            BinaryBytes(segment.bytes).to_string(),
            if segment.sealed { "sealed" } else { "active" },
        ))?;
    }
    Ok(())
}

fn json_of(stats: &LogStats, reader: &Reader<FsStorage>) -> StatsJson {
    let kinds = stats.kinds.iter().map(|(kind, events)| KindJson {
        kind: kind.to_string(),
        name: reader.kind_name(*kind),
        events: *events,
    });
    let segments = stats.segments.iter().map(|segment| SegmentJson {
        file: segment.file.to_string(),
        sealed: segment.sealed,
        first_sequence: segment.first_sequence.get(),
        events: segment.events,
        bytes: segment.bytes,
    });
    StatsJson {
        events: stats.events,
        entities: stats.entities,
        scopes: stats.scopes,
        kinds: kinds.collect(),
        bytes: stats.bytes,
        segments: segments.collect(),
        end: stats.end.get(),
    }
}
