//! What came out: tables in Markdown, all figures in JSON, growth as pictures.

mod browser;
mod markdown;
mod plot;

use crate::bench::Bench;
use crate::engine::Result;
use crate::machine::Facts;
use crate::sheet::{FLOOR, OURS, Sheet, Unit};
use crate::workload::{durable, grown};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

pub use browser::draw as draw_browser;

/// What is told of a run, wherever it ran.
#[derive(Debug)]
pub struct Report<'a> {
    pub sheet: &'a Sheet,
    pub facts: &'a Facts,
    pub rounds: usize,
    /// The engines in the order of their columns, Annals first.
    pub columns: Vec<&'static str>,
    /// How to read the tables.
    pub how: &'static str,
    /// What stands behind the tables.
    pub notes: String,
    /// Rows that are drawn as they grow, and the names of the files.
    pub pictures: &'static [(&'static str, &'static str)],
}

const HOW: &str = "Every figure is a cost: less is better. The column **annals** has the median \
over the rounds and, in brackets, the quartiles. The other columns are ratios of medians: 2.00 \
costs twice what Annals costs, **bold** costs less than Annals. *floor* is the machine itself: bare \
writes of the same bytes, with `fdatasync` where appends are durable, and reads with a CRC. A dash: \
the engine has no such thing, or would take too long.";
const PICTURES: &[(&str, &str)] = &[
    (grown::LOAD, "load"),
    (grown::OPEN, "open"),
    (grown::GET, "get"),
    (grown::STREAM, "stream"),
    (grown::POLL, "poll"),
    (grown::BORROWED, "replay-borrowed"),
    (grown::OWNED, "replay-owned"),
    (grown::HEAP, "heap"),
    (grown::DISK, "disk"),
];

/// Shows the tables, and writes all of it to `out` if there is one.
pub fn write(bench: &Bench, facts: &Facts, out: Option<&Path>) -> Result<()> {
    let kinds = || bench.engines.iter();
    let peers = kinds().map(|kind| kind.name).filter(|name| *name != OURS);
    let peers = peers.flat_map(|name| [name, durable::grouped_name(name)]);
    let mut columns = vec![OURS];
    for name in peers.chain([FLOOR]) {
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    let named: String =
        kinds().map(|kind| format!("- **{}**: {}.\n", kind.name, kind.note)).collect();
    let notes = format!(
        "## Engines\n\nHow each was opened: not synced / durable.\n\n{named}\
         - **+ group**: the same engine, behind a thread of the application's that takes all \
         appends that wait, 256 at most, into one transaction.\n"
    );
    let (sheet, rounds) = (&bench.sheet, bench.rounds);
    let report = Report { sheet, facts, rounds, columns, how: HOW, notes, pictures: PICTURES };
    report.write(out)
}

impl Report<'_> {
    fn write(&self, out: Option<&Path>) -> Result<()> {
        let tables = markdown::page(self);
        println!("{tables}");
        let Some(out) = out else { return Ok(()) };
        fs::create_dir_all(out)?;
        fs::write(out.join("tables.md"), tables)?;
        fs::write(out.join("tables.json"), serde_json::to_string_pretty(&self.figures())?)?;
        plot::growth(self, out)
    }

    fn figures(&self) -> Value {
        let row = |(row, costs): (&crate::sheet::Row, _)| {
            let unit = match row.unit {
                Unit::Time => "ns",
                Unit::Bytes => "bytes",
            };
            json!({
                "name": row.name,
                "unit": unit,
                "events": row.events,
                "payload_bytes": row.payload,
                "costs": costs,
            })
        };
        let rows: Vec<Value> = self.sheet.rows().map(row).collect();
        json!({ "machine": self.facts, "rows": rows })
    }
}

/// Three digits and a unit that fits.
pub fn shown(unit: Unit, cost: f64) -> String {
    let (steps, names): (_, &[&str]) = match unit {
        Unit::Time => (1_000.0, &["ns", "us", "ms", "s"]),
        Unit::Bytes => (1_024.0, &["B", "KiB", "MiB", "GiB"]),
    };
    let mut step = 0;
    let mut value = cost;
    while value >= steps && step + 1 < names.len() {
        value /= steps;
        step += 1;
    }
    let name = names[step];
    if value < 10.0 {
        format!("{value:.2} {name}")
    } else if value < 100.0 {
        format!("{value:.1} {name}")
    } else {
        format!("{value:.0} {name}")
    }
}
