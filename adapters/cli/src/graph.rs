//! `annals graph`: why things happened, as a drawing or for programs.

mod svg;

use crate::args::{GraphArgs, GraphFormat};
use crate::failure::{Code, Failure};
use crate::open::{self, of_store};
use crate::output::{Output, counted, note};
use crate::show;
use annals::{CausalGraph, EventKind, FsStorage, Reader, Region};
use std::path::Path;

pub(crate) fn run(dir: &Path, args: &GraphArgs, out: &mut Output) -> Result<Code, Failure> {
    let log = open::for_reading(dir)?;
    let reader = log.reader();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let graph = match &args.id {
        Some(id) => {
            let event = show::find(&reader, id, dir)?;
            CausalGraph::of_event(&reader, event.id(), limit)
        }
        None => CausalGraph::of_region(&reader, &region(args, &reader)?, limit),
    };
    let graph = graph.map_err(|error| of_store(dir, error))?;
    let name = |kind: EventKind| reader.kind_name(kind).map(|name| name.to_string());
    let format = if args.json { GraphFormat::Json } else { args.format };
    let drawing = match format {
        GraphFormat::Dot => graph.to_dot(&name),
        GraphFormat::Mermaid => graph.to_mermaid(&name),
        GraphFormat::Json => graph.to_json(&name),
        GraphFormat::Svg => svg::draw(&graph, &name),
    };
    out.line(drawing.trim_end())?;
    if graph.is_cut() {
        let events = counted(graph.nodes().len() as u64, "event", "events");
        note(format_args!("cut at {events}; --limit takes more"));
    }
    Ok(Code::Done)
}

/// The events that the filters say. What belongs together may be asked for by any of its events.
fn region(args: &GraphArgs, reader: &Reader<FsStorage>) -> Result<Region, Failure> {
    let region = args.region.region(reader)?;
    let Some(id) = args.region.correlation() else { return Ok(region) };
    let known = reader.get(id).map(|event| event.header.correlation);
    Ok(region.correlation(known.unwrap_or(id)))
}
