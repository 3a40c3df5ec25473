//! Workers that are killed in the middle of their work.

use crate::{PLACED, SENT, at, event};
use annals::{Batch, Durability, Event, Payload, ReactConfig, Region, Store, StoreConfig};
use annals_tests::process::{Role, RunningChild, hear, role, say};
use annals_tests::sim_disk::Random;
use std::collections::HashMap;
use std::path::Path;

const DIR: &str = "ANNALS_TEST_DIR";
const NAME: &str = "worker";
const ORDERS: u64 = 60;

fn open(dir: &Path) -> Store {
    let config = StoreConfig::new(dir).with_segment_max_bytes(4096);
    Store::open(config).expect("it opens after every kill")
}

/// The child of the tests below; nothing in the tests themselves.
#[test]
fn child() {
    let Some(role) = role() else { return };
    let store = open(Path::new(&std::env::var_os(DIR).expect("a child is told its directory")));
    match role.as_str() {
        "works" => work(&store),
        _ => react(&store),
    }
}

/// Does the work of each order, which is to say its number, and commits it then.
fn work(store: &Store) {
    let mut orders = store.consumer(NAME, &Region::all().kind(PLACED)).expect("nobody has it");
    while let Some(order) = orders.try_recv().expect("the log is whole") {
        if !say(&order.sequence().to_string()) {
            return;
        }
        orders.commit().expect("the disk takes it");
    }
    assert!(say("done"));
    while hear().is_some() {}
}

/// Answers each order with an event, and says so from within.
fn react(store: &Store) {
    let orders = store.consumer(NAME, &Region::all().kind(PLACED)).expect("nobody has it");
    let reactor = store.react_loop(orders, ReactConfig::new(NAME), |order| {
        assert!(say(&order.sequence().to_string()));
        Ok(Batch::new().push(event("parcel:1", SENT, &order.sequence().to_string())))
    });
    let reactor = reactor.expect("a thread");
    let mut sent = store.follow(&Region::all().kind(SENT), None).take(ORDERS);
    sent.by_ref().for_each(|event| drop(event.expect("the log is whole")));
    while store.consumers().expect("the log is whole")[0].lag > 0 {
        std::thread::yield_now();
    }
    assert!(say("done"));
    while hear().is_some() {}
    reactor.stop();
    reactor.join().expect("it was only stopped");
}

/// A store with orders, and other events between them.
fn prepared() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::new(dir.path())
        .with_segment_max_bytes(4096)
        .with_durability(Durability::OnSync);
    let store = Store::open(config).unwrap();
    for number in 0..ORDERS {
        store.append(&at(&format!("order:{number}")), PLACED, Payload::raw("x")).unwrap();
        store.append(&at("noise"), annals::EventKind::new(3, 1), Payload::raw("x")).unwrap();
    }
    store.close().unwrap();
    dir
}

/// Starts children and kills them until one is done; returns what each has said.
fn until_done(dir: &Path, as_role: &str) -> Vec<Vec<u64>> {
    let mut random = Random::new(as_role.len() as u64);
    let mut runs = Vec::new();
    loop {
        let mut child: RunningChild = Role::new("processes::child", as_role).with(DIR, dir).start();
        let mut said = Vec::new();
        // At least one, so that there is an end to it.
        for _ in 0..=random.below(12) {
            said.push(child.hear().expect("it goes on until it is killed"));
            if said.last().is_some_and(|line| line == "done") {
                break;
            }
        }
        if said.last().is_none_or(|line| line != "done") {
            said.extend(child.kill());
        }
        let done = said.last().is_some_and(|line| line == "done");
        said.retain(|line| line != "done");
        runs.push(said.iter().map(|line| line.parse().unwrap()).collect());
        if done {
            return runs;
        }
    }
}

/// Every order was worked on, and each run began with the one behind the last commit: the last
/// that the run before was at, or the next.
fn check_runs(runs: &[Vec<u64>]) {
    assert!(runs.len() > 5, "{} runs", runs.len());
    let mut next = 0;
    for run in runs {
        let Some(first) = run.first() else { continue };
        assert!(*first == next || *first + 2 == next, "{first} after {next}");
        let expected: Vec<u64> = (*first..).step_by(2).take(run.len()).collect();
        assert_eq!(*run, expected);
        next = run.last().unwrap() + 2;
    }
    assert_eq!(next, 2 * ORDERS);
}

#[test]
fn b29_a_worker_that_is_killed_goes_on_from_its_checkpoint_and_misses_none() {
    let dir = prepared();
    check_runs(&until_done(dir.path(), "works"));
}

#[test]
fn b32_a_reactor_that_is_killed_reacts_to_every_event_once() {
    let dir = prepared();
    check_runs(&until_done(dir.path(), "reacts"));
    let store = open(dir.path());
    let sent: Vec<Event> =
        store.query(&Region::all().kind(SENT)).collect::<Result<_, _>>().unwrap();
    let mut by_order: HashMap<u64, usize> = HashMap::new();
    for event in &sent {
        let text = std::str::from_utf8(event.payload.bytes().unwrap()).unwrap();
        *by_order.entry(text.parse().unwrap()).or_default() += 1;
    }
    let once: HashMap<u64, usize> = (0..ORDERS).map(|order| (2 * order, 1)).collect();
    assert_eq!(by_order, once);
}
