//! What the command prints, word for word, against the files in `transcripts/`.
//!
//! After a change that is meant: `SNAPSHOTS=overwrite cargo test -p annals-cli --test command`, and
//! read the difference. Times come from the rows and ids from keys; what no test can fix, such as
//! how long it took, is replaced.

use crate::runner::Bench;
use snapbox::{Assert, Redactions, file};
use std::fmt::Write;

const ROWS: &str = "\
id,place,what,at,key,cents,note
order:5,shop,order.placed,2024-01-01T00:00:00Z,a,450,two of them
order:50,shop,order.placed,2024-01-02T00:00:00Z,b,1000,
order:5:line:1,shop,line.added,2024-01-03T00:00:00Z,c,20,größer
order:5,depot,order.sent,2024-01-04T00:00:00Z,d,0,\"a \"\"quote\"\"\"
order:5,shop,paid by card,2024-01-05T23:59:59.999999Z,e,450,\x1b[31mred
";

/// A bench whose store `shop` holds [`ROWS`].
fn shop() -> Bench {
    let bench = Bench::new();
    let file = bench.file("rows.csv", ROWS);
    let args = ["import", file.to_str().unwrap(), "--store", "shop", "--entity", "id"];
    let columns = ["--scope", "place", "--kind", "what", "--time", "at", "--key", "key"];
    bench.run(&[&args[..], &columns].concat()).done();
    bench
}

/// What a person sees who types these lines one after the other.
fn transcript(bench: &Bench, lines: &[&str]) -> String {
    let mut text = String::new();
    for line in lines {
        let args: Vec<&str> = line.split(' ').collect();
        let ran = bench.run(&args);
        writeln!(text, "$ annals {line}").unwrap();
        text.push_str(&ran.out);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        for said in ran.err.lines() {
            writeln!(text, "stderr: {said}").unwrap();
        }
        if ran.code != 0 {
            writeln!(text, "exit code {}", ran.code).unwrap();
        }
        text.push('\n');
    }
    text
}

fn assert_transcript(bench: &Bench, lines: &[&str], file: snapbox::Data) {
    let mut redactions = Redactions::new();
    for (name, pattern) in [
        ("[TIME]", r"(?<redacted>[0-9]+(\.[0-9]+)?(ns|µs|ms|s))[ ,\n]"),
        ("[SIZE]", r"(?<redacted>[0-9.]+ (B|KiB)) read in"),
        ("[RATE]", r"(?<redacted>[0-9,]+) rows/s"),
        ("[SECONDS]", r#""(seconds|rows_per_second)":(?<redacted>[0-9.e-]+)"#),
        ("[NOW]", r#""timestamp_us":(?<redacted>[0-9]+),"event_hash":"#),
        ("[HASH]", r#""event_hash":"(?<redacted>[0-9a-f]{64})","known"#),
    ] {
        redactions.insert(name, regex::Regex::new(pattern).unwrap()).unwrap();
    }
    let text = transcript(bench, lines);
    Assert::new()
        .normalize_paths(false)
        .action_env(snapbox::assert::DEFAULT_ACTION_ENV)
        .redact_with(redactions)
        .eq(text, file);
}

#[test]
fn events_as_a_table_as_csv_and_as_json() {
    let lines = [
        "query --store shop",
        "query --store shop --limit 2 --reverse",
        "query --store shop --entity order:5 --scope shop --format csv",
        "query --store shop --kind order.placed --json",
        "query --store shop --stream nobody",
        "query --store shop --stream nobody --format csv",
        "query --store shop --count",
        "query --store shop --count --json",
        "tail --store shop -n 2",
        "tail --store shop -n 1 --json",
    ];
    assert_transcript(&shop(), &lines, file!["transcripts/query.txt"]);
}

#[test]
fn one_event_and_all_in_numbers() {
    let lines = [
        "show --store shop 3",
        "show --store shop 4 --json",
        "streams --store shop",
        "streams --store shop --sort events --limit 1 --json",
        "project --store shop --count",
        "project --store shop --stream order:5 --sum $.cents",
        "project --store shop --sum $.cents --json",
        "project --store shop --last $.note --json",
    ];
    assert_transcript(&shop(), &lines, file!["transcripts/look.txt"]);
}

#[test]
fn graphs_in_each_format() {
    let lines = [
        "graph --store shop --stream order:5",
        "graph --store shop --stream order:5 --format mermaid",
        "graph --store shop --stream order:5 --limit 1 --json",
    ];
    assert_transcript(&shop(), &lines, file!["transcripts/graph.txt"]);
}

#[test]
fn appending_and_what_stands_against_it() {
    let bench = Bench::new();
    bench.file("payload.json", "\n{\"from\": \"a file\"}\n");
    let to = "append --store shop --entity order:5 --scope eu --kind";
    let lines = [
        "order.placed --key a {\"cents\":450}",
        "order.placed --key a {\"cents\":450}",
        "order.placed --key a {\"cents\":451}",
        "order.paid --key b --expect 0 --json {\"cents\":1.10}",
        "order.paid --key b --expect 0 --json {\"cents\":1.10}",
        "order.paid --expect 0 {}",
        "order.paid --expect no-stream {}",
        "order.paid --expect soon {}",
        "0x2001 --key c --file payload.json --payload-version 3 --metadata by-hand --flag replay",
        "0x2001 --key d --format raw -7,{",
        "0x2001 {\"cents\":",
        "0xD001 1",
        "0xBAD00 1",
        "!? 1",
        "a --file nowhere.json",
        "a --metadata-file - 1",
        "a",
    ];
    let lines: Vec<String> = lines.iter().map(|line| format!("{to} {line}")).collect();
    let mut lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    lines.push("query --store shop --count");
    assert_transcript(&bench, &lines, file!["transcripts/append.txt"]);
}

#[test]
fn keeping_a_store() {
    let lines = [
        "verify --store shop",
        "verify --store shop --json",
        "compact --store shop --dry-run",
        "compact --store shop",
        "compact --store shop --drop --kind line.added --dry-run",
        "compact --store shop --drop --kind line.added",
        "compact --store shop --drop --kind line.added --yes --json",
        "compact --store shop --kind line.added",
        "compact --store shop --drop",
        "erase --store shop --stream order:50 --dry-run",
        "erase --store shop --stream order:50 --dry-run --json",
        "erase --store shop --stream order:50",
        "erase --store shop --stream order:50 --yes",
        "erase --store shop --stream order:50 --yes --json",
        "erase --store shop",
        "query --store shop --sequences ..4",
        "verify --store shop",
        "repair --store shop --salvage new",
        "repair --store shop --salvage new",
    ];
    assert_transcript(&shop(), &lines, file!["transcripts/keep.txt"]);
}

#[test]
fn importing_and_what_is_wrong_with_rows() {
    let bench = shop();
    bench.file("bad.csv", "id,place,what,at\na,b,c,1\na,b,,2\n,b,c,3\na,b,c,soon\na,b,c,5\n");
    let bad = "import bad.csv --store shop --entity id --scope place --kind what --time at";
    let lines = [
        "import rows.csv --store shop --entity id --scope place --kind what --time at --key key",
        bad,
        &format!("{bad} --skip-bad"),
        &format!("{bad} --skip-bad --json"),
        &format!("{bad} --skip-bad --max-errors 1"),
        &bad.replace("what", "nothing"),
        &bad.replace("bad.csv", "nowhere.csv"),
        &bad.replace("bad.csv", "shop"),
    ];
    assert_transcript(&bench, &lines, file!["transcripts/import.txt"]);
}

#[test]
fn what_goes_wrong_says_what_to_do_next() {
    let bench = shop();
    bench.file("letter", "dear");
    std::fs::create_dir(bench.path("others")).unwrap();
    bench.file("others/letter", "dear");
    let lines = [
        "stats",
        "stats --store nowhere",
        "stats --store letter",
        "stats --store others",
        "append --store others --entity a --scope b --kind c 1",
        "show --store shop 17",
        "show --store shop nonsense",
        "show --store shop 00000000-0000-0000-0000-000000000000",
        "query --store shop --kind nothing",
        "query --store shop --kind 0x0001",
        "query --store shop --limit -1",
        "query --store shop --limit 99999999999999999999",
        "query --store shop --limit many",
        "query --store shop --sequences 3..1",
        "query --store shop --versions a..b",
        "query --store shop --category 16",
        "query --store shop --since yesterday",
        "query --store shop --correlation 17",
        "query --store shop --entity a --stream b",
        "query --store shop --format xml",
        "graph --store shop --limit 0",
        "project --store shop",
        "project --store shop --sum cents",
        "project --store shop --stream nobody --last",
        "verify --store shop --jobs 0",
        "export rows.csv --store shop",
        "export --store shop --json",
        "export backup --store shop --from 9",
        "import-backup rows.csv --store new",
        "snapshot others --store shop",
        "completions tcsh",
        "man nonsense",
        "nonsense",
        "stats --store shop --nonsense",
    ];
    let file = file!["transcripts/errors.txt"];
    // The test's own store must not stand in for one that was not named.
    assert_transcript(&bench.without_store(), &lines, file);
}
