//! Real events in, and counted to the row.

use crate::runner::{Bench, receipt_csv};
use std::fs::File;

const COLUMNS: [&str; 8] = [
    "--entity",
    "case:concept:name",
    "--scope",
    "case:department",
    "--kind",
    "concept:name",
    "--time",
    "time:timestamp",
];

#[test]
fn the_receipts_are_counted_to_the_row() {
    let Some(csv) = receipt_csv() else { return };
    let bench = Bench::new();
    let import = [&["import", csv.to_str().unwrap(), "--key-row", "--json"][..], &COLUMNS].concat();
    let summary = bench.json(&import);
    for (name, number) in [("rows", 8577), ("events", 8577), ("entities", 1434), ("kinds", 27)] {
        assert_eq!(summary[name], number, "{summary}");
    }
    let stats = bench.json(&["stats", "--json"]);
    assert_eq!((&stats["events"], &stats["entities"]), (&8577.into(), &1434.into()));
    assert_eq!(stats["kinds"].as_array().unwrap().len(), 27);
    let report = bench.json(&["verify", "--json"]);
    for (name, number) in [("events", 8577), ("streams", 1434)] {
        assert_eq!(report[name], number, "{report}");
    }
    assert_eq!(report["whole"], true, "{report}");
    let again = bench.json(&import);
    assert_eq!((&again["events"], &again["known"]), (&0.into(), &8577.into()));
    assert_eq!(bench.run(&["streams", "--json"]).done().out.lines().count(), 1434);
}

#[test]
fn every_receipt_reads_back_as_it_stood_in_the_file() {
    let Some(path) = receipt_csv() else { return };
    let bench = Bench::new();
    let path = path.to_str().unwrap();
    bench.run(&[&["import", path, "--keep-columns"][..], &COLUMNS].concat()).done();
    let events = bench.events(&[]);
    let mut rows = csv::Reader::from_reader(File::open(path).unwrap());
    let columns = rows.headers().unwrap().clone();
    let mut count = 0;
    for (row, event) in rows.records().zip(&events) {
        let row = row.unwrap();
        for (column, value) in columns.iter().zip(&row) {
            assert_eq!(event["payload"][column], value, "{column} of {event}");
        }
        assert_eq!(event["entity"], event["payload"]["case:concept:name"]);
        assert_eq!(event["scope"], event["payload"]["case:department"]);
        count += 1;
    }
    assert_eq!((count, events.len()), (8577, 8577));
    let first = &events[0];
    assert_eq!(first["time"], "2011-10-11T11:45:40.276000Z");
    assert_eq!(first["kind_name"], "Confirmation-of-receipt");
}
