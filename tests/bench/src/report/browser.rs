//! The samples of a run in a browser, as `web/bench` leaves them, told as those of a run here are.

use crate::engine::Result;
use crate::machine::Facts;
use crate::report::Report;
use crate::sheet::{Row, Sheet, Unit};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const HOW: &str = "Every figure is a cost: less is better. The column **annals** has the median \
over the rounds and, in brackets, the quartiles. The other columns are ratios of medians: 2.00 \
costs twice what Annals costs, **bold** costs less than Annals. All engines but *annals client* run \
in the worker that calls them. A dash: the engine has no such thing. A p50 or p99 is that of one \
round's appends, its median that over the rounds.";
const PICTURES: &[(&str, &str)] = &[
    ("load in batches, relaxed, an event", "load"),
    ("open after it was closed", "open"),
    ("open after its worker was ended", "open-after-end"),
    ("get by id", "get"),
    ("read a stream of 100", "stream"),
    ("query by scope and type, an event", "query"),
    ("replay, an event", "replay"),
    ("projection of 100 events", "project"),
    ("append until a subscriber has it", "tail"),
];

/// What `web/bench/run.mjs` writes.
#[derive(Debug, Deserialize)]
struct Samples {
    arguments: Vec<String>,
    browser: String,
    rounds: usize,
    engines: Vec<Named>,
    operations: Vec<Operations>,
    rows: Vec<Sampled>,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    note: String,
}

#[derive(Debug, Deserialize)]
struct Sampled {
    name: String,
    events: usize,
    payload_bytes: usize,
    /// Nanoseconds, by engine.
    samples: BTreeMap<String, Vec<f64>>,
}

/// What an engine does with its files, an append.
#[derive(Debug, Deserialize)]
struct Operations {
    engine: String,
    class: String,
    payload_bytes: usize,
    each: BTreeMap<String, f64>,
}

/// Makes tables and plots of a file of samples.
pub fn draw(samples: &Path, facts: Facts, out: Option<&Path>) -> Result<()> {
    let samples: Samples = serde_json::from_str(&fs::read_to_string(samples)?)?;
    // Names of engines are static everywhere else; these live as long as the program, too.
    let columns: Vec<&'static str> =
        samples.engines.iter().map(|named| &*named.name.clone().leak()).collect();
    let mut sheet = Sheet::default();
    for row in &samples.rows {
        let (name, events, payload) = (row.name.clone(), row.events, row.payload_bytes);
        let of = Row { name, unit: Unit::Time, events, payload };
        for engine in &columns {
            for cost in row.samples.get(*engine).into_iter().flatten() {
                sheet.put(&of, engine, *cost);
            }
        }
    }
    let facts =
        Facts { command: command(&samples.arguments), made_with: samples.browser.clone(), ..facts };
    let notes = notes(&samples);
    let (rounds, how, pictures) = (samples.rounds, HOW, PICTURES);
    Report { sheet: &sheet, facts: &facts, rounds, columns, how, notes, pictures }.write(out)
}

fn command(arguments: &[String]) -> String {
    let mut words = vec!["cargo xtask bench --web --".to_owned()];
    words.extend_from_slice(arguments);
    words.push("--out docs/benchmarks/browser".to_owned());
    words.join(" ")
}

fn notes(samples: &Samples) -> String {
    let mut text = "## Operations on files, an append\n\nThrough access handles, by the engine in \
                    the worker that calls it; single appends into an empty store, its making left \
                    out. What a browser does for IndexedDB nobody can count.\n\n\
                    | | payload | writes | bytes written | flushes | reads | truncates |\n\
                    | --- | --- | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for row in &samples.operations {
        let each = |name: &str| row.each.get(name).copied().unwrap_or(0.0);
        let _ = writeln!(
            text,
            "| {}, {} | {} B | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} |",
            row.engine,
            row.class,
            row.payload_bytes,
            each("write"),
            each("write bytes"),
            each("flush"),
            each("read"),
            each("truncate"),
        );
    }
    text.push_str("\n## Engines\n\n");
    for Named { name, note } in &samples.engines {
        let _ = writeln!(text, "- **{name}**: {note}.");
    }
    text
}
