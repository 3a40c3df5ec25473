//! `annals repair`: a store that does not open, and what is kept of it.

use crate::compact::{files, filled};
use crate::runner::Bench;
use std::fs;

/// Flips a bit of an event in the first segment, and one of the second segment's header.
fn damage(bench: &Bench) {
    let path = bench.store().join("0000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(14).position(|window| window == b"private-note-4").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let path = bench.store().join("0000000002.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[70] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn repair_keeps_what_is_whole_and_lists_what_it_left() {
    let bench = filled();
    damage(&bench);
    let before = files(&bench);
    bench.run(&["verify"]).failed(1, &["repair --salvage"]);
    let target = bench.path("new");
    let target = target.to_str().unwrap();
    let ran = bench.run(&["repair", "--salvage", target]);
    assert_eq!(ran.code, 1, "{} {}", ran.out, ran.err);
    assert!(ran.out.starts_with("kept 199 events in "), "{}", ran.out);
    assert!(ran.out.contains("  0000000001.seg at byte "), "{}", ran.out);
    assert!(ran.out.contains(": event 4: "), "{}", ran.out);
    assert_eq!(files(&bench), before, "the damaged store is as it was");
    let told = bench.run(&["verify", "--store", target]).done().out;
    assert!(told.starts_with("whole: 199 events"), "{told}");
    bench.run(&["repair", "--salvage", target]).failed(2, &["is not empty"]);
}

#[test]
fn repair_of_a_whole_store_copies_it() {
    let bench = filled();
    let target = bench.path("new");
    let told = bench.json(&["repair", "--json", "--salvage", target.to_str().unwrap()]);
    assert_eq!((&told["kept_events"], &told["losses"]), (&200.into(), &serde_json::json!([])));
    assert_eq!(told["verified"]["complete"], true);
    // A meta log has a salt of its own, and the copy's is written anew.
    let segments = files(&bench).into_iter().filter(|(name, _)| name.ends_with(".seg"));
    assert!(segments.clone().count() > 1);
    for (name, bytes) in segments {
        assert_eq!(fs::read(target.join(&name)).unwrap(), bytes, "{name}");
    }
    Bench::new().run(&["repair", "--salvage", "x"]).failed(2, &["there is no Annals store"]);
}
