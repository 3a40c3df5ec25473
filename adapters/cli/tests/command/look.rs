//! The commands that only look.

use crate::runner::{Bench, bare, ran};
use annals::{AppendOptions, Coordinate, EventId, EventKind, Payload, Store, StoreConfig};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

const ROWS: &str = "\
id,place,what,at,n
order:5,shop,placed,2024-01-01T00:00:00Z,0
order:50,shop,placed,2024-01-02T00:00:00Z,1
order:5:line:1,shop,added,2024-01-03T00:00:00Z,2
order:5,depot,sent,2024-01-04T00:00:00Z,3
order:5,shop,paid by card,2024-01-05T23:59:59.999999Z,4
";

/// The sequences of the events that a query answers with.
fn found(bench: &Bench, filters: &[&str]) -> Vec<u64> {
    bench.events(filters).iter().map(|event| event["sequence"].as_u64().unwrap()).collect()
}

#[test]
fn b16_b18_every_filter_filters_and_they_and_together() {
    let bench = Bench::with_rows(ROWS);
    for (filters, expected) in [
        (&[][..], &[0, 1, 2, 3, 4][..]),
        (&["--entity", "order:5"], &[0, 2, 3, 4]),
        (&["--stream", "order:5"], &[0, 3, 4]),
        (&["--prefix", "order:5"], &[0, 1, 2, 3, 4]),
        (&["--prefix", "order:50"], &[1]),
        (&["--scope", "depot"], &[3]),
        (&["--kind", "placed"], &[0, 1]),
        (&["--kind", "paid by card"], &[4]),
        (&["--kind", "paid-by-card", "--kind", "sent"], &[3, 4]),
        (&["--kind", "0x1001"], &[0, 1]),
        (&["--category", "1"], &[0, 1, 2, 3, 4]),
        (&["--category", "2"], &[]),
        (&["--versions", "1.."], &[3, 4]),
        (&["--versions", "1"], &[3]),
        (&["--sequences", "1..3"], &[1, 2, 3]),
        (&["--sequences", "..1"], &[0, 1]),
        (&["--since", "2024-01-03"], &[2, 3, 4]),
        (&["--until", "2024-01-03"], &[0, 1, 2]),
        (&["--since", "2024-01-05", "--until", "2024-01-05"], &[4]),
        (&["--since", "2024-01-04T01:00:00+01:00", "--until", "1704326400"], &[3]),
        (&["--stream", "order:5", "--scope", "shop", "--kind", "placed"], &[0]),
        (&["--entity", "order:5", "--limit", "2"], &[0, 2]),
        (&["--entity", "order:5", "--limit", "2", "--backward"], &[4, 3]),
    ] {
        assert_eq!(found(&bench, filters), expected, "{filters:?}");
        let counted = bench.run(&[&["query", "--count"], filters].concat());
        if !filters.contains(&"--backward") {
            assert_eq!(counted.done().out, format!("{}\n", expected.len()), "{filters:?}");
        }
    }
    bench
        .run(&["query", "--kind", "nothing"])
        .failed(1, &["no kind is named \"nothing\"", "stats"]);
    bench.run(&["query", "--kind", "0x0001"]).failed(2, &["--kind 0x0001"]);
    bench.run(&["query", "--sequences", "3..1"]).failed(2, &["3 comes after 1"]);
    bench.run(&["query", "--entity", "a", "--stream", "a"]).failed(2, &["--stream"]);
}

#[test]
fn events_are_found_by_what_caused_them_and_what_they_belong_to() {
    let bench = Bench::new();
    let store = Store::open(StoreConfig::new(bench.store())).unwrap();
    let at = Coordinate::new("a", "s").unwrap();
    let first = store.append(&at, EventKind::new(2, 1), Payload::raw("x")).unwrap();
    store
        .append_reaction(&at, EventKind::new(2, 2), Payload::raw("y"), first.id, first.id)
        .unwrap();
    store.append(&at, EventKind::new(3, 1), Payload::raw("z")).unwrap();
    store.close().unwrap();
    let id = first.id.to_string();
    assert_eq!(found(&bench, &["--correlation", &id]), [0, 1]);
    assert_eq!(found(&bench, &["--causation", &format!("{:#}", first.id)]), [1]);
    assert_eq!(found(&bench, &["--category", "3"]), [2]);
    bench.run(&["query", "--causation", "17"]).failed(2, &["UUID"]);
    let shown = bench.run(&["show", "1"]).done().out;
    assert!(shown.contains(&format!("causation   {id}")), "{shown}");
}

#[test]
fn a_query_prints_lines_csv_or_json() {
    let bench = Bench::with_rows(ROWS);
    let table = bench.run(&["query"]).done().out;
    assert_eq!(table.lines().count(), 6);
    assert!(table.starts_with("SEQ  TIME"), "{table}");
    assert!(table.contains("#4  2024-01-05T23:59:59.999Z  order:5@shop"), "{table}");
    assert!(table.contains("paid-by-card  {\"n\":\"4\"}\n"), "{table}");
    let csv = bench.run(&["query", "--format", "csv"]).done().out;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    assert_eq!(reader.headers().unwrap().len(), 13);
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 5);
    assert_eq!((&rows[4][3], &rows[4][4], &rows[4][7]), ("order:5", "shop", "paid-by-card"));
    assert_eq!(&rows[4][12], "{\"n\":\"4\"}");
    assert_eq!(bench.run(&["query", "--json"]).done().out.lines().count(), 5);
}

#[test]
fn what_a_query_prints_as_csv_can_be_imported_again() {
    let bench = Bench::with_rows(ROWS);
    let csv = bench.run(&["query", "--format", "csv"]).done().out;
    let copy = Bench::new();
    let args = ["import", "--format", "csv", "--entity", "entity", "--scope", "scope"];
    let args = [&args[..], &["--kind", "kind_name", "--time", "time", "--key", "id"]].concat();
    copy.run_with_stdin(&args, &csv).done();
    let told = |event: &Value| {
        ["entity", "scope", "kind_name", "time", "version"].map(|name| event[name].clone())
    };
    let events = |bench: &Bench| bench.events(&[]).iter().map(told).collect::<Vec<_>>();
    assert_eq!(events(&copy), events(&bench));
}

#[test]
fn tail_prints_the_newest_in_order() {
    let bench = Bench::with_rows(ROWS);
    let out = bench.run(&["tail", "-n", "2"]).done().out;
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("#3") && lines[1].starts_with("#4"), "{out}");
    let out = bench.run(&["tail", "--json", "-n", "2", "--scope", "shop"]).done().out;
    let events: Vec<Value> = out.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&events[0]["sequence"], &events[1]["sequence"]), (&2.into(), &4.into()));
    assert_eq!(bench.run(&["tail", "-n", "0"]).done().out, "");
}

#[test]
fn show_finds_an_event_by_sequence_and_by_either_form_of_its_id() {
    let bench = Bench::with_rows(ROWS);
    let shown = bench.run(&["show", "#3"]).done().out;
    let id: EventId = bench.events(&[])[3]["id"].as_str().unwrap().parse().unwrap();
    for name in ["3".into(), id.to_string(), format!("{id:#}")] {
        assert_eq!(bench.run(&["show", &name]).done().out, shown);
    }
    for said in [
        "sequence    #3\n",
        "entity      order:5\n",
        "scope       depot\n",
        "version     1\n",
        "kind        sent  0x1003\n",
        "time        2024-01-04T00:00:00.000000Z\n",
        "correlation itself\n",
        "checked: #0 has it\n",
        "payload     json, version 1, 9 bytes\n\n{\n  \"n\": \"3\"\n}\n",
    ] {
        assert!(shown.contains(said), "{said:?} is not in:\n{shown}");
    }
    assert!(bench.run(&["show", "0"]).done().out.contains("the first event of its stream"));
    let json = bench.json(&["show", "3", "--json"]);
    assert_eq!(json, bench.events(&[])[3]);
    bench.run(&["show", "5"]).failed(1, &["no event has the sequence 5", "next:"]);
    bench.run(&["show", "nonsense"]).failed(2, &["\"nonsense\" names no event"]);
    let unknown = EventId::from_key("unknown").to_string();
    bench.run(&["show", &unknown]).failed(1, &["no event has the id"]);
}

#[test]
fn payloads_of_every_format_are_shown_and_never_reach_the_terminal_raw() {
    let bench = Bench::new();
    let store = Store::open(StoreConfig::new(bench.store())).unwrap();
    let at = Coordinate::new("a", "s").unwrap();
    let kind = EventKind::new(1, 1);
    let options = AppendOptions { metadata: Some(b"by hand".to_vec()), ..Default::default() };
    store.append_with_options(&at, kind, Payload::postcard("hi").unwrap(), options).unwrap();
    store.append(&at, kind, Payload::raw("\u{1b}[31mred\nnext")).unwrap();
    store.append(&at, kind, Payload::raw([0xFF, 0x00])).unwrap();
    store.close().unwrap();
    let first = bench.run(&["show", "0"]).done().out;
    assert!(first.contains("metadata    by hand\n"), "{first}");
    assert!(first.ends_with("payload     postcard, version 1, 3 bytes\n\n026869\n"), "{first}");
    assert!(bench.run(&["show", "1"]).done().out.ends_with("\n\\u{1b}[31mred\nnext\n"));
    assert!(bench.run(&["show", "2"]).done().out.ends_with("raw, version 1, 2 bytes\n\nff00\n"));
    let tail = bench.run(&["tail"]).done().out;
    assert!(!tail.contains('\u{1b}') && tail.contains("0x1001  postcard 026869\n"), "{tail}");
    let events = bench.events(&[]);
    assert_eq!(
        (&events[2]["payload_hex"], &events[0]["format"]),
        (&"ff00".into(), &"postcard".into())
    );
}

#[test]
fn stats_count_everything() {
    let bench = Bench::with_rows(ROWS);
    let stats = bench.json(&["stats", "--json"]);
    for (name, number) in [("events", 5), ("entities", 3), ("scopes", 2), ("end", 5)] {
        assert_eq!(stats[name], number, "{stats}");
    }
    let kinds = stats["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 4);
    assert_eq!(kinds[0], serde_json::json!({"kind": "0x1001", "name": "placed", "events": 2}));
    let segment = &stats["segments"][0];
    assert_eq!((&segment["events"], &segment["bytes"]), (&5.into(), &stats["bytes"]));
    let told = bench.run(&["stats"]).done().out;
    assert!(told.starts_with("events    5\nentities  3\nscopes    2\nkinds     4\n"), "{told}");
    assert!(told.contains("0x1004             1  paid-by-card\n"), "{told}");
}

#[test]
fn streams_list_each_entity_with_its_newest_change() {
    let bench = Bench::with_rows(ROWS);
    let out = bench.run(&["streams", "--json"]).done().out;
    let streams: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(streams.len(), 3);
    assert_eq!(streams[0]["entity"], "order:5");
    assert_eq!((&streams[0]["events"], &streams[0]["version"]), (&3.into(), &2.into()));
    assert_eq!(
        (&streams[0]["sequence"], &streams[0]["kind_name"]),
        (&4.into(), &"paid-by-card".into())
    );
    let out = bench.run(&["streams", "--sort", "name", "--scope", "shop"]).done().out;
    let names: Vec<_> = out.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(names, ["ENTITY", "order:5", "order:50", "order:5:line:1"]);
    let out = bench.run(&["streams", "--sort", "events", "--limit", "1", "--json"]).done().out;
    assert!(out.starts_with("{\"entity\":\"order:5\",\"events\":3,"), "{out}");
}

#[test]
fn a_directory_without_a_store_is_told_and_nothing_is_made() {
    let bench = Bench::new();
    bench.run(&["stats"]).failed(2, &["there is no directory", "next:"]);
    std::fs::create_dir(bench.store()).unwrap();
    for command in [&["stats"][..], &["tail"], &["query"], &["show", "0"], &["streams"]] {
        bench.run(command).failed(2, &["there is no Annals store in", "next:"]);
    }
    assert_eq!(std::fs::read_dir(bench.store()).unwrap().count(), 0);
    let none = ran(bare(&["stats"]).output().unwrap());
    none.failed(2, &["no store is named", "ANNALS_STORE"]);
}

#[test]
fn help_tells_the_exit_codes() {
    let help = ran(bare(&["--help"]).output().unwrap()).done().out;
    assert!(help.contains("Exit codes, of every command:\n  0    done\n  1    "), "{help}");
    assert!(!help.contains('\u{1b}'));
}

/// Ends a follower, however the test ends.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn b31_tail_follows_a_writer_without_gap_or_double() {
    let bench = Bench::with_rows(ROWS);
    let mut command = bench.command(&["tail", "-n", "1", "--follow", "--json"]);
    let mut follower = Follower(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(follower.0.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["sequence"], 4);
    bench.import_csv("id,place,what,at\nx,y,new.kind,1\nx,y,placed,2\n", &[]).done();
    let event = next();
    assert_eq!((&event["sequence"], &event["kind_name"]), (&5.into(), &"new.kind".into()));
    assert_eq!(next()["sequence"], 6);
    bench.import_csv("id,place,what,at\nx,y,placed,3\n", &[]).done();
    assert_eq!(next()["sequence"], 7);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let rows: String = (0..3000).map(|n| format!("e{n},s,k,{n},{n:0100}\n")).collect();
    let bench = Bench::with_rows(&format!("id,place,what,at,n\n{rows}"));
    for args in [
        &["query"][..],
        &["query", "--format", "csv"],
        &["query", "--json"],
        &["tail", "-n", "3000"],
        &["tail", "-n", "3000", "--follow"],
        &["streams"],
    ] {
        let mut command = bench.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut first = [0; 10];
        child.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let ended = child.wait_with_output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), told.as_str()), (Some(0), ""), "{args:?}");
    }
}
