//! `annals erase`: no byte is left, a record is, and nobody erases by accident.

use crate::compact::{files, filled};

const SECRET: &[u8] = b"private-note-198";

fn leaks(files: &[(String, Vec<u8>)]) -> usize {
    let holds = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET);
    files.iter().filter(|(_, bytes)| holds(bytes)).count()
}

#[test]
fn b37_erase_leaves_no_byte_and_one_record() {
    let bench = filled();
    let before = files(&bench);
    assert!(leaks(&before) > 0);
    let plan = bench.json(&["erase", "--entity", "person:7", "--dry-run", "--json"]);
    assert_eq!((&plan["erased"], &plan["dry_run"]), (&100.into(), &true.into()));
    let told = bench.run(&["erase", "--entity", "person:7", "--dry-run"]).done().out;
    assert!(told.contains("100 events with") && told.contains("nothing was changed"), "{told}");
    bench.run(&["erase", "--entity", "person:7"]).failed(2, &["100 events", "--yes"]);
    assert_eq!(files(&bench), before);
    let told = bench.run(&["erase", "--entity", "person:7", "--yes"]).done().out;
    assert_eq!(told, "erased 100 events; event 200 records it\n");
    assert_eq!(leaks(&files(&bench)), 0);
    assert!(bench.run(&["verify"]).done().out.contains("100 events have been erased"));
    assert_eq!(bench.events(&["--kind", "0xD001"]).len(), 1);
    let told = bench.run(&["erase", "--entity", "person:7", "--yes"]).done().out;
    assert!(told.contains("nothing to erase") && told.contains("100 events were erased before"));
}

#[test]
fn b37_erase_takes_one_event_by_its_id() {
    let bench = filled();
    let id = bench.events(&["--limit", "1"])[0]["id"].as_str().unwrap().to_owned();
    let done = bench.json(&["erase", "--id", &id, "--yes", "--json"]);
    assert_eq!((&done["erased"], &done["record"]), (&1.into(), &200.into()));
    let unknown = "018bcfe5-6801-7803-b333-333333333333";
    bench.run(&["erase", "--id", unknown, "--yes"]).failed(1, &["no event has the id"]);
}

#[test]
fn erase_wants_to_be_told_what() {
    let bench = filled();
    bench.run(&["erase", "--yes"]).failed(2, &["nothing says what is to be erased", "--all"]);
    assert_eq!(bench.json(&["erase", "--all", "--yes", "--json"])["erased"], 200);
}
