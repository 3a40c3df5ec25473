//! The causal graph: found by index, bounded, and drawn without being misread.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_core::{
    Append, AppendOptions, CausalEnd, CausalGraph, Coordinate, Event, EventId, EventKind,
    MemoryStorage, Payload, Region, StoreError,
};
use annals_tests::fixture::{MemoryLog, open_small};
use proptest::prelude::*;
use std::collections::{HashMap, HashSet, VecDeque};

const KIND: EventKind = EventKind::new(1, 1);

fn id(name: &str) -> EventId {
    EventId::from_key(name)
}

/// Appends the event with the id of `name`.
fn react(log: &mut MemoryLog, name: &str, cause: Option<&str>, correlation: Option<&str>) {
    let mut options = AppendOptions::default().with_idempotency_key(id(name));
    options.causation = cause.map(id);
    options.correlation = correlation.map(id);
    let coordinate = Coordinate::new(format!("saga:{name}"), "shop").unwrap();
    let append = Append::new(coordinate, KIND, Payload::raw("x")).with_options(options);
    log.append(&append).unwrap();
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.coordinate.entity().strip_prefix("saga:").unwrap()).collect()
}

/// placed -> paid -> (packed -> sent, invoiced), and others in between, over many segments.
fn saga() -> MemoryLog {
    let mut log = open_small(&MemoryStorage::new(), 1);
    for (name, cause) in [
        ("placed", None),
        ("paid", Some("placed")),
        ("packed", Some("paid")),
        ("invoiced", Some("paid")),
        ("sent", Some("packed")),
    ] {
        react(&mut log, name, cause, cause.map(|_| "placed"));
        for at in 0..40 {
            react(&mut log, &format!("noise {name} {at}"), None, None);
        }
    }
    log
}

#[test]
fn b23_the_depth_of_an_event_is_counted_in_the_log() {
    let mut log = saga();
    react(&mut log, "foreign", Some("another system's"), None);
    react(&mut log, "answer", Some("foreign"), None);
    react(&mut log, "chicken", Some("egg"), None);
    react(&mut log, "egg", Some("chicken"), None);
    let reader = log.reader();
    let depth = |name, limit| reader.causal_depth(id(name), limit).unwrap();
    assert_eq!([depth("placed", 9), depth("paid", 9), depth("sent", 9)], [0, 1, 3]);
    assert_eq!([depth("sent", 2), depth("sent", 0)], [2, 0]);
    assert_eq!([depth("foreign", 9), depth("answer", 9)], [0, 1]);
    assert_eq!(depth("egg", 9), 9, "a circle has no end");
    let error = reader.causal_depth(id("never"), 9).unwrap_err();
    assert!(matches!(error, StoreError::NotFound(_)), "{error}");
}

#[test]
fn b23_causes_go_back_to_the_beginning() {
    let reader = saga().reader();
    let walk = reader.causes(id("sent"), 10).unwrap();
    assert_eq!(
        (&*names(&walk.events), walk.end),
        (&["packed", "paid", "placed"][..], CausalEnd::Complete)
    );
    let walk = reader.causes(id("placed"), 10).unwrap();
    assert_eq!((walk.events.len(), walk.end), (0, CausalEnd::Complete));
    let error = reader.causes(id("never"), 10).unwrap_err();
    assert!(matches!(error, StoreError::NotFound(unknown) if unknown == id("never")));
}

#[test]
fn b23_effects_spread_the_nearest_first() {
    let reader = saga().reader();
    let walk = reader.effects(id("placed"), 10).unwrap();
    let expected = ["paid", "packed", "invoiced", "sent"];
    assert_eq!((&*names(&walk.events), walk.end), (&expected[..], CausalEnd::Complete));
    let walk = reader.effects(id("sent"), 10).unwrap();
    assert_eq!((walk.events.len(), walk.end), (0, CausalEnd::Complete));
}

#[test]
fn correlated_events_are_found_from_any_of_them() {
    let reader = saga().reader();
    let expected = ["placed", "paid", "packed", "invoiced", "sent"];
    for name in expected {
        let walk = reader.correlated(id(name), 10).unwrap();
        assert_eq!((&*names(&walk.events), walk.end), (&expected[..], CausalEnd::Complete));
        let graph = CausalGraph::of_correlation(&reader, id(name), 10).unwrap();
        assert_eq!((graph.nodes().len(), graph.is_cut()), (5, false));
        assert_eq!(graph.edges(), [(0, 1), (1, 2), (1, 3), (2, 4)]);
    }
    let mut log = saga();
    react(&mut log, "foreign", None, Some("a trace of another system"));
    let walk = log.reader().correlated(id("a trace of another system"), 10).unwrap();
    assert_eq!(names(&walk.events), ["foreign"]);
}

#[test]
fn b23_a_walk_that_was_cut_says_so() {
    let reader = saga().reader();
    for limit in 0..6 {
        let causes = reader.causes(id("sent"), limit).unwrap();
        assert_eq!(causes.events.len(), limit.min(3));
        assert_eq!(causes.end == CausalEnd::Limit, limit < 3);
        let effects = reader.effects(id("placed"), limit).unwrap();
        assert_eq!(effects.events.len(), limit.min(4));
        assert_eq!(effects.end == CausalEnd::Limit, limit < 4);
        let correlated = reader.correlated(id("paid"), limit).unwrap();
        assert_eq!(correlated.events.len(), limit.min(5));
        assert_eq!(correlated.end == CausalEnd::Limit, limit < 5);
        let graph = CausalGraph::of_event(&reader, id("packed"), limit).unwrap();
        assert_eq!((graph.nodes().len(), graph.is_cut()), (limit.min(4), limit < 4));
    }
}

#[test]
fn b23_a_circle_of_causes_ends() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    react(&mut log, "hen", Some("egg"), None);
    react(&mut log, "egg", Some("hen"), None);
    react(&mut log, "ouroboros", Some("ouroboros"), None);
    let reader = log.reader();
    let walk = reader.causes(id("hen"), 100).unwrap();
    assert_eq!(names(&walk.events), ["egg"]);
    assert_eq!(walk.end, CausalEnd::Cycle { id: id("hen") });
    let walk = reader.effects(id("hen"), 100).unwrap();
    assert_eq!((&*names(&walk.events), walk.end), (&["egg"][..], CausalEnd::Complete));
    let walk = reader.causes(id("ouroboros"), 100).unwrap();
    assert_eq!((walk.events.len(), walk.end), (0, CausalEnd::Cycle { id: id("ouroboros") }));
    let graph = CausalGraph::of_event(&reader, id("egg"), 100).unwrap();
    assert_eq!((graph.nodes().len(), graph.edges()), (2, vec![(1, 0), (0, 1)]));
}

#[test]
fn b23_a_cause_that_is_not_there_is_named() {
    let mut log = open_small(&MemoryStorage::new(), 1);
    react(&mut log, "reaction", Some("elsewhere"), None);
    let reader = log.reader();
    let walk = reader.causes(id("reaction"), 10).unwrap();
    assert_eq!(walk.end, CausalEnd::CauseMissing { id: id("elsewhere") });
    let walk = reader.effects(id("elsewhere"), 10).unwrap();
    assert_eq!(names(&walk.events), ["reaction"]);
    let graph = CausalGraph::of_region(&reader, &Region::all(), 10).unwrap();
    assert_eq!(graph.edges(), []);
    let dot = graph.to_dot(&|_| None);
    assert!(dot.contains(&format!("x0 [label=\"{}\\nnot in this graph\"", id("elsewhere"))));
    assert!(dot.contains("x0 -> n0;"), "{dot}");
}

fn placed(kind: EventKind) -> Option<String> {
    (kind == KIND).then(|| "order.placed".into())
}

#[test]
fn a_graph_is_drawn_in_three_languages() {
    let reader = saga().reader();
    let graph = CausalGraph::of_event(&reader, id("paid"), 3).unwrap();
    assert!(graph.is_cut());
    let dot = graph.to_dot(&placed);
    let nodes = [("placed", 0), ("paid", 41), ("packed", 82)];
    for (at, (name, sequence)) in nodes.into_iter().enumerate() {
        let label = format!("order.placed\\nsaga:{name}@shop\\nsequence {sequence}");
        let expected = format!("  n{at} [label=\"{label}\", tooltip=\"{}\"];\n", id(name));
        assert!(dot.contains(&expected), "{dot}");
    }
    let end = "  n0 -> n1;\n  n1 -> n2;\n  label=\"cut at its limit\";\n}\n";
    assert!(dot.starts_with("digraph causes {\n") && dot.ends_with(end), "{dot}");

    let mermaid = graph.to_mermaid(&|_| None);
    let expected = "flowchart LR\n  \
        n0[\"0x1001<br/>saga:placed@shop<br/>sequence 0\"]\n  \
        n1[\"0x1001<br/>saga:paid@shop<br/>sequence 41\"]\n  \
        n2[\"0x1001<br/>saga:packed@shop<br/>sequence 82\"]\n  \
        n0 --> n1\n  n1 --> n2\n  cut[\"cut at its limit\"]:::outside\n  \
        classDef outside stroke-dasharray:4\n";
    assert_eq!(mermaid, expected);

    let json: serde_json::Value = serde_json::from_str(&graph.to_json(&placed)).unwrap();
    assert_eq!(json["cut"], true);
    assert_eq!(json["nodes"][1]["entity"], "saga:paid");
    assert_eq!(json["nodes"][1]["kind"], "0x1001");
    assert_eq!(json["nodes"][1]["kind_name"], "order.placed");
    assert_eq!(json["nodes"][1]["causation"], id("placed").to_string());
    assert_eq!(json["edges"][1]["effect"], id("packed").to_string());
}

#[test]
fn hostile_names_stay_in_their_labels() {
    let entity = "\"]; x [label=\"<script>alert(1)</script>\\";
    let scope = "end --> n0 %% `code` #quot; & {}|\u{202e}";
    let mut log = open_small(&MemoryStorage::new(), 1);
    let coordinate = Coordinate::new(entity, scope).unwrap();
    log.append(&Append::new(coordinate, KIND, Payload::raw("x"))).unwrap();
    let graph = CausalGraph::of_region(&log.reader(), &Region::all(), 10).unwrap();
    let hostile = |_| Some("kind\"]\n  n0 --> n0\r\n\"".into());

    let dot = graph.to_dot(&hostile);
    let line = dot.lines().nth(3).unwrap();
    assert_eq!(dot.lines().count(), 5, "{dot}");
    // Two strings, whose ends are the only quotes without a backslash before them.
    let mut quotes = 0;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '"' => quotes += 1,
            _ => {}
        }
    }
    assert_eq!(quotes, 4, "{line}");

    let mermaid = graph.to_mermaid(&hostile);
    assert_eq!(mermaid.lines().count(), 3, "{mermaid}");
    let label = mermaid.lines().nth(1).unwrap();
    let label = label.strip_prefix("  n0[\"").unwrap().strip_suffix("\"]").unwrap();
    assert!(!label.replace("<br/>", "").contains(['"', '<', '>', '`', '[', ']', '{', '|', '%']));

    let json: serde_json::Value = serde_json::from_str(&graph.to_json(&hostile)).unwrap();
    assert_eq!(json["nodes"][0]["entity"], entity);
    assert_eq!(json["nodes"][0]["scope"], scope);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Events that name any event as their cause, earlier, later, themselves or missing.
    #[test]
    fn b23_walks_find_what_a_search_through_everything_finds(
        causes in prop::collection::vec(prop::option::of(0..45_usize), 1..40), limit in 0..50_usize,
    ) {
        let mut log = open_small(&MemoryStorage::new(), 1);
        for (at, cause) in causes.iter().enumerate() {
            let cause = cause.map(|cause| cause.to_string());
            react(&mut log, &at.to_string(), cause.as_deref(), None);
        }
        let reader = log.reader();
        let of: HashMap<usize, Option<usize>> = causes.iter().copied().enumerate().collect();
        for start in 0..causes.len() {
            let mut expected = Vec::new();
            let mut next = of[&start];
            while let Some(cause) = next {
                if cause == start || expected.contains(&cause) || !of.contains_key(&cause) {
                    break;
                }
                expected.push(cause);
                next = of[&cause];
            }
            let walk = reader.causes(id(&start.to_string()), limit).unwrap();
            let found: Vec<usize> = names(&walk.events).iter().map(|at| at.parse().unwrap()).collect();
            prop_assert_eq!(&found, &expected[..expected.len().min(limit)]);

            let (mut reached, mut queue) = (HashSet::from([start]), VecDeque::from([start]));
            while let Some(cause) = queue.pop_front() {
                for (effect, of) in causes.iter().enumerate() {
                    if *of == Some(cause) && reached.insert(effect) {
                        queue.push_back(effect);
                    }
                }
            }
            reached.remove(&start);
            let walk = reader.effects(id(&start.to_string()), limit).unwrap();
            let found: HashSet<usize> =
                names(&walk.events).iter().map(|at| at.parse().unwrap()).collect();
            prop_assert_eq!(found.len(), reached.len().min(limit));
            prop_assert!(found.is_subset(&reached));
            prop_assert_eq!(walk.end == CausalEnd::Limit, reached.len() > limit);
        }
    }
}
