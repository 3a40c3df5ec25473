//! `annals query`: the events that pass every filter.

use crate::args::{OutputFormat, QueryArgs};
use crate::event_json::EventJson;
use crate::event_table::{EventTable, one_line};
use crate::failure::{Code, Failure};
use crate::open::{self, of_store};
use crate::output::Output;
use crate::progress;
use crate::time::rfc3339;
use annals::{Event, FsStorage, Reader};
use std::io;
use std::path::Path;

const CSV_COLUMNS: [&str; 13] = [
    "sequence",
    "id",
    "time",
    "entity",
    "scope",
    "version",
    "kind",
    "kind_name",
    "correlation",
    "causation",
    "format",
    "payload_version",
    "payload",
];

pub(crate) fn run(dir: &Path, args: &QueryArgs, out: &mut Output) -> Result<Code, Failure> {
    let log = open::for_reading(dir)?;
    let reader = log.reader();
    let mut query = reader.query(&args.region.region(&reader)?);
    query = query.limit(args.limit.unwrap_or(u64::MAX));
    if args.reverse {
        query = query.backward();
    }
    let end = reader.end().get();
    let bar = progress::beside(out, end);
    if args.count {
        let mut count = 0_u64;
        let mut next = || query.next_with(|event| event.sequence().get());
        while let Some(at) = next().map_err(|error| of_store(dir, error))? {
            count += 1;
            bar.set_position(at);
        }
        bar.finish_and_clear();
        match args.json {
            true => out.json(&serde_json::json!({ "count": count }))?,
            false => out.line(count)?,
        }
        return Ok(Code::Done);
    }
    let format = if args.json { OutputFormat::Jsonl } else { args.format };
    let mut events = query.map(|event| {
        let event = event.map_err(|error| of_store(dir, error))?;
        let sequence = event.sequence().get();
        bar.set_position(if args.reverse { end - sequence } else { sequence });
        Ok(event)
    });
    match format {
        OutputFormat::Jsonl => events.try_for_each(|e| out.json(&EventJson::new(&e?, &reader)))?,
        OutputFormat::Csv => print_csv(events, &reader, out)?,
        OutputFormat::Table => {
            let mut table = EventTable::new(out, true);
            let printed = events.try_for_each(|event| table.event(out, &reader, &event?));
            table.release(out)?;
            printed?;
        }
    }
    bar.finish_and_clear();
    Ok(Code::Done)
}

fn print_csv(
    events: impl Iterator<Item = Result<Event, Failure>>,
    reader: &Reader<FsStorage>,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut writer = csv::Writer::from_writer(out.bytes());
    writer.write_record(CSV_COLUMNS).map_err(csv_error)?;
    for event in events {
        let event = event?;
        let header = &event.header;
        let record = [
            event.sequence().to_string(),
            event.id().to_string(),
            rfc3339(header.timestamp_us),
            event.coordinate.entity().into(),
            event.coordinate.scope().into(),
            event.version().to_string(),
            event.kind().to_string(),
            reader.kind_name(event.kind()).map(|name| name.to_string()).unwrap_or_default(),
            header.correlation.to_string(),
            header.causation.map(|id| id.to_string()).unwrap_or_default(),
            event.payload.format().to_string(),
            event.payload.version().to_string(),
            one_line(&event.payload),
        ];
        writer.write_record(record).map_err(csv_error)?;
    }
    Ok(writer.flush()?)
}

fn csv_error(error: csv::Error) -> Failure {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error.into(),
        other => io::Error::other(format!("{other:?}")).into(),
    }
}
