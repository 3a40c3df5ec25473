//! The pages of the book that tell of the command say what it does.
//!
//! `docs/reference/command.md` is its `--help`: after a change that is meant, write the page anew
//! with `SNAPSHOTS=overwrite cargo test -p annals-cli --test command reference`.

use crate::runner::{Bench, bare, ran};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands before it on the page is written by hand.
const BEGIN: &str = "<!-- from here on: what --help prints, checked by a test -->\n";

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

fn help(args: &[&str]) -> String {
    let mut command = bare(&[args, &["--help"]].concat());
    command.env("COLUMNS", "100");
    ran(command.output().unwrap()).done().out
}

/// The commands, as the help lists them.
fn commands() -> Vec<String> {
    let help = help(&[]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty());
    let first = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    first.filter(|name| !matches!(*name, "" | "help")).map(Into::into).collect()
}

#[test]
fn the_page_of_the_command_is_its_help() {
    let path = page("reference/command.md");
    let text = fs::read_to_string(&path).unwrap();
    let (by_hand, _) = text.split_once(BEGIN).expect("the page has its mark");
    let mut expected = format!("{by_hand}{BEGIN}");
    let mut add = |title: &str, help: &str| {
        write!(expected, "\n## {title}\n\n```text\n{}\n```\n", help.trim_end()).unwrap();
    };
    add("annals", &help(&[]));
    for name in commands() {
        add(&format!("annals {name}"), &help(&[&name]));
    }
    snapbox::assert_data_eq!(expected, snapbox::Data::read_from(&path, None).raw());
}

#[test]
fn every_command_tells_its_exit_codes_and_takes_the_store_the_same_way() {
    let commands = commands();
    assert!(commands.len() > 15, "{commands:?}");
    for name in commands {
        let help = help(&[&name]);
        assert!(help.contains("Exit codes"), "{help}");
        assert!(help.contains("--store <DIR>"), "{help}");
    }
}

#[test]
fn shells_and_man_know_every_command() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.run(&["completions", shell]).done().out;
        for name in commands() {
            assert!(script.contains(&name), "{shell} does not know {name}");
        }
    }
    let page = bench.run(&["man"]).done().out;
    assert!(page.contains(".TH annals 1"), "{page}");
    fs::create_dir(bench.path("man1")).unwrap();
    bench.run(&["man", "--out", "man1"]).done();
    for name in commands() {
        assert!(page.contains(&format!("annals\\-{}(1)", name.replace('-', "\\-"))), "{name}");
        let one = bench.run(&["man", &name]).done().out;
        let written = fs::read_to_string(bench.path("man1").join(format!("annals-{name}.1")));
        assert_eq!(one, written.unwrap());
    }
}

/// The fields that a section of the page of reports names, in the first column of its tables.
fn documented(section: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(page("REPORTS.md")).unwrap();
    let sections = text.split("\n## ").find(|text| text.lines().next() == Some(section));
    let rows = sections.unwrap_or_else(|| panic!("{section} is not on the page")).lines();
    let cells = rows.filter_map(|row| row.strip_prefix("| ")?.split(" |").next());
    let names = cells.flat_map(|cell| cell.trim_end_matches(" *").split(", "));
    names.filter(|name| !matches!(*name, "field" | "---")).map(Into::into).collect()
}

/// The names of all fields in a value, but for those in payloads.
fn fields(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                names.insert(name.clone());
                if !matches!(name.as_str(), "payload" | "last" | "verified") {
                    fields(value, names);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| fields(value, names)),
        _ => {}
    }
}

#[test]
fn the_fields_of_every_report_are_those_on_the_page() {
    let bench = Bench::with_rows("id,place,what,at,n\na,s,k,1,1\na,s,l,2,2\nb,s,k,3,3\n");
    bench.file("bad.csv", "id\n\"\"\n");
    let append = "append --entity a --scope s --kind k --json 1";
    let import = "import bad.csv --entity id --scope-value s --kind-name k --skip-bad --json";
    // Fields that these runs don't have: of damage, of payloads that are no JSON.
    for (section, line, absent) in [
        ("append", append, &[][..]),
        ("import", import, &[]),
        ("query, tail, show", "show 0 --json", &["payload_hex", "count"]),
        ("query, tail, show", "query --count --json", &["*"]),
        ("streams", "streams --json --limit 1", &[]),
        ("stats", "stats --json", &[]),
        (
            "project",
            "project --count --json",
            &["last", "sequence", "sum", "numbers", "events", "without"],
        ),
        ("project", "project --last --json", &["count", "sum", "numbers", "events", "without"]),
        ("project", "project --sum $.n --json", &["count", "last", "sequence"]),
        (
            "verify",
            "verify --json",
            &["not_opened", "kind", "count", "file", "offset", "expected", "found"],
        ),
        ("compact", "compact --json", &[]),
        ("erase", "erase --stream b --yes --json", &[]),
        ("snapshot", "snapshot copy --json", &[]),
        ("export", "export backup --json", &[]),
        ("import-backup", "import-backup backup --store other --json", &[]),
        (
            "repair",
            "repair --salvage new --json",
            &["file", "offset", "first_sequence", "last_sequence", "reason"],
        ),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        let mut told = BTreeSet::new();
        fields(&bench.json(&args), &mut told);
        let mut expected = documented(section);
        if absent == ["*"] {
            assert!(expected.is_superset(&told), "{line}: {told:?}");
            continue;
        }
        expected.retain(|name| !absent.contains(&name.as_str()));
        assert_eq!(told, expected, "{line}");
    }
}
