//! `annals streams`: the entities, how many events each has, and what changed last.
//!
//! It reads the header of every event of the region once, and holds a few words for each entity.

use crate::args::StreamsArgs;
use crate::failure::{Code, Failure};
use crate::kind_names;
use crate::open::{self, of_store};
use crate::output::{Output, grouped};
use crate::progress;
use crate::stream_counts::{Stream, StreamCounts};
use crate::time::{rfc3339, rfc3339_ms};
use annals::EventKind;
use console::{Alignment, Style, measure_text_width, pad_str, truncate_str};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// How often the progress bar moves.
const PROGRESS_STEP: u64 = 1024;

#[derive(Debug, Serialize)]
struct StreamJson<'a> {
    entity: &'a str,
    events: u64,
    version: u64,
    sequence: u64,
    time: String,
    timestamp_us: i64,
    kind: String,
    kind_name: Option<Arc<str>>,
}

pub(crate) fn run(dir: &Path, args: &StreamsArgs, out: &mut Output) -> Result<Code, Failure> {
    let log = open::for_reading(dir)?;
    let reader = log.reader();
    let mut query = reader.query(&args.region.region(&reader)?);
    let bar = progress::of_things(reader.end().get(), "events");
    let mut counts = StreamCounts::default();
    loop {
        let found = query.next_with(|event| {
            counts.add(event);
            event.sequence().get()
        });
        let Some(sequence) = found.map_err(|error| of_store(dir, error))? else { break };
        if counts.events().is_multiple_of(PROGRESS_STEP) {
            bar.set_position(sequence);
        }
    }
    bar.finish_and_clear();
    let mut streams = counts.sorted("", args.sort);
    streams.truncate(args.limit.unwrap_or(usize::MAX));
    if args.json {
        for (entity, stream) in &streams {
            out.json(&StreamJson {
                entity,
                events: stream.events,
                version: stream.version,
                sequence: stream.sequence,
                time: rfc3339(stream.timestamp_us),
                timestamp_us: stream.timestamp_us,
                kind: stream.kind.to_string(),
                kind_name: reader.kind_name(stream.kind),
            })?;
        }
        return Ok(Code::Done);
    }
    print_table(&streams, |kind| kind_names::label(&reader, kind), out)?;
    Ok(Code::Done)
}

fn print_table(
    streams: &[(&str, Stream)],
    label: impl Fn(EventKind) -> String,
    out: &mut Output,
) -> Result<(), Failure> {
    if streams.is_empty() {
        return Ok(());
    }
    let entity_widths = streams.iter().map(|(entity, _)| measure_text_width(entity));
    let entity_width = entity_widths.max().unwrap_or_default().max("ENTITY".len());
    let width = out.width();
    let entity_width = if width.is_some() { entity_width.min(48) } else { entity_width };
    let line = |entity: &str, events: &str, newest: &str, time: &str, kind: &str| {
        let entity = match width {
            Some(_) => truncate_str(entity, entity_width, "…"),
            None => entity.into(),
        };
        let entity = pad_str(&entity, entity_width, Alignment::Left, None).into_owned();
        let text = format!("{entity}  {events:>10}  {newest:>10}  {time:<24}  {kind}");
        match width {
            Some(width) => truncate_str(&text, width, "…").into_owned(),
            None => text,
        }
    };
    let titles = line("ENTITY", "EVENTS", "NEWEST", "AT", "KIND");
    out.line(Style::new().bold().apply_to(titles))?;
    for (entity, stream) in streams {
        let newest = format!("#{}", stream.sequence);
        let time = rfc3339_ms(stream.timestamp_us);
        out.line(line(entity, &grouped(stream.events), &newest, &time, &label(stream.kind)))?;
    }
    Ok(())
}
