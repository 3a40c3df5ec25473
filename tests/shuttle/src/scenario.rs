//! What threads do to the queue, and what must be true however their steps fall. Each function is
//! one execution; it panics where something is wrong, and shuttle does where nothing can go on.

use crate::queue::{Queue, batch};
use crate::store::request::Answer;
use crate::store::signal::Feed;
use annals_core::{Event, StoreError};
use shuttle::thread::{JoinHandle, spawn};
use std::sync::Arc;

fn joined<T>(threads: Vec<JoinHandle<Vec<T>>>) -> Vec<T> {
    threads.into_iter().flat_map(|thread| thread.join().expect("it ends")).collect()
}

/// Three threads append twice each, through a queue with room for one.
fn appending(queue: &Queue) -> Vec<JoinHandle<Vec<(String, Answer)>>> {
    let append = |thread: u32| {
        let committer = Arc::clone(&queue.committer);
        spawn(move || {
            let entities = (0..2).map(|number| format!("{thread}-{number}"));
            entities.map(|entity| (entity.clone(), committer.append(batch(&entity)))).collect()
        })
    };
    (0..3).map(append).collect()
}

/// Each entity once, where its receipt says.
fn check_receipts(events: &[Event], answers: &[(String, Answer)]) {
    for (entity, answer) in answers {
        let there = events.iter().filter(|event| event.coordinate.entity() == entity);
        let there: Vec<_> = there.map(Event::sequence).collect();
        match answer {
            Ok(receipts) => {
                let receipts: Vec<_> = receipts.iter().map(|receipt| receipt.sequence).collect();
                assert_eq!(receipts, there, "{entity} is there, once, where its receipt says");
            }
            Err(StoreError::Closed) => assert!(there.is_empty(), "{entity} was refused"),
            Err(StoreError::Interrupted { .. }) => assert!(there.len() <= 1, "{entity}"),
            Err(other) => panic!("nothing answers that: {other}"),
        }
    }
}

/// Nobody waits for ever, and everybody is answered with what was written.
pub fn every_append_is_answered() {
    let queue = Queue::new(1);
    let answers = joined(appending(&queue));
    assert!(answers.iter().all(|(_, answer)| answer.is_ok()), "{answers:?}");
    let events = queue.close();
    assert_eq!(events.len(), 6);
    check_receipts(&events, &answers);
}

/// Tickets are answered too, with nobody who leads but the store's own thread, and beside those
/// that append.
pub fn every_ticket_is_answered() {
    let queue = Queue::new(2);
    let submit = |thread: u32| {
        let committer = Arc::clone(&queue.committer);
        spawn(move || {
            let entities: Vec<_> = (0..2).map(|number| format!("t{thread}-{number}")).collect();
            let tickets = entities.iter().map(|entity| match committer.try_submit(batch(entity)) {
                Err(StoreError::QueueFull { capacity: 2 }) => committer.submit(batch(entity)),
                ticket => ticket,
            });
            let tickets: Vec<_> = tickets.collect();
            let answers = tickets.into_iter().map(|ticket| ticket?.wait());
            entities.into_iter().zip(answers).collect()
        })
    };
    let mut threads: Vec<_> = (0..2).map(submit).collect();
    let committer = Arc::clone(&queue.committer);
    threads.push(spawn(move || vec![("append".to_owned(), committer.append(batch("append")))]));
    let answers = joined(threads);
    assert!(answers.iter().all(|(_, answer)| answer.is_ok()), "{answers:?}");
    let events = queue.close();
    assert_eq!(events.len(), 5);
    check_receipts(&events, &answers);
}

/// A close answers all that wait: with their receipts, or that the store is closed.
pub fn a_close_answers_all() {
    let queue = Queue::new(1);
    let committer = Arc::clone(&queue.committer);
    let submitting = spawn(move || {
        let answer = committer.submit(batch("ticket")).and_then(|ticket| ticket.wait());
        vec![("ticket".to_owned(), answer)]
    });
    let mut threads = appending(&queue);
    threads.push(submitting);
    let events = queue.close();
    let answers = joined(threads);
    check_receipts(&events, &answers);
    let acknowledged = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    assert_eq!(acknowledged, events.len());
}

/// A panic in a commit wakes all that wait behind it, and loses nothing acknowledged.
pub fn a_panic_in_a_commit_leaves_nobody_waiting() {
    let queue = Queue::new(2);
    queue.panic_after(1);
    let answers = joined(appending(&queue));
    let interrupted =
        |(_, answer): &&(String, Answer)| matches!(answer, Err(StoreError::Interrupted { .. }));
    let interrupted = answers.iter().filter(interrupted).count();
    assert!((1..=3).contains(&interrupted), "the group that panicked: {answers:?}");
    check_receipts(&queue.close(), &answers);
}

/// A follower that sleeps whenever it has seen all is woken for every commit, and for the close.
pub fn a_follower_is_woken_for_every_commit() {
    let queue = Queue::new(1);
    let feed: Feed<_> = queue.committer.feed().clone();
    let follower = spawn(move || {
        loop {
            let seen = feed.signal.seen();
            let end = feed.end().get();
            if seen.is_closed() {
                return vec![end];
            }
            feed.signal.wait(seen, None);
        }
    });
    let feed = queue.committer.feed().clone();
    // It leaves as soon as four events are there, so it must be woken by the fourth at the latest.
    let patient = spawn(move || {
        loop {
            let seen = feed.signal.seen();
            if feed.end().get() >= 4 {
                return vec![feed.end().get()];
            }
            feed.signal.wait(seen, None);
        }
    });
    joined(appending(&queue));
    joined(vec![patient]);
    queue.close();
    assert_eq!(joined(vec![follower]), [6]);
}
