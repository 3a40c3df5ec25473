//! Subscriptions: the newest, and how many were lost.

use crate::{MemoryStore, PAID, PLACED, SENT, at, event, put, small_segments};
use annals::{
    Batch, EventId, FollowError, MemoryStorage, Region, Store, StoreConfig, StoreError,
    Subscription,
};
use annals_tests::process::without_hanging;
use parking_lot::Mutex;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

fn with_capacity(capacity: usize) -> MemoryStore {
    small_segments(|config| config.with_subscription_capacity(capacity))
}

/// Everything that is there now, and what was lost before each of it.
fn take_all<T>(live: &mut Subscription<MemoryStorage, T>) -> Vec<Result<T, u64>> {
    let mut taken = Vec::new();
    loop {
        match live.try_recv() {
            Ok(None) => return taken,
            Ok(Some(item)) => taken.push(Ok(item)),
            Err(FollowError::Lagged(lost)) => taken.push(Err(lost)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn b30_a_subscription_begins_now() {
    let store = with_capacity(10);
    put(&store, "order:1", PLACED);
    let mut live = store.subscribe(&Region::all());
    assert!(live.try_recv().unwrap().is_none());
    let second = put(&store, "order:1", PLACED);
    assert_eq!(live.recv().unwrap().sequence(), second);
}

#[test]
fn b30_a_slow_one_is_told_how_many_it_lost_and_keeps_the_newest() {
    let store = with_capacity(3);
    let mut live = store.subscribe(&Region::all().kind(PAID)).map(|event| event.sequence().get());
    for _ in 0..200 {
        put(&store, "order:1", PLACED);
        put(&store, "order:1", PAID);
    }
    assert_eq!(take_all(&mut live), [Err(197), Ok(395), Ok(397), Ok(399)]);
    // What it may hold, it holds, however much else there is.
    for _ in 0..100 {
        put(&store, "order:1", PLACED);
    }
    let last = put(&store, "order:1", PAID).get();
    assert_eq!(take_all(&mut live), [Ok(last)]);
}

#[test]
fn b30_one_that_is_told_gets_an_event_next_however_fast_the_log_grows() {
    let store = with_capacity(2);
    let mut live = store.subscribe(&Region::all()).map(|event| event.sequence().get());
    let mut seen = 0;
    for number in 0..20 {
        for _ in 0..5 {
            put(&store, "order:1", PLACED);
        }
        match live.recv() {
            Err(FollowError::Lagged(lost)) => {
                assert_eq!(number % 2, 0, "never twice without an event");
                seen += lost;
            }
            other => assert_eq!((number % 2, other.unwrap()), (1, seen)),
        }
        seen += u64::from(number % 2 == 1);
    }
}

#[test]
fn b30_what_was_read_ahead_counts_as_not_taken() {
    let store = with_capacity(100);
    let mut live = store.subscribe(&Region::all()).map(|event| event.sequence().get());
    for _ in 0..100 {
        put(&store, "order:1", PLACED);
    }
    assert_eq!(live.recv().unwrap(), 0);
    for _ in 0..51 {
        put(&store, "order:1", PLACED);
    }
    // 99 of the first hundred wait, and 51 more: 50 too many.
    assert!(matches!(live.recv(), Err(FollowError::Lagged(50))));
    assert_eq!(live.recv().unwrap(), 51);
    assert_eq!(take_all(&mut live).len(), 99);
}

#[test]
fn b30_a_lost_event_is_counted_by_every_filter_of_the_region() {
    let store = with_capacity(1);
    let first = store.append(&at("order:1"), PLACED, &1).unwrap();
    let regions = [
        Region::entity("order:1"),
        Region::all().scope("shop").kind(SENT),
        Region::all().correlation(first.id),
        Region::all().causation(first.id).kind(SENT),
    ];
    let mut lives = regions.map(|region| store.subscribe(&region));
    for number in 0..90_u64 {
        let (entity, kind) =
            (format!("order:{}", number % 3), [PAID, SENT][usize::from(number % 2 == 0)]);
        let key = EventId::from_key(&number.to_string());
        let (correlation, causation) =
            if number % 5 == 0 { (first.id, first.id) } else { (key, key) };
        store.append_reaction(&at(&entity), kind, &number, correlation, causation).unwrap();
    }
    let expected = [30, 45, 18, 9];
    for (live, expected) in lives.iter_mut().zip(expected) {
        let lost = live.recv().unwrap_err();
        assert!(matches!(lost, FollowError::Lagged(lost) if lost == expected - 1), "{lost}");
        live.recv().unwrap();
        assert!(live.try_recv().unwrap().is_none());
    }
}

#[test]
fn b30_a_subscriber_that_hangs_holds_up_nobody() {
    without_hanging(|| {
        let store = with_capacity(4);
        let (hangs, told) = mpsc::channel();
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let mut live = store.subscribe(&Region::all()).map(move |event| {
            hangs.send(()).unwrap();
            wait.lock().recv().unwrap();
            event.sequence().get()
        });
        let slow = std::thread::spawn(move || (live.recv().unwrap(), live.recv()));
        put(&store, "order:1", PLACED);
        told.recv().unwrap();
        for _ in 0..500 {
            put(&store, "order:1", PLACED);
        }
        go_on.send(()).unwrap();
        let (first, second) = slow.join().unwrap();
        assert_eq!(first, 0);
        assert!(matches!(second, Err(FollowError::Lagged(496))), "{second:?}");
    });
}

#[test]
fn b30_steps_keep_every_way_to_receive() {
    let store = with_capacity(100);
    let steps = |live: Subscription<MemoryStorage>| {
        live.filter(|event| event.kind() == PAID)
            .map(|event| event.sequence().get())
            .filter(|number| number % 4 == 1)
            .map(|number| number.to_string())
            .take(3)
    };
    let mut lives = [0; 2].map(|_| steps(store.subscribe(&Region::all())));
    for _ in 0..10 {
        put(&store, "order:1", PLACED);
        put(&store, "order:1", PAID);
    }
    let [one, other] = &mut lives;
    assert_eq!(one.try_recv().unwrap().unwrap(), "1");
    assert_eq!(one.recv_timeout(Duration::MAX).unwrap().unwrap(), "5");
    assert_eq!(one.recv().unwrap(), "9");
    assert!(matches!(one.recv(), Err(FollowError::Finished)));
    // Without an end of its own, this would wait for more.
    let collected: Vec<String> = other.collect::<Result<_, _>>().unwrap();
    assert_eq!(collected, ["1", "5", "9"]);
}

#[test]
fn b30_taking_none_is_at_its_end_at_once() {
    let store = with_capacity(1);
    let mut none = store.subscribe(&Region::all()).take(0);
    assert!(none.next().is_none());
    assert!(matches!(none.try_recv(), Err(FollowError::Finished)));
}

#[test]
fn b30_an_iterator_goes_on_behind_what_was_lost() {
    let store = with_capacity(2);
    let live = store.subscribe(&Region::all());
    for _ in 0..5 {
        put(&store, "order:1", PLACED);
    }
    store.close().unwrap();
    let items: Vec<_> = live.map(|event| event.sequence().get()).collect();
    assert!(matches!(items[..], [Err(FollowError::Lagged(3)), Ok(3), Ok(4)]), "{items:?}");
}

#[test]
fn b30_a_capacity_of_none_is_refused() {
    let config = StoreConfig::new("").with_subscription_capacity(0);
    let refused = Store::open_in(MemoryStorage::new(), config);
    assert!(matches!(refused, Err(StoreError::InvalidInput(_))));
}

#[test]
fn b30_many_subscribers_beside_writers_get_or_lose_every_event() {
    without_hanging(|| {
        let store = Arc::new(with_capacity(64));
        let threads: Vec<_> = (0..20)
            .map(|_| {
                let mut live = store.subscribe(&Region::all().kind(PAID));
                std::thread::spawn(move || {
                    let (mut seen, mut lost, mut last) = (0, 0, None);
                    loop {
                        match live.recv() {
                            Ok(event) => {
                                assert!(last < Some(event.sequence()));
                                (seen, last) = (seen + 1, Some(event.sequence()));
                            }
                            Err(FollowError::Lagged(more)) => lost += more,
                            Err(FollowError::Closed) => return seen + lost,
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            })
            .collect();
        std::thread::scope(|scope| {
            for writer in 0..3 {
                let store = &store;
                scope.spawn(move || {
                    for number in 0..200 {
                        let kind = if number % 2 == 0 { PAID } else { PLACED };
                        let entity = format!("order:{writer}");
                        let batch: Batch = (0..3).map(|_| event(&entity, kind, "x")).collect();
                        store.append_batch(batch).unwrap();
                    }
                });
            }
        });
        drop(store);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 900);
        }
    });
}

proptest! {
    #[test]
    fn b30_a_subscription_is_a_queue_that_drops_its_oldest(
        capacity in 1..20_usize,
        rounds in proptest::collection::vec((0..40_u64, 0..30_usize), 1..20),
    ) {
        let store = with_capacity(capacity);
        let mut live = store.subscribe(&Region::all().kind(PAID)).map(|event| event.sequence().get());
        let mut queue = VecDeque::new();
        let mut told = false;
        for (appends, takes) in rounds {
            for number in 0..appends {
                let kind = if number % 3 == 0 { PLACED } else { PAID };
                let sequence = put(&store, "order:1", kind);
                if kind == PAID {
                    queue.push_back(sequence.get());
                }
            }
            for _ in 0..takes {
                let excess = queue.len().saturating_sub(capacity);
                let received = live.try_recv();
                if excess > 0 && !told {
                    queue.drain(..excess);
                    let lost = matches!(received, Err(FollowError::Lagged(lost)) if lost == excess as u64);
                    prop_assert!(lost, "{excess} expected, {received:?}");
                    told = true;
                } else {
                    prop_assert_eq!(received.unwrap(), queue.pop_front());
                    told = false;
                }
            }
        }
    }
}
