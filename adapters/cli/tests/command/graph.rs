//! `annals graph`.

use crate::runner::Bench;
use annals::{Coordinate, EventId, EventKind, Payload, Store, StoreConfig};

const PLACED: EventKind = EventKind::new(1, 1);
const SENT: EventKind = EventKind::new(1, 2);

/// An order, what it led to, and an event of its own. Their ids, by sequence.
fn orders(bench: &Bench) -> Vec<EventId> {
    let store = Store::open(StoreConfig::new(bench.store())).unwrap();
    store.name_kind(PLACED, "order.placed").unwrap();
    let at = |entity: &str| Coordinate::new(entity, "shop").unwrap();
    let first = store.append(&at("order:5"), PLACED, Payload::raw("x")).unwrap().id;
    let mut ids = vec![first];
    let mut cause = first;
    for entity in ["parcel:1", "parcel:<2>&\"]"] {
        let sent = store.append_reaction(&at(entity), SENT, Payload::raw("x"), first, cause);
        cause = sent.unwrap().id;
        ids.push(cause);
    }
    ids.push(store.append(&at("order:6"), PLACED, Payload::raw("x")).unwrap().id);
    store.close().unwrap();
    ids
}

#[test]
fn an_event_is_drawn_with_what_led_to_it_and_what_it_led_to() {
    let bench = Bench::new();
    let ids = orders(&bench);
    let dot = bench.run(&["graph", &ids[1].to_string()]).done().out;
    assert!(dot.starts_with("digraph"), "{dot}");
    for line in ["n0 -> n1;", "n1 -> n2;", "order.placed\\norder:5@shop\\nsequence 0"] {
        assert!(dot.contains(line), "{line} is not in {dot}");
    }
    assert!(!dot.contains("order:6"), "{dot}");
    let by_sequence = bench.run(&["graph", "#1", "--format", "dot"]).done().out;
    assert_eq!(by_sequence, dot);
    let mermaid = bench.run(&["graph", "1", "--format", "mermaid"]).done().out;
    assert!(mermaid.starts_with("flowchart LR\n") && mermaid.contains("n1 --> n2"), "{mermaid}");
    let json = bench.json(&["graph", "1", "--format", "json"]);
    assert_eq!(json["nodes"].as_array().unwrap().len(), 3);
    assert_eq!(json["edges"][0]["cause"], ids[0].to_string());
    assert_eq!(json["cut"], false);
}

#[test]
fn a_correlation_is_asked_for_by_any_of_its_events_and_other_filters_filter() {
    let bench = Bench::new();
    let ids = orders(&bench);
    let nodes = |args: &[&str]| {
        let json = bench.json(&[&["graph", "--format", "json"], args].concat());
        let nodes = json["nodes"].as_array().unwrap().iter();
        nodes.map(|node| node["sequence"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    for id in &ids[..3] {
        assert_eq!(nodes(&["--correlation", &id.to_string()]), [0, 1, 2]);
    }
    assert_eq!(nodes(&["--correlation", &ids[3].to_string()]), [3]);
    assert_eq!(nodes(&["--entity", "order"]), [0, 3]);
    assert_eq!(nodes(&["--correlation", &ids[0].to_string(), "--entity", "parcel"]), [1, 2]);
    assert_eq!(nodes(&[]), [0, 1, 2, 3]);
}

#[test]
fn b23_a_graph_that_is_cut_says_so() {
    let bench = Bench::new();
    orders(&bench);
    for format in ["dot", "mermaid", "svg"] {
        let ran = bench.run(&["graph", "1", "--limit", "2", "--format", format]).done();
        assert!(ran.out.contains("cut at its limit"), "{}", ran.out);
        assert!(ran.err.contains("note: cut at 2 events; --limit takes more"), "{}", ran.err);
    }
    assert_eq!(bench.json(&["graph", "--limit", "3", "--format", "json"])["cut"], true);
    let whole = bench.run(&["graph", "1", "--limit", "3"]).done();
    assert!(!whole.out.contains("cut at") && whole.err.is_empty(), "{}", whole.err);
}

#[test]
fn a_picture_has_every_event_and_no_name_becomes_markup() {
    let bench = Bench::new();
    orders(&bench);
    let svg = bench.run(&["graph", "0", "--format", "svg"]).done().out;
    assert!(svg.starts_with("<?xml") && svg.trim_end().ends_with("</svg>"), "{svg}");
    for text in ["order.placed", "order:5@shop", "sequence 2", "parcel:&lt;2&gt;&amp;&quot;]@shop"]
    {
        assert!(svg.contains(text), "{text} is not in {svg}");
    }
    assert!(!svg.contains("<2>"), "{svg}");
    // The cause of the last parcel is not among the parcels of this filter.
    let part = bench.run(&["graph", "--sequences", "2", "--format", "svg"]).done().out;
    assert!(part.contains("not in this graph") && part.contains("dasharray"), "{part}");
    let nothing = bench.run(&["graph", "--entity", "nobody", "--format", "svg"]).done().out;
    assert!(nothing.contains("no event"), "{nothing}");
}

#[test]
fn a_long_story_is_drawn_too() {
    let bench = Bench::new();
    let store = Store::open(StoreConfig::new(bench.store())).unwrap();
    let at = Coordinate::new("a", "s").unwrap();
    let mut ids = vec![store.append(&at, PLACED, Payload::raw("x")).unwrap().id];
    for number in 1..150_usize {
        let cause = ids[number / 2];
        let event = store.append_reaction(&at, SENT, Payload::raw("x"), ids[0], cause).unwrap();
        ids.push(event.id);
    }
    store.close().unwrap();
    let svg = bench.run(&["graph", "0", "--limit", "1000", "--format", "svg"]).done().out;
    for sequence in 0..150 {
        assert!(svg.contains(&format!(">sequence {sequence}<")), "{sequence}");
    }
}

#[test]
fn what_can_not_be_drawn_is_told() {
    let bench = Bench::new();
    let ids = orders(&bench);
    let id = ids[0].to_string();
    bench.run(&["graph", &id, "--entity", "order"]).failed(2, &["--entity"]);
    bench.run(&["graph", "99"]).failed(1, &["99", "annals tail"]);
    bench.run(&["graph", "nonsense"]).failed(2, &["names no event"]);
    bench.run(&["graph", "0", "--limit", "0"]).failed(2, &["--limit"]);
    bench.run(&["graph", "0", "--format", "png"]).failed(2, &["dot", "svg"]);
}
