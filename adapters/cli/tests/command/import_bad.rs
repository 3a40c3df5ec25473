//! What importing makes of rows, files and stores that are wrong.

use crate::runner::Bench;
use annals::{Store, StoreConfig};
use std::fs;

const HEADER: &str = "id,place,what,at,note\n";

fn count(bench: &Bench) -> u64 {
    bench.run(&["query", "--count"]).done().out.trim().parse().unwrap()
}

#[test]
fn a_bad_row_stops_the_import_with_its_line_and_column() {
    let bench = Bench::new();
    let rows = format!("{HEADER}a,b,c,1,\na,b,c,yesterday,\na,b,c,3,\n");
    bench.import_csv(&rows, &[]).failed(
        1,
        &["rows.csv: line 3, column \"at\": \"yesterday\" is no time", "1 event", "--skip-bad"],
    );
    assert_eq!(count(&bench), 1);
}

#[test]
fn line_numbers_count_lines_within_quotes_blank_lines_and_either_line_end() {
    for (end, name) in [("\n", "LF"), ("\r\n", "CRLF")] {
        let lines = [
            "\u{feff}id,place,what,at,note",
            "a,b,c,1,\"two",
            "lines\"",
            "",
            "a,b,c,2,\"three",
            "",
            "lines\"",
            "",
            "",
            "a,b,c,never,x",
            "a,b,c,3,x",
        ];
        let bench = Bench::new();
        let rows = lines.map(|line| format!("{line}{end}")).concat();
        let ran = bench.import_csv(&rows, &[]).failed(1, &[]);
        assert!(ran.err.contains("line 10, column \"at\""), "{name}: {}", ran.err);
        let ran = bench.import_csv(&rows.replace("never", "3,too,many"), &[]).failed(1, &[]);
        assert!(
            ran.err.contains("line 10: 7 fields, where the header has 5"),
            "{name}: {}",
            ran.err
        );
    }
}

#[test]
fn bad_rows_are_passed_over_counted_and_listed_if_asked() {
    let bench = Bench::new();
    let bad = (0..12).map(|n| format!("a,b,c,bad{n},\n")).collect::<String>();
    let rows = format!("{HEADER}a,b,c,1,\n,b,c,1,\na,b,!,1,\n{bad}a,b\na,b,c,2,\n");
    let ran = bench.import_csv(&rows, &["--skip-bad"]).done();
    assert!(ran.err.contains("skipped: line 3, column \"id\": entity is empty"), "{}", ran.err);
    assert!(ran.err.contains("line 4, column \"what\": \"!\" has no letter"), "{}", ran.err);
    assert!(ran.err.contains("skipped: 5 more bad rows"), "{}", ran.err);
    assert!(ran.out.contains("bad rows                15"), "{}", ran.out);
    assert_eq!(count(&bench), 2);
}

#[test]
fn too_many_bad_rows_stop_the_import_all_the_same() {
    let bench = Bench::new();
    let rows = format!("{HEADER}a,b,c,1,\na,b,c,x,\na,b,c,2,\na,b,c,y,\na,b,c,3,\n");
    let skip = ["--skip-bad", "--max-errors", "1"];
    let ran = bench.import_csv(&rows, &skip).failed(1, &["2 bad rows, more than 1 (2 events"]);
    assert!(ran.err.contains("line 3") && ran.err.contains("line 5"), "{}", ran.err);
    assert_eq!(count(&bench), 2);
    bench.import_csv(&rows, &["--skip-bad", "--max-errors", "2"]).done();
    bench.import_csv(&rows, &["--max-errors", "2"]).failed(2, &["--skip-bad"]);
}

#[test]
fn bad_json_lines_are_told_with_line_and_column() {
    let bench = Bench::new();
    for (rows, said) in [
        (
            "{\"id\":\"a\",\"what\":\"b\"}\n\n{\"id\":}\n",
            "stdin: line 3: expected value, at byte 7 of the line",
        ),
        ("[1]\n", "line 1: invalid type: sequence, expected an object"),
        ("{\"id\":\"a\"}\n", "line 1, column \"what\": is missing"),
        ("{\"id\":null,\"what\":\"b\"}\n", "line 1, column \"id\": is null"),
        ("{\"id\":{},\"what\":\"b\"}\n", "line 1, column \"id\": is an object"),
        ("{\"id\":1,\"id\":2,\"what\":\"b\"}\n", "line 1, column \"id\": the object has it twice"),
        (
            "{\"id\":\"a\\nb\",\"what\":\"b\"}\n",
            "column \"id\": entity holds the control character U+000A",
        ),
    ] {
        let args = ["import", "-", "--format", "jsonl", "--entity", "id", "--scope-value", "s"];
        let args = [&args[..], &["--kind", "what"]].concat();
        bench.run_with_stdin(&args, rows).failed(1, &[said]);
    }
}

#[test]
fn text_that_is_not_utf8_is_told_with_line_and_column() {
    let bench = Bench::new();
    let file = bench.file("rows.csv", b"id,note\na,fine\nb,caf\xE9\n");
    let args = ["import", file.to_str().unwrap(), "--entity", "id", "--scope-value", "s"];
    let args = [&args[..], &["--kind-name", "k"]].concat();
    bench.run(&args).failed(1, &["line 3, column \"note\": the text is not UTF-8"]);
    assert_eq!(count(&bench), 1);
}

#[test]
fn b06_a_key_that_belongs_to_another_row_is_a_bad_row() {
    let bench = Bench::new();
    let rows = format!("{HEADER}a,b,c,1,x\na,b,c,2,x\nother,b,c,3,x\n");
    bench
        .import_csv(&rows, &["--key", "note"])
        .failed(1, &["line 4: the idempotency key", "differs", "1 event", "1 there already"]);
    bench
        .import_csv(&format!("{HEADER}a,b,c,1,\n"), &["--key", "note"])
        .failed(1, &["key is empty"]);
}

#[test]
fn wrong_usage_is_told_before_anything_is_made() {
    let bench = Bench::new();
    let rows = format!("{HEADER}a,b,c,1,\n");
    let csv = bench.file("rows.csv", &rows);
    let csv = csv.to_str().unwrap();
    let text = bench.file("rows.txt", &rows);
    let text = text.to_str().unwrap();
    let columns = ["--entity", "id", "--scope", "place", "--kind", "what"];
    let with =
        |file: &str, more: &[&str]| bench.run(&[&["import", file][..], &columns, more].concat());
    with(csv, &["--time", "when"]).failed(
        2,
        &["there is no column \"when\"", "\"id\", \"place\", \"what\", \"at\", \"note\""],
    );
    with(text, &[]).failed(2, &["does not say how its rows are written", "--format csv"]);
    with("-", &[]).failed(2, &["stdin", "--format csv"]);
    with("missing.csv", &[]).failed(2, &["can't read missing.csv"]);
    with(bench.path("").to_str().unwrap(), &["--format", "csv"]).failed(2, &["is a directory"]);
    with("-", &["--format", "csv", "--key-row"]).failed(2, &["stdin has no name"]);
    with(csv, &["--batch", "0"]).failed(2, &["--batch"]);
    with(csv, &["--scope-value", "x"]).failed(2, &["--scope-value"]);
    let twice = bench.file("twice.csv", "id,place,what,id\n");
    with(twice.to_str().unwrap(), &[]).failed(2, &["the column \"id\" twice"]);
    let empty = bench.file("empty.csv", "");
    with(empty.to_str().unwrap(), &[]).failed(2, &["no header"]);
    bench.run(&["import", csv, "--entity", "id"]).failed(2, &["--scope", "--kind"]);
    assert!(!bench.store().exists());
}

#[test]
fn a_directory_with_other_files_is_never_made_a_store() {
    let bench = Bench::new();
    fs::create_dir(bench.store()).unwrap();
    fs::write(bench.store().join("letter.txt"), "dear").unwrap();
    let rows = format!("{HEADER}a,b,c,1,\n");
    bench.import_csv(&rows, &[]).failed(2, &["other files and no Annals store", "new or empty"]);
    assert_eq!(fs::read_dir(bench.store()).unwrap().count(), 1);
}

#[test]
fn b35_a_locked_store_is_told_and_can_be_read_meanwhile() {
    let bench = Bench::with_rows("id,place,what,at\na,b,c,1\n");
    let writer = Store::open(StoreConfig::new(bench.store())).unwrap();
    let rows = format!("{HEADER}a,b,c,1,\n");
    bench.import_csv(&rows, &[]).failed(1, &["another writer has the store", "next:"]);
    assert_eq!(count(&bench), 1);
    writer.close().unwrap();
    bench.import_csv(&rows, &[]).done();
}
