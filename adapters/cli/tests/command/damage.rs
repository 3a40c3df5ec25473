//! Damaged stores: told with file and place, and never answered from.

use crate::runner::Bench;
use annals::{Coordinate, EventKind, Payload, Store, StoreConfig};
use serde_json::Value;
use std::fs;
use std::io::Write;

const ROWS: &str = "id,place,what,at,note\na,b,c,1,first\na,b,c,2,second\na,b,c,3,third\n";

/// Flips one bit within the first event's payload.
fn damage(bench: &Bench) {
    let path = bench.store().join("0000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|window| window == b"first").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn b36_every_command_tells_damage_with_file_and_place() {
    let bench = Bench::with_rows(ROWS);
    damage(&bench);
    for args in [&["stats"][..], &["tail"], &["query"], &["show", "0"], &["streams"]] {
        let ran = bench.run(args).failed(1, &["0000000001.seg is damaged at byte", "verify"]);
        assert!(!ran.out.contains("first") && !ran.out.contains("girst"), "{}", ran.out);
    }
    bench.import_csv(ROWS, &[]).failed(1, &["0000000001.seg is damaged at byte"]);
}

#[test]
fn b39_verify_tells_a_whole_store() {
    let bench = Bench::with_rows(ROWS);
    let told = bench.run(&["verify"]).done().out;
    assert!(told.starts_with("whole: 3 events of 1 stream in 1 segment, "), "{told}");
    let report = bench.json(&["verify", "--json"]);
    assert_eq!((&report["whole"], &report["complete"]), (&true.into(), &true.into()));
    assert_eq!((&report["events"], &report["streams"]), (&3.into(), &1.into()));
    assert_eq!(report["faults"], serde_json::json!([]));
}

#[test]
fn b39_verify_tells_a_damaged_store_by_its_exit_code() {
    let bench = Bench::with_rows(ROWS);
    damage(&bench);
    let ran = bench.run(&["verify"]).failed(1, &["the store is damaged", "next:"]);
    assert!(ran.out.starts_with("damaged:") && ran.out.contains("0000000001.seg"), "{}", ran.out);
    let report: Value = serde_json::from_str(&bench.run(&["verify", "--json"]).out).unwrap();
    assert_eq!(report["whole"], false);
}

#[test]
fn b39_verify_tells_what_it_could_not_look_at_by_its_exit_code() {
    let bench = Bench::new();
    bench.run(&["verify"]).failed(2, &["there is no directory"]);
    fs::create_dir(bench.store()).unwrap();
    bench.run(&["verify"]).failed(2, &["there is no Annals store in"]);
}

#[test]
fn b39_verify_finds_damage_that_opening_does_not_see() {
    let bench = Bench::new();
    let config = StoreConfig::new(bench.store()).with_segment_max_bytes(4096);
    let store = Store::open(config).unwrap();
    let at = Coordinate::new("a", "b").unwrap();
    for n in 0..40 {
        let text = format!("event {n:0500}, first");
        store.append(&at, EventKind::new(1, 1), Payload::raw(text)).unwrap();
    }
    store.close().unwrap();
    damage(&bench);
    bench.run(&["tail", "-n", "1"]).done();
    let ran = bench.run(&["verify"]).failed(1, &["the store is damaged"]);
    for said in ["damaged: ", "frame           0000000001.seg at byte ", "expected ", "found "] {
        assert!(ran.out.contains(said), "{said:?} is not in: {}", ran.out);
    }
    let report: Value = serde_json::from_str(&bench.run(&["verify", "--json"]).out).unwrap();
    assert_eq!((&report["whole"], &report["complete"]), (&false.into(), &true.into()));
    assert_eq!(report["faults"][0]["file"], "0000000001.seg");
}

#[test]
fn b39_verify_tells_damage_of_the_meta_log() {
    let bench = Bench::with_rows(ROWS);
    let path = bench.store().join("0000000001.meta");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|window| window == b"k/c").unwrap();
    bytes[at + 2] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(bench.run(&["tail"]).done().out.contains("0x1001"));
    let ran = bench.run(&["verify"]).failed(1, &["the store is damaged"]);
    assert!(ran.out.contains("meta_log        0000000001.meta is damaged"), "{}", ran.out);
    let report: Value = serde_json::from_str(&bench.run(&["verify", "--json"]).out).unwrap();
    assert_eq!((&report["whole"], &report["complete"]), (&false.into(), &true.into()));
    let ran = bench.import_csv(ROWS, &[]).done();
    assert!(ran.err.contains("names of kinds that stood there are lost"), "{}", ran.err);
}

#[test]
fn b36_a_torn_tail_is_told_and_is_no_damage() {
    let bench = Bench::with_rows(ROWS);
    let path = bench.store().join("0000000001.seg");
    let len = fs::metadata(&path).unwrap().len();
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(&[0xA5; 100]).unwrap();
    let told = bench.run(&["verify"]).done().out;
    let said = format!("100 bytes of 0000000001.seg from byte {len} on belong to an append");
    assert!(told.contains(&said), "{told}");
    assert_eq!(bench.run(&["query", "--count"]).done().out, "3\n");
    assert!(bench.run(&["stats"]).done().out.contains("an append under way"));
    bench.import_csv(ROWS, &[]).done();
    assert_eq!(bench.run(&["query", "--count"]).done().out, "6\n");
    assert_eq!(bench.json(&["verify", "--json"])["torn_tail_bytes"], 0);
}

#[test]
fn b36_a_file_of_another_program_is_told() {
    let bench = Bench::new();
    fs::create_dir(bench.store()).unwrap();
    fs::write(bench.store().join("0000000001.seg"), [b'x'; 4096]).unwrap();
    bench.run(&["stats"]).failed(1, &["0000000001.seg"]);
    bench.import_csv(ROWS, &[]).failed(1, &["0000000001.seg"]);
    assert_eq!(fs::read(bench.store().join("0000000001.seg")).unwrap(), [b'x'; 4096]);
}
