//! What importing makes of good rows.

use crate::runner::Bench;
use std::path::Path;

const ROWS: &str = "\
id,place,what,at,amount,note
order-1,shop,placed,2024-01-01T10:00:00Z,12.50,first
order-2,shop,placed,2024-01-01 11:00:00+01:00,007,
order-1,depot,Sent out,1704110400,1,\"with a \"\"quote\"\", a comma
and a second line\"
order-1,shop,paid,1704114000000,,größer 你好 🦀
";

#[test]
fn each_row_becomes_an_event_with_its_own_address_kind_time_and_payload() {
    let bench = Bench::new();
    let out = bench.import_csv(ROWS, &[]).done().out;
    for said in ["imported", "rows/s", "rows", "4", "entities", "2", "kinds", "3"] {
        assert!(out.contains(said), "{said}: {out}");
    }
    let events = bench.events(&[]);
    assert_eq!(events.len(), 4);
    let first = &events[0];
    assert_eq!(first["entity"], "order-1");
    assert_eq!(first["scope"], "shop");
    assert_eq!(first["kind_name"], "placed");
    assert_eq!(first["kind"], "0x1001");
    assert_eq!(first["time"], "2024-01-01T10:00:00.000000Z");
    assert_eq!(first["payload"], serde_json::json!({"amount": "12.50", "note": "first"}));
    assert_eq!(events[1]["time"], first["time"]);
    assert_eq!(events[1]["payload"]["amount"], "007");
    assert_eq!(events[2]["kind_name"], "Sent-out");
    assert_eq!(events[2]["time"], "2024-01-01T12:00:00.000000Z");
    assert_eq!(events[2]["payload"]["note"], "with a \"quote\", a comma\nand a second line");
    assert_eq!(events[3]["time"], "2024-01-01T13:00:00.000000Z");
    assert_eq!(events[3]["version"], 2);
    assert_eq!(events[3]["prev_hash"], events[2]["event_hash"]);
    assert_eq!(events[3]["payload"]["note"], "größer 你好 🦀");
}

#[test]
fn json_lines_keep_every_value_as_it_is_written() {
    let bench = Bench::new();
    let rows = "\u{feff}{\"id\": 17, \"what\": \"a\", \"n\": 1.10, \"big\": 12345678901234567890123}\r\n\
                \n\
                {\"what\":\"a\",\"id\":\"18\",\"deep\":{\"x\":[1,null, true]},\"t\":\"\\u00e4\\n\"}";
    let args = ["import", "--format", "jsonl", "--entity", "id", "--scope-value", "s"];
    let args = [&args[..], &["--kind", "what"]].concat();
    bench.run_with_stdin(&args, rows).done();
    let events = bench.events(&[]);
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["entity"], &events[1]["entity"]), (&"17".into(), &"18".into()));
    assert_eq!(events[1]["payload"]["t"], "ä\n");
    let lines = bench.run(&["query", "--format", "jsonl"]).done().out;
    assert!(lines.contains(r#""payload":{"n":1.10,"big":12345678901234567890123}"#), "{lines}");
    assert!(lines.contains(r#""payload":{"deep":{"x":[1,null,true]},"t":"\u00e4\n"}"#), "{lines}");
}

#[test]
fn the_scope_the_kind_and_the_time_need_no_column() {
    let bench = Bench::new();
    let file = bench.file("names.CSV", "who;age\nada;36\n");
    let file = file.to_str().unwrap();
    let args = ["import", file, "--entity", "who", "--scope-value", "people", "--kind-name"];
    bench.run(&[&args[..], &["person.seen", "--delimiter", ";"]].concat()).done();
    let event = &bench.events(&[])[0];
    assert_eq!(event["scope"], "people");
    assert_eq!(event["kind_name"], "person.seen");
    let read_us = event["timestamp_us"].as_i64().unwrap();
    assert!(read_us > 1_700_000_000_000_000, "{read_us}");
    assert_eq!(event["payload"], serde_json::json!({"age": "36"}));
}

#[test]
fn columns_can_be_left_in_the_payload() {
    let bench = Bench::new();
    bench.import_csv("id,place,what,at\na,b,c d,0\n", &["--keep-columns"]).done();
    let payload = &bench.events(&[])[0]["payload"];
    assert_eq!(*payload, serde_json::json!({"id": "a", "place": "b", "what": "c d", "at": "0"}));
}

#[test]
fn a_unit_and_utc_are_as_they_were_said() {
    let bench = Bench::new();
    let rows = "id,place,what,at\na,b,c,7\n";
    bench.import_csv(rows, &["--time-unit", "us"]).done();
    bench.import_csv("id,place,what,at\na,b,c,2024-01-01 00:00\n", &["--utc"]).done();
    let events = bench.events(&[]);
    assert_eq!(events[0]["timestamp_us"], 7);
    assert_eq!(events[1]["timestamp_us"], 1_704_067_200_000_000_i64);
}

#[test]
fn b06_an_import_with_keys_can_be_run_again() {
    let bench = Bench::new();
    for key in [&["--key", "note"][..], &["--key-row"]] {
        let rows = "id,place,what,at,note\na,b,c,1,x\na,b,c,2,y\na,b,c,2,y\n";
        let before = bench.run(&["query", "--count"]);
        let before: u64 = if before.code == 0 { before.out.trim().parse().unwrap() } else { 0 };
        let first: serde_json::Value = {
            let out =
                bench.import_csv(rows, &[key, &["--json", "--batch", "2"]].concat()).done().out;
            serde_json::from_str(&out).unwrap()
        };
        let unique = if key.len() == 2 { 2 } else { 3 };
        assert_eq!(first["rows"], 3, "{first}");
        assert_eq!(first["events"], unique, "{first}");
        assert_eq!(first["known"], 3 - unique, "{first}");
        // More rows behind, and other batches: what is there is not appended again.
        let rows = format!("{rows}a,b,c,3,z\n");
        let again = bench.import_csv(&rows, &[key, &["--json"]].concat()).done().out;
        let again: serde_json::Value = serde_json::from_str(&again).unwrap();
        assert_eq!((&again["events"], &again["known"]), (&1.into(), &3.into()), "{again}");
        let count = bench.run(&["query", "--count"]).done().out;
        assert_eq!(count.trim().parse::<u64>().unwrap(), before + unique + 1);
    }
}

#[test]
fn b47_a_second_import_maps_by_name() {
    let bench = Bench::new();
    bench.import_csv("id,place,what,at\na,b,x,1\na,b,y,1\n", &[]).done();
    bench.import_csv("id,place,what,at\na,b,z,1\na,b,y,1\n", &[]).done();
    let kinds: Vec<_> = bench.events(&[]).iter().map(|event| event["kind"].clone()).collect();
    assert_eq!(kinds, ["0x1001", "0x1002", "0x1003", "0x1002"]);
}

#[test]
fn texts_that_become_one_kind_are_told() {
    let bench = Bench::new();
    let ran = bench.import_csv("id,place,what,at\na,b,Sent out!,1\na,b,Sent out?,1\n", &[]).done();
    assert!(ran.err.contains("\"Sent out?\" became the same kind as \"Sent out!\""), "{}", ran.err);
    assert_eq!(bench.json(&["stats", "--json"])["kinds"].as_array().unwrap().len(), 1);
}

#[test]
fn an_import_of_nothing_but_a_header_is_done() {
    let bench = Bench::new();
    let out = bench.import_csv("id,place,what,at\n", &["--json"]).done().out;
    let summary: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&summary["rows"], &summary["events"]), (&0.into(), &0.into()));
    assert_eq!(bench.json(&["stats", "--json"])["events"], 0);
}

#[test]
fn the_store_may_be_named_by_option_or_environment_anywhere_in_the_line() {
    let bench = Bench::with_rows("id,place,what,at\na,b,c,1\n");
    let store = bench.store();
    let store = store.to_str().unwrap();
    for args in [["--store", store, "stats"], ["stats", "--store", store]] {
        let output = crate::runner::bare(&args).output().unwrap();
        assert!(crate::runner::ran(output).done().out.starts_with("events    1\n"));
    }
    assert!(!Path::new("annals-data").exists());
}
