//! A table of ratios for each size: Annals is 1, what is above costs more.

use crate::measure::Spread;
use crate::report::{Report, shown};
use crate::sheet::{FLOOR, OURS, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

type Rows<'a> = Vec<(&'a Row, BTreeMap<&'static str, Spread>)>;

pub fn page(report: &Report<'_>) -> String {
    let facts = report.facts;
    let rounds = report.rounds;
    let mut text = format!(
        "# Tables\n\nMade by `cargo xtask bench`; not edited by hand.\n\n```sh\n{}\n```\n\n\
         {} cores, {}, {}, {}, {}; {rounds} {}.\n\n{}\n",
        facts.command,
        facts.cores,
        facts.processor,
        facts.kernel,
        facts.file_system,
        facts.made_with,
        if rounds == 1 { "round" } else { "rounds" },
        report.how,
    );
    let rows: Rows<'_> = report.sheet.rows().collect();
    let sizes: BTreeSet<_> = rows.iter().map(|(row, _)| (row.payload, row.events)).collect();
    for (payload, events) in sizes {
        let of = |(row, _): &&(&Row, _)| (row.payload, row.events) == (payload, events);
        let part: Rows<'_> = rows.iter().filter(of).cloned().collect();
        let what = if events == 0 { "appends".into() } else { format!("{events} events") };
        let _ = write!(text, "\n## {payload} B, {what}\n\n");
        table(&mut text, report, &part);
    }
    let _ = write!(text, "\n{}", report.notes);
    text
}

fn table(text: &mut String, report: &Report<'_>, rows: &Rows<'_>) {
    let (ours, machine): (Rows<'_>, Rows<'_>) =
        rows.iter().cloned().partition(|(_, costs)| costs.contains_key(OURS));
    let peers = columns(report, &ours);
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

/// The peers that these rows have.
fn columns(report: &Report<'_>, rows: &Rows<'_>) -> Vec<&'static str> {
    let present: BTreeSet<&str> = rows.iter().flat_map(|(_, of)| of.keys().copied()).collect();
    let peers = report.columns.iter().filter(|name| **name != OURS);
    peers.copied().filter(|name| present.contains(name)).collect()
}

fn ratio(of: f64) -> String {
    let digits = if of < 10.0 { 2 } else { usize::from(of < 100.0) };
    if of < 0.995 { format!("**{of:.digits$}**") } else { format!("{of:.digits$}") }
}
