//! `annals compact`: merging, and dropping what a filter says.

use crate::runner::Bench;
use annals::{Coordinate, EventKind, Payload, Store, StoreConfig};
use std::fs;

/// 200 events over several sealed segments, of two entities in turn.
pub(crate) fn filled() -> Bench {
    let bench = Bench::new();
    let config = StoreConfig::new(bench.store()).with_segment_max_bytes(8 * 1024);
    let store = Store::open(config).unwrap();
    for number in 0..200 {
        let entity = if number % 2 == 0 { "person:7" } else { "order:1" };
        let text = format!("private-note-{number}");
        let at = Coordinate::new(entity, "crm").unwrap();
        store.append(&at, EventKind::new(1, 1), Payload::raw(text)).unwrap();
    }
    store.close().unwrap();
    bench
}

/// The files and their bytes, the lock aside.
pub(crate) fn files(bench: &Bench) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(bench.store()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name != "LOCK" {
            files.push((name, fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn b37_compact_merges_and_loses_nothing() {
    let bench = filled();
    let (before, events) = (files(&bench), bench.events(&[]));
    let told = bench.run(&["compact", "--dry-run"]).done().out;
    assert!(told.contains("would become") && told.contains("nothing was changed"), "{told}");
    assert_eq!(files(&bench), before);
    let told = bench.run(&["compact", "--seal"]).done().out;
    assert!(told.starts_with("merged 200 events"), "{told}");
    assert_eq!(files(&bench).iter().filter(|(name, _)| name.ends_with(".seg")).count(), 1);
    assert_eq!(bench.events(&[]), events);
    assert_eq!(bench.run(&["compact"]).done().out, "there was nothing to do\n");
    bench.run(&["verify", "--jobs", "2"]).done();
}

#[test]
fn b37_compact_drops_what_the_filter_says_and_only_if_it_is_sure() {
    let bench = filled();
    let before = files(&bench);
    let going = ["--drop", "--entity", "person:7"];
    let plan = bench.json(&[&["compact", "--dry-run", "--json"][..], &going].concat());
    assert_eq!((&plan["dropped_events"], &plan["dry_run"]), (&100.into(), &true.into()));
    bench.run(&[&["compact"][..], &going].concat()).failed(2, &["100 events", "--yes"]);
    assert_eq!(files(&bench), before);
    let told = bench.run(&[&["compact", "--yes"][..], &going].concat()).done().out;
    assert!(told.starts_with("dropped 100 events"), "{told}");
    assert_eq!(bench.run(&["query", "--count"]).done().out, "100\n");
    let told = bench.run(&["verify"]).done().out;
    assert!(told.contains("dropped by retention"), "{told}");
}

#[test]
fn compact_refuses_a_filter_without_drop_and_drop_without_a_filter() {
    let bench = filled();
    bench.run(&["compact", "--entity", "person:7"]).failed(2, &["with --drop"]);
    bench.run(&["compact", "--drop", "--yes"]).failed(2, &["--drop needs a filter"]);
    Bench::new().run(&["compact"]).failed(2, &["there is no directory"]);
}
