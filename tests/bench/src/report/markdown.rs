//! A table of ratios for each size: Annals is 1, what is above costs more.

use crate::bench::Bench;
use crate::machine::Facts;
use crate::measure::Spread;
use crate::report::shown;
use crate::sheet::{FLOOR, OURS, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

type Rows<'a> = Vec<(&'a Row, BTreeMap<&'static str, Spread>)>;

const HOW: &str = "Every figure is a cost: less is better. The column **annals** has the median \
over the rounds and, in brackets, the quartiles. The other columns are ratios of medians: 2.00 \
costs twice what Annals costs, **bold** costs less than Annals. *floor* is the machine itself: bare \
writes of the same bytes, with `fdatasync` where appends are durable, and reads with a CRC. A dash: \
the engine has no such thing, or would take too long.";

pub fn page(bench: &Bench, facts: &Facts) -> String {
    let mut text = format!(
        "# Tables\n\nMade by `cargo xtask bench`; not edited by hand.\n\n```sh\n{}\n```\n\n\
         {} cores, {}, {}, {}, {}; {} rounds.\n\n{HOW}\n",
        facts.command,
        facts.cores,
        facts.processor,
        facts.kernel,
        facts.file_system,
        facts.rustc,
        bench.rounds
    );
    let rows: Rows<'_> = bench.sheet.rows().collect();
    let sizes: BTreeSet<_> = rows.iter().map(|(row, _)| (row.payload, row.events)).collect();
    for (payload, events) in sizes {
        let of = |(row, _): &&(&Row, _)| (row.payload, row.events) == (payload, events);
        let part: Rows<'_> = rows.iter().filter(of).cloned().collect();
        let what = if events == 0 { "appends".into() } else { format!("{events} events") };
        let _ = write!(text, "\n## {payload} B, {what}\n\n");
        table(&mut text, bench, &part);
    }
    let _ = write!(text, "\n## Engines\n\nHow each was opened: not synced / durable.\n\n");
    for kind in &bench.engines {
        let _ = writeln!(text, "- **{}**: {}.", kind.name, kind.note);
    }
    text.push_str(
        "- **+ group**: the same engine, behind a thread of the application's that takes all \
         appends that wait, 256 at most, into one transaction.\n",
    );
    text
}

fn table(text: &mut String, bench: &Bench, rows: &Rows<'_>) {
    let (ours, machine): (Rows<'_>, Rows<'_>) =
        rows.iter().cloned().partition(|(_, costs)| costs.contains_key(OURS));
    let peers = columns(bench, &ours);
    let _ = writeln!(text, "| | annals | {} |", peers.join(" | "));
    let _ = writeln!(text, "| --- | --- |{}", " --- |".repeat(peers.len()));
    for (row, costs) in &ours {
        let own = costs[OURS];
        let [low, median, high] = [own.low, own.median, own.high].map(|of| shown(row.unit, of));
        let _ = write!(text, "| {} | {median} ({low} to {high}) |", row.name);
        for peer in &peers {
            let cell = costs.get(peer).map_or("-".into(), |of| ratio(of.median / own.median));
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    for (at, (row, costs)) in machine.iter().enumerate() {
        let lead = if at == 0 { "\n" } else { "" };
        if let Some(floor) = costs.get(FLOOR) {
            let _ = writeln!(text, "{lead}- {}: {}", row.name, shown(row.unit, floor.median));
        }
    }
}

/// The engines of these rows, those with a group commit behind themselves.
fn columns(bench: &Bench, rows: &Rows<'_>) -> Vec<&'static str> {
    let present: BTreeSet<&str> = rows.iter().flat_map(|(_, of)| of.keys().copied()).collect();
    let grouped = |name| crate::workload::durable::grouped_name(name);
    let names = bench.engines.iter().map(|kind| kind.name).filter(|name| *name != OURS);
    let names = names.flat_map(|name| [name, grouped(name)]).chain([FLOOR]);
    let mut columns: Vec<&'static str> = Vec::new();
    for name in names {
        if present.contains(name) && !columns.contains(&name) {
            columns.push(name);
        }
    }
    columns
}

fn ratio(of: f64) -> String {
    let digits = if of < 10.0 { 2 } else { usize::from(of < 100.0) };
    if of < 0.995 { format!("**{of:.digits$}**") } else { format!("{of:.digits$}") }
}
