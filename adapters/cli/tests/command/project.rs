//! `annals project`.

use crate::runner::{Bench, receipt_csv};
use std::collections::BTreeMap;
use std::fs::File;

const ROWS: &str = r#"{"id":"order:5","what":"placed","cents":10.1,"lines":[{"n":1},{"n":2}]}
{"id":"order:5","what":"placed","cents":"20.20","status":"open"}
{"id":"order:50","what":"placed","cents":1000}
{"id":"order:5","what":"paid","cents":null,"lines":[{"n":4}]}
"#;

fn shop() -> Bench {
    let bench = Bench::new();
    let file = bench.file("rows.jsonl", ROWS);
    let file = file.to_str().unwrap();
    let args = ["import", file, "--entity", "id", "--scope-value", "shop", "--kind", "what"];
    bench.run(&args).done();
    bench
}

#[test]
fn events_are_counted() {
    let bench = shop();
    for (filters, count) in [
        (&[][..], 4),
        (&["--entity", "order:5"], 3),
        (&["--entity", "order:5", "--kind", "paid"], 1),
        (&["--entity", "nobody"], 0),
    ] {
        let ran = bench.run(&[&["project", "--count"], filters].concat()).done();
        assert_eq!(ran.out, format!("{count}\n"));
        assert_eq!(
            bench.json(&[&["project", "--count", "--json"], filters].concat())["count"],
            count
        );
    }
}

#[test]
fn the_last_value_is_that_of_the_newest_event_which_has_one() {
    let bench = shop();
    let last = |path: &str| bench.run(&["project", "--entity", "order:5", "--last", path]).done();
    assert_eq!(last("$.cents").out, "null\n");
    let status = last("$.status");
    assert_eq!(status.out, "\"open\"\n");
    assert!(status.err.contains("1 newer event has no value at $"), "{}", status.err);
    assert_eq!(last("$.lines[*].n").out, "4\n");
    let whole = bench.run(&["project", "--entity", "order:5", "--last", "--json"]).done().out;
    let whole: serde_json::Value = serde_json::from_str(&whole).unwrap();
    assert_eq!((&whole["sequence"], &whole["last"]["lines"][0]["n"]), (&3.into(), &4.into()));
    bench
        .run(&["project", "--entity", "order:5", "--last", "$.colour"])
        .failed(1, &["none of 3 events has a value at $", "annals query"]);
    bench.run(&["project", "--entity", "nobody", "--last"]).failed(1, &["no event passes"]);
}

#[test]
fn numbers_are_added_exactly_and_what_has_none_is_told() {
    let bench = shop();
    let sum = |path: &str| bench.run(&["project", "--entity", "order:5", "--sum", path]).done();
    let cents = sum("$.cents");
    assert_eq!(cents.out, "30.30\n");
    assert!(cents.err.contains("1 of 3 events have no number at $"), "{}", cents.err);
    assert_eq!(sum("$.lines[*].n").out, "7\n");
    let json = bench.json(&["project", "--entity", "order:5", "--sum", "$.cents", "--json"]);
    assert_eq!(json.to_string(), r#"{"events":3,"numbers":2,"sum":30.3,"without":1}"#);
    assert_eq!(bench.run(&["project", "--entity", "nobody", "--sum", "$.x"]).done().out, "0\n");
    let huge = "{\"id\":\"a\",\"what\":\"x\",\"n\":1e300}\n";
    let file = bench.file("huge.jsonl", huge);
    let file = file.to_str().unwrap();
    bench.run(&["import", file, "--entity", "id", "--scope-value", "s", "--kind", "what"]).done();
    bench
        .run(&["project", "--stream", "a", "--sum", "$.n"])
        .failed(1, &["event #4", "too many digits"]);
}

#[test]
fn one_reduction_is_named_and_a_path_is_a_path() {
    let bench = shop();
    bench.run(&["project"]).failed(2, &["--count"]);
    bench.run(&["project", "--count", "--sum", "$.x"]).failed(2, &["--sum"]);
    bench.run(&["project", "--sum", "cents"]).failed(2, &["$.total"]);
}

#[test]
fn real_receipts_are_counted_as_their_file_says() {
    let Some(path) = receipt_csv() else { return };
    let bench = Bench::new();
    let columns = ["case:concept:name", "case:department", "concept:name", "time:timestamp"];
    let [entity, scope, kind, time] = columns;
    let file = path.to_str().unwrap();
    let import = ["import", file, "--entity", entity, "--scope", scope, "--kind", kind];
    bench.run(&[&import[..], &["--time", time]].concat()).done();
    let mut rows = csv::Reader::from_reader(File::open(&path).unwrap());
    let headers = rows.headers().unwrap().clone();
    let column = headers.iter().position(|name| name == scope).unwrap();
    let mut by_scope: BTreeMap<String, u64> = BTreeMap::new();
    for row in rows.records() {
        *by_scope.entry(row.unwrap()[column].to_owned()).or_default() += 1;
    }
    assert!(by_scope.len() > 1);
    for (scope, count) in by_scope {
        let counted = bench.run(&["project", "--count", "--scope", &scope]).done().out;
        assert_eq!(counted, format!("{count}\n"), "{scope}");
    }
}
