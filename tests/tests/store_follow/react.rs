//! Reactors: what they append, how they fail, and how they end.

use crate::{MemoryStore, PAID, PLACED, SENT, at, event, put, small_segments};
use annals::{
    Append, AppendOptions, Batch, Event, ExpectedVersion, FollowError, MemoryStorage, ReactConfig,
    ReactError, Region, RestartPolicy, Store, StoreConfig, StoreError, Version,
};
use annals_tests::process::without_hanging;
use parking_lot::Mutex;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

type Reacted = Result<Batch, Box<dyn Error + Send + Sync>>;

const NAME: &str = "sender";

fn config() -> ReactConfig {
    ReactConfig::new(NAME)
}

fn one(entity: &str) -> Batch {
    Batch::new().push(event(entity, SENT, "a parcel"))
}

fn send(_: &Event) -> Reacted {
    Ok(one("parcel:1"))
}

fn of_kind(store: &MemoryStore, kind: annals::EventKind) -> Vec<Event> {
    store.query(&Region::all().kind(kind)).collect::<Result<_, _>>().unwrap()
}

/// Waits for so many events of a kind.
fn wait_for(store: &MemoryStore, kind: annals::EventKind, events: u64) -> Vec<Event> {
    let follow = store.follow(&Region::all().kind(kind), None).take(events);
    follow.collect::<Result<_, FollowError>>().unwrap()
}

#[test]
fn b32_a_reaction_carries_its_triggers_correlation_and_causation() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        let first = store.append(&at("order:1"), PLACED, &1).unwrap();
        let placed = store.append_reaction(&at("order:1"), PAID, &2, first.id, first.id).unwrap();
        let paid = store.consumer(NAME, &Region::all().kind(PAID)).unwrap();
        let reactor = store
            .react_loop(paid, config(), |_| {
                // What it says of correlation and cause itself counts for nothing.
                let lies = AppendOptions::default()
                    .with_correlation(annals::EventId::from_key("lie"))
                    .with_causation(annals::EventId::from_key("lie"));
                Ok(Batch::new()
                    .push(event("parcel:1", SENT, "packed").with_options(lies))
                    .push(event("parcel:1", SENT, "sent").caused_by_item(0)))
            })
            .unwrap();
        let [packed, sent] = &wait_for(&store, SENT, 2)[..] else { panic!("two") };
        assert_eq!(packed.header.correlation, first.id);
        assert_eq!(sent.header.correlation, first.id);
        assert_eq!(packed.header.causation, Some(placed.id));
        assert_eq!(sent.header.causation, Some(packed.id()));
        reactor.stop();
        let summary = reactor.join().unwrap();
        assert_eq!((summary.triggers, summary.reactions, summary.restarts), (1, 2, 0));
        assert_eq!(store.consumers().unwrap()[0].lag, 0, "it was committed");
    });
}

#[test]
fn b32_a_trigger_that_comes_again_doubles_nothing() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        for _ in 0..5 {
            put(&store, "order:1", PLACED);
        }
        let called = Arc::new(AtomicU64::new(0));
        for round in 0..3 {
            // It begins anew each time, as after a crash before any commit; and what it would
            // append is never the same.
            let placed = store.follow(&Region::all().kind(PLACED), None).take(5);
            let called = Arc::clone(&called);
            let reactor = store
                .react_loop(placed, config(), move |_| {
                    let text = called.fetch_add(1, Ordering::SeqCst).to_string();
                    Ok(Batch::new().push(event("parcel:1", SENT, &text)))
                })
                .unwrap();
            let summary = reactor.join().unwrap();
            let expected = if round == 0 { (5, 0) } else { (0, 5) };
            assert_eq!((summary.reactions, summary.repeated), expected);
        }
        assert_eq!(of_kind(&store, SENT).len(), 5);
        // Another reactor is another matter.
        let placed = store.follow(&Region::all().kind(PLACED), None).take(5);
        store.react_loop(placed, ReactConfig::new("other"), send).unwrap().join().unwrap();
        assert_eq!(of_kind(&store, SENT).len(), 10);
    });
}

#[test]
fn b32_a_reactor_goes_on_from_its_consumers_checkpoint() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        let mut summaries = Vec::new();
        for _ in 0..3 {
            for _ in 0..4 {
                put(&store, "order:1", PLACED);
            }
            let placed = store.consumer(NAME, &Region::all().kind(PLACED)).unwrap();
            let reactor = store.react_loop(placed, config(), send).unwrap();
            wait_for(&store, SENT, 4 * (summaries.len() as u64 + 1));
            reactor.stop();
            summaries.push(reactor.join().unwrap());
        }
        assert!(summaries.iter().all(|done| (done.triggers, done.repeated) == (4, 0)));
    });
}

#[test]
fn b32_a_panic_or_an_error_is_forgiven_as_often_as_the_policy_says() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        put(&store, "order:1", PLACED);
        let mut tries = 0;
        let placed = store.follow(&Region::all().kind(PLACED), None).take(1);
        let policy = RestartPolicy::Bounded { max_restarts: 2, within_ms: 600_000 };
        let reactor = store
            .react_loop(placed, config().with_restart_policy(policy), move |_| {
                tries += 1;
                match tries {
                    1 => panic!("as the test wants"),
                    2 => Err("as the test wants".into()),
                    _ => Ok(one("parcel:1")),
                }
            })
            .unwrap();
        let summary = reactor.join().unwrap();
        assert_eq!((summary.triggers, summary.reactions, summary.restarts), (1, 1, 2));
    });
}

#[test]
fn b32_a_reactor_that_fails_too_often_says_why_and_its_trigger_waits() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        let trigger = put(&store, "order:1", PLACED);
        let once = || config().with_restart_policy(RestartPolicy::Once);
        let placed = || store.consumer(NAME, &Region::all().kind(PLACED)).unwrap();
        let reactor = store.react_loop(placed(), once(), |_| panic!("no parcels")).unwrap();
        let error = reactor.join().unwrap_err();
        let ReactError::Panicked { name, trigger: at, message } = error else { panic!("{error}") };
        assert_eq!((name.as_str(), at, message.as_str()), (NAME, trigger, "no parcels"));

        let reactor = store.react_loop(placed(), once(), |_| Err("no stamps".into())).unwrap();
        let error = reactor.join().unwrap_err();
        assert!(matches!(error, ReactError::Failed { .. }));
        assert_eq!(error.source().unwrap().to_string(), "no stamps");

        let refused = |_: &Event| {
            let stale = AppendOptions::default()
                .with_expected_version(ExpectedVersion::Exact(Version::new(9)));
            Ok(Batch::new().push(event("parcel:1", SENT, "x").with_options(stale)))
        };
        let error = store.react_loop(placed(), once(), refused).unwrap().join().unwrap_err();
        let ReactError::Store { cause, .. } = error else { panic!("{error}") };
        assert!(matches!(cause, StoreError::VersionConflict { .. }), "{cause}");

        let reactor = store.react_loop(placed(), once(), send).unwrap();
        wait_for(&store, SENT, 1);
        reactor.stop();
        assert_eq!(reactor.join().unwrap().repeated, 0);
    });
}

#[test]
fn b32_an_append_that_was_refused_is_decided_anew() {
    without_hanging(|| {
        let store = Arc::new(small_segments(|config| config));
        put(&store, "order:1", PLACED);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (reading, noted) = (Arc::downgrade(&store), Arc::clone(&seen));
        let placed = store.follow(&Region::all().kind(PLACED), None).take(1);
        let reactor = store
            .react_loop(placed, config(), move |_| {
                let store = reading.upgrade().ok_or("the store is gone")?;
                let head = store.head("parcel:1")?.map(|head| head.version);
                noted.lock().push(head);
                // Somebody else gets in between, the first time.
                if head.is_none() {
                    put(&store, "parcel:1", PAID);
                }
                let expected = head.map_or(ExpectedVersion::NoStream, ExpectedVersion::Exact);
                let pinned = AppendOptions::default().with_expected_version(expected);
                Ok(Batch::new().push(event("parcel:1", SENT, "x").with_options(pinned)))
            })
            .unwrap();
        assert_eq!(reactor.join().unwrap().restarts, 1);
        assert_eq!(*seen.lock(), [None, Some(Version::ZERO)]);
        assert_eq!(of_kind(&store, SENT).len(), 1);
    });
}

#[test]
fn b32_a_circle_of_reactors_ends_at_the_depth_that_the_log_tells() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        let react = |name: &str, on, with: annals::EventKind| {
            let source = store.consumer(name, &Region::all().kind(on)).unwrap();
            let config = ReactConfig::new(name).with_depth_max(7);
            let answer = move |trigger: &Event| -> Reacted {
                Ok(Batch::new().push(Append::new(
                    trigger.coordinate.clone(),
                    with,
                    annals::Payload::raw("x"),
                )))
            };
            store.react_loop(source, config, answer).unwrap()
        };
        let (ping, pong) = (react("ping", PLACED, PAID), react("pong", PAID, PLACED));
        let first = store.append(&at("order:1"), PLACED, &1).unwrap();
        // PLACED and PAID by turns: the eighth has seven causes.
        let last = store.follow(&Region::all(), None).take(8).last().unwrap().unwrap();
        assert_eq!(store.causes(last.id(), 100).unwrap().events.len(), 7);
        while ping.summary().too_deep + pong.summary().too_deep == 0 {
            std::thread::yield_now();
        }
        for reactor in [ping, pong] {
            reactor.stop();
            reactor.join().unwrap();
        }
        assert_eq!(store.correlated(first.id, 100).unwrap().events.len(), 8);
    });
}

#[test]
fn b32_a_reactor_ends_with_its_store_and_holds_none_alive() {
    without_hanging(|| {
        let dir = tempfile::tempdir().unwrap();
        let open = || Store::open(StoreConfig::new(dir.path()).with_segment_max_bytes(4096));
        let store = open().unwrap();
        let placed = store.consumer(NAME, &Region::all().kind(PLACED)).unwrap();
        let live = store.subscribe(&Region::all().kind(PLACED));
        let consuming = store.react_loop(placed, config(), send).unwrap();
        let subscribed = store.react_loop(live, ReactConfig::new("live"), send).unwrap();
        store.append(&at("order:1"), PLACED, &1).unwrap();
        drop(store);
        let again = open().unwrap();
        consuming.join().unwrap();
        subscribed.join().unwrap();
        again.close().unwrap();
    });
}

#[test]
fn b32_a_reactor_that_waits_can_be_stopped() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        let reactor = store.react_loop(store.subscribe(&Region::all()), config(), send).unwrap();
        assert!(!reactor.is_finished());
        reactor.stop();
        assert_eq!(reactor.join().unwrap().triggers, 0);
    });
}

#[test]
fn b32_a_reactor_on_a_subscription_tells_what_it_lost() {
    without_hanging(|| {
        let store = small_segments(|config| config.with_subscription_capacity(3));
        let live = store.subscribe(&Region::all().kind(PLACED)).take(3);
        for _ in 0..10 {
            put(&store, "order:1", PLACED);
        }
        let summary = store.react_loop(live, config(), send).unwrap().join().unwrap();
        assert_eq!((summary.lagged, summary.triggers, summary.reactions), (7, 3, 3));
    });
}

#[test]
fn b32_no_reaction_is_a_reaction_too() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        put(&store, "order:1", PLACED);
        let placed = store.follow(&Region::all(), None).take(1);
        let reactor = store.react_loop(placed, config(), |_| Ok(Batch::new())).unwrap();
        let summary = reactor.join().unwrap();
        assert_eq!((summary.triggers, summary.reactions), (1, 0));
    });
}

#[test]
fn b32_a_reactor_that_could_never_react_is_refused() {
    let store: MemoryStore = Store::<MemoryStorage>::in_memory().unwrap();
    for config in [ReactConfig::new(""), config().with_depth_max(0)] {
        let live = store.subscribe(&Region::all());
        let refused = store.react_loop(live, config, send);
        assert!(matches!(refused, Err(StoreError::InvalidInput(_))));
    }
}
