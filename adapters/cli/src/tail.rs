//! `annals tail`: the newest events, and then those that come.

use crate::args::TailArgs;
use crate::event_json::EventJson;
use crate::event_table::EventTable;
use crate::failure::{Code, Failure};
use crate::open::{self, of_store};
use crate::output::Output;
use annals::{Event, FsStorage, Reader, Region, Sequence};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long a follower sleeps at least between two looks at the files.
const PAUSE_MIN: Duration = Duration::from_millis(200);
/// A look at the files reads the newest segment: a follower sleeps this many times as long.
const PAUSE_FACTOR: u32 = 10;

pub(crate) fn run(dir: &Path, args: &TailArgs, out: &mut Output) -> Result<Code, Failure> {
    let mut log = open::for_reading(dir)?;
    let reader = log.reader();
    let region = args.region.region(&reader)?;
    let mut printer =
        Printer { json: args.json, table: EventTable::new(out, out.width().is_some()) };
    let newest = reader.query(&region).backward().limit(args.count);
    let mut events = newest.collect::<Result<Vec<_>, _>>().map_err(|e| of_store(dir, e))?;
    events.reverse();
    for event in &events {
        printer.event(out, &reader, event)?;
    }
    printer.table.release(out)?;
    if !args.follow {
        return Ok(Code::Done);
    }
    let mut seen = reader.end();
    loop {
        out.flush()?;
        let looked_at = Instant::now();
        log.refresh().map_err(|error| of_store(dir, error))?;
        let reader = log.reader();
        for event in reader.query(&behind(&region, seen)) {
            printer.event(out, &reader, &event.map_err(|error| of_store(dir, error))?)?;
        }
        seen = reader.end();
        out.flush()?;
        thread::sleep(PAUSE_MIN.max(looked_at.elapsed() * PAUSE_FACTOR));
    }
}

/// The part of a region from a sequence on.
fn behind(region: &Region, first: Sequence) -> Region {
    let span = region.sequence_span();
    let first = span.map_or(first, |span| span.first.max(first));
    let last = span.map_or(Sequence::MAX, |span| span.last);
    region.clone().sequences(first..=last)
}

struct Printer {
    json: bool,
    table: EventTable,
}

impl Printer {
    fn event(
        &mut self,
        out: &mut Output,
        reader: &Reader<FsStorage>,
        event: &Event,
    ) -> Result<(), Failure> {
        match self.json {
            true => out.json(&EventJson::new(event, reader)),
            false => self.table.event(out, reader, event),
        }
    }
}
