//! What came out: tables in Markdown, all figures in JSON, growth as pictures.

mod markdown;
mod plot;

use crate::bench::Bench;
use crate::engine::Result;
use crate::machine::Facts;
use crate::sheet::Unit;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Shows the tables, and writes all of it to `out` if there is one.
pub fn write(bench: &Bench, facts: &Facts, out: Option<&Path>) -> Result<()> {
    let tables = markdown::page(bench, facts);
    println!("{tables}");
    let Some(out) = out else { return Ok(()) };
    fs::create_dir_all(out)?;
    fs::write(out.join("tables.md"), tables)?;
    fs::write(out.join("tables.json"), serde_json::to_string_pretty(&figures(bench, facts))?)?;
    plot::growth(bench, out)
}

fn figures(bench: &Bench, facts: &Facts) -> Value {
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
    let rows: Vec<Value> = bench.sheet.rows().map(row).collect();
    json!({ "machine": facts, "rows": rows })
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
