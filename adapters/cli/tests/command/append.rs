//! `append`: one event, from an argument, a file or stdin.

use crate::runner::Bench;
use annals::EventId;
use serde_json::Value;

const TO: [&str; 7] = ["append", "--entity", "order:5", "--scope", "eu", "--kind", "order.placed"];

fn to(more: &[&'static str]) -> Vec<&'static str> {
    [&TO[..], more].concat()
}

#[test]
fn b01_what_was_given_is_what_is_stored() {
    let bench = Bench::new();
    let told = bench.run(&to(&["{ \"cents\": 4.50 }"])).done();
    assert!(told.err.contains("note: order.placed is a new kind of this store, 0x1001"));
    let first: EventId = bench.events(&[])[0]["id"].as_str().unwrap().parse().unwrap();
    let id = first.to_string();
    let mut args: Vec<&str> = to(&["-", "--format", "raw", "--payload-version", "7", "--json"]);
    args.extend(["--correlation", &id, "--causation", &id, "--metadata", "-by hand"]);
    args.extend(["--flag", "replay", "--flag", "0x0100"]);
    let told = bench.run_with_stdin(&args, [0xFF, 0x00, b'\n']).done();
    assert_eq!(told.err, "");
    let told: Value = serde_json::from_str(&told.out).unwrap();
    let events = bench.events(&[]);
    assert_eq!(events[0]["payload"].to_string(), "{\"cents\":4.5}");
    assert!(bench.run(&["query", "--json"]).done().out.contains("\"payload\":{\"cents\":4.50}"));
    for (name, value) in [
        ("payload_hex", Value::from("ff000a")),
        ("format", "raw".into()),
        ("payload_version", 7.into()),
        ("correlation", id.clone().into()),
        ("causation", id.into()),
        ("metadata_hex", "2d62792068616e64".into()),
        ("flags", 0x0104.into()),
        ("kind_name", "order.placed".into()),
        ("version", 1.into()),
    ] {
        assert_eq!(events[1][name], value, "{name}");
    }
    for name in ["id", "sequence", "version", "entity", "scope", "kind", "event_hash"] {
        assert_eq!(events[1][name], told[name], "{name}");
    }
}

#[test]
fn b06_a_key_appends_once_and_is_answered_with_the_event() {
    let bench = Bench::new();
    bench.run(&to(&["1", "--key", "k"])).done();
    let told = bench.run(&to(&["1", "--key", "k", "--expect", "no-stream"])).done();
    assert!(told.out.starts_with("there already #0 order:5@eu v0 "), "{}", told.out);
    bench.run(&to(&["2", "--key", "k"])).failed(1, &["belongs to event 0", "`annals show 0`"]);
    assert_eq!(bench.events(&[])[0]["id"], EventId::from_key("k").to_string());
    assert_eq!(bench.events(&[]).len(), 1);
}

#[test]
fn b04_an_expected_version_is_checked() {
    let bench = Bench::new();
    bench.run(&to(&["1", "--expect", "exists"])).failed(1, &["an event at least was expected"]);
    bench.run(&to(&["1", "--expect", "no-stream"])).done();
    bench.run(&to(&["1", "--expect", "no-stream"])).failed(1, &["order:5 is at version 0"]);
    bench.run(&to(&["1", "--expect", "1"])).failed(1, &["version 1 was expected", "decide anew"]);
    bench.run(&to(&["1", "--expect", "0"])).done();
    bench.run(&to(&["1", "--expect", "exists"])).done();
    assert_eq!(bench.events(&[]).len(), 3);
}

#[test]
fn what_is_wrong_begins_no_store() {
    let bench = Bench::new();
    for args in [
        &["{"][..],
        &[""],
        &["1 2"],
        &["--file", "nowhere"],
        &["1", "--expect", "-1"],
        &["1", "--flag", "red"],
        &["1", "--payload-version", "65536"],
        &["1", "--causation", "17"],
        &["1", "--file", "too"],
        &[],
    ] {
        bench.run(&to(args)).failed(2, &["error:"]);
    }
    bench
        .run_with_stdin(&to(&["-"]), [b'"', 0xFF, b'"'])
        .failed(2, &["is no JSON", "--format raw"]);
    let long = "x".repeat(1025);
    let mut args = to(&["1"]);
    args[2] = &*long.leak();
    bench.run(&args).failed(2, &["entity has 1025 bytes"]);
    assert!(!bench.store().exists());
}
