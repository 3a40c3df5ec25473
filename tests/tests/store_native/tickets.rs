//! Tickets: the promise of a receipt.

use crate::probe::{Gate, Probe};
use crate::{PLACED, all, at, batch, event};
use annals::{MemoryStorage, Store, StoreConfig, StoreError, Ticket};
use annals_tests::process::without_hanging;
use annals_tests::sim_disk::OperationKind;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

/// A store whose commits can be held up at their write.
fn gated_store() -> (Arc<Store<Probe>>, Gate) {
    let (probe, gate) = (Probe::new(MemoryStorage::new()), Gate::default());
    let store = Store::open_in(probe.clone(), StoreConfig::new("")).unwrap();
    let held = gate.clone();
    probe.before(move |kind| {
        if kind == OperationKind::WriteAllAt {
            held.pass();
        }
        Ok(())
    });
    (Arc::new(store), gate)
}

/// The smallest executor there is: a thread that sleeps until it is woken.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn a_ticket_can_be_awaited_without_a_runtime() {
    without_hanging(|| {
        let (store, gate) = gated_store();
        gate.close();
        let ticket = store.submit(event("order:1", "awaited")).unwrap();
        gate.wait_for_visitor();
        let (polled, wait) = mpsc::channel();
        let waiting = std::thread::spawn(move || {
            let mut ticket = pin!(ticket);
            // Polled once more than needed, by another waker: the newest one counts.
            assert!(ticket.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            polled.send(()).unwrap();
            block_on(ticket)
        });
        wait.recv().unwrap();
        gate.open();
        let receipt = waiting.join().unwrap().unwrap();
        assert_eq!(store.get(receipt.id).unwrap().sequence(), receipt.sequence);
        let tickets = [0; 10].map(|_| store.submit_batch(batch([event("order:2", "more")])));
        for ticket in tickets {
            assert_eq!(block_on(ticket.unwrap()).unwrap().len(), 1);
        }
    });
}

#[test]
fn a_ticket_says_whether_the_answer_is_there() {
    without_hanging(|| {
        let (store, gate) = gated_store();
        gate.close();
        let ticket = store.submit(event("order:1", "held up")).unwrap();
        gate.wait_for_visitor();
        let Err(mut ticket) = ticket.try_wait() else { panic!("it is not written") };
        gate.open();
        let receipt = loop {
            ticket = match ticket.try_wait() {
                Ok(answer) => break answer.unwrap(),
                Err(ticket) => ticket,
            };
            std::thread::yield_now();
        };
        assert_eq!(all(&store)[0].id(), receipt.id);
    });
}

#[test]
fn a_dropped_ticket_commits_all_the_same() {
    without_hanging(|| {
        let storage = MemoryStorage::new();
        let store = Store::open_in(storage.clone(), StoreConfig::new("")).unwrap();
        for number in 0..1_000 {
            drop(store.submit(event("order:1", &number.to_string())).unwrap());
        }
        store.close().unwrap();
        let store = Store::open_in(storage, StoreConfig::new("")).unwrap();
        assert_eq!(store.stream("order:1").count(), 1_000);
    });
}

#[test]
fn a_ticket_brings_what_was_wrong_with_the_append() {
    let store = Store::in_memory().unwrap();
    let refused = event("order:1", "refused").with_options(
        annals::AppendOptions::default()
            .with_expected_version(annals::ExpectedVersion::StreamExists),
    );
    let error = store.submit(refused).unwrap().wait().unwrap_err();
    assert!(matches!(error, StoreError::VersionConflict { actual: None, .. }), "{error}");
}

#[test]
fn a_waker_that_panics_keeps_no_answer_from_the_others() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker that panics");
        }
    }
    without_hanging(|| {
        let (store, gate) = gated_store();
        gate.close();
        let first = store.submit(event("order:1", "leads")).unwrap();
        gate.wait_for_visitor();
        let mut bad: Vec<Ticket> = Vec::new();
        let waker = Waker::from(Arc::new(Panics));
        for _ in 0..3 {
            let mut ticket = store.submit(event("order:2", "its waker panics")).unwrap();
            let polled = pin!(&mut ticket).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
            bad.push(ticket);
        }
        let last = store.submit(event("order:3", "behind them")).unwrap();
        gate.open();
        first.wait().unwrap();
        last.wait().unwrap();
        for ticket in bad {
            ticket.wait().unwrap();
        }
        store.submit(event("order:4", "later")).unwrap().wait().unwrap();
    });
}

#[test]
fn a_waker_may_append_itself() {
    struct Appends(Arc<Store<Probe>>);
    impl Wake for Appends {
        fn wake(self: Arc<Self>) {
            self.0.append(&at("order:1"), PLACED, "by the waker").unwrap();
        }
    }
    without_hanging(|| {
        let (store, gate) = gated_store();
        gate.close();
        let first = store.submit(event("order:1", "leads")).unwrap();
        gate.wait_for_visitor();
        let waker = Waker::from(Arc::new(Appends(Arc::clone(&store))));
        let mut ticket = store.submit(event("order:1", "woken")).unwrap();
        assert!(pin!(&mut ticket).poll(&mut Context::from_waker(&waker)).is_pending());
        let last = store.submit(event("order:1", "behind it")).unwrap();
        gate.open();
        first.wait().unwrap();
        last.wait().unwrap();
        while all(&*store).len() < 4 {
            std::thread::yield_now();
        }
        ticket.wait().unwrap();
    });
}

#[test]
fn what_each_thread_submits_and_appends_stays_in_its_order() {
    without_hanging(|| {
        let store = Store::in_memory().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let store = &store;
                scope.spawn(move || {
                    let entity = format!("thread:{thread}");
                    let mut random = annals_tests::sim_disk::Random::new(thread);
                    for number in 0..300_u64 {
                        let text = number.to_string();
                        if random.one_in(4) {
                            store.append(&at(&entity), PLACED, annals::Payload::raw(text)).unwrap();
                        } else {
                            drop(store.submit(event(&entity, &text)).unwrap());
                        }
                    }
                });
            }
        });
        store.append(&at("last"), PLACED, "all before it are in").unwrap();
        for thread in 0..8 {
            let events = store.stream(&format!("thread:{thread}"));
            let texts: Vec<u64> = events
                .map(|event| {
                    let event = event.unwrap();
                    let text = std::str::from_utf8(event.payload.bytes().unwrap()).unwrap();
                    text.parse().unwrap()
                })
                .collect();
            assert_eq!(texts, (0..300).collect::<Vec<_>>(), "of thread {thread}");
        }
    });
}

#[test]
fn closing_answers_every_ticket_that_waits() {
    without_hanging(|| {
        let (store, gate) = gated_store();
        gate.close();
        let tickets: Vec<_> =
            (0..100).map(|_| store.submit(event("order:1", "waits")).unwrap()).collect();
        let waiting: Vec<_> =
            tickets.into_iter().map(|ticket| std::thread::spawn(move || ticket.wait())).collect();
        gate.wait_for_visitor();
        let closing = std::thread::spawn(move || Arc::into_inner(store).unwrap().close());
        gate.open();
        closing.join().unwrap().unwrap();
        for ticket in waiting {
            ticket.join().unwrap().unwrap();
        }
    });
}
