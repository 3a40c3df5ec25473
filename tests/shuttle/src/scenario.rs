//! What threads do to the queue, and what must be true however their steps fall. Each function is
//! one execution; it panics where something is wrong, and shuttle does where nothing can go on.

use crate::queue::{Queue, batch, event};
use crate::store::request::Answer;
use crate::store::signal::Feed;
use annals_core::{
    AppendCondition, AppendOptions, AppendReceipt, Batch, Event, EventId, ExpectedVersion, Region,
    Sequence, StoreError, Version,
};
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
            Err(StoreError::Interrupted { .. } | StoreError::Poisoned { .. }) => {
                assert!(there.len() <= 1, "{entity}");
            }
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

/// A sync that panics answers its own group, and those that were staged behind it are committed.
pub fn a_panic_in_a_sync_leaves_nobody_waiting() {
    let queue = Queue::new(2);
    let first = queue.committer.append(batch("first"));
    queue.sync_goes_wrong_after(1, true);
    let mut answers = joined(appending(&queue));
    let interrupted =
        |(_, answer): &&(String, Answer)| matches!(answer, Err(StoreError::Interrupted { .. }));
    let interrupted = answers.iter().filter(interrupted).count();
    assert!((1..=3).contains(&interrupted), "the group that panicked: {answers:?}");
    answers.push(("first".to_owned(), first));
    check_receipts(&queue.close(), &answers);
}

/// A sync that fails answers all, those that were staged behind it too, and shows nothing of them.
pub fn a_failed_sync_answers_all() {
    let queue = Queue::new(2);
    let first = queue.committer.append(batch("first"));
    queue.sync_goes_wrong_after(1, false);
    let mut answers = joined(appending(&queue));
    answers.push(("first".to_owned(), first));
    let poisoned =
        |(_, answer): &(String, Answer)| matches!(answer, Err(StoreError::Poisoned { .. }));
    assert!(answers.iter().any(poisoned) && !answers.iter().all(poisoned), "{answers:?}");
    let written = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    assert_eq!(queue.committer.reader().end().get(), written as u64, "only these are visible");
    check_receipts(&queue.close_poisoned(), &answers);
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

/// Whether a batch was appended or refused; nothing else answers it.
fn is_written(answer: &Answer, refused: fn(&StoreError) -> bool) -> bool {
    match answer {
        Ok(_) => true,
        Err(error) if refused(error) => false,
        Err(other) => panic!("nothing answers that: {other}"),
    }
}

/// Each of these threads makes its one call; the answers in their order.
fn at_once<const N: usize>(queue: &Queue, batches: [Batch; N]) -> Vec<Answer> {
    let threads = batches.map(|batch| {
        let committer = Arc::clone(&queue.committer);
        spawn(move || vec![committer.append(batch)])
    });
    joined(threads.into())
}

/// Of those that expect one version of one stream, exactly one wins, also where they are committed
/// in one group; who expects any is in the way of none.
pub fn one_of_those_that_expect_a_version_wins() {
    let queue = Queue::new(2);
    let first = queue.committer.append(batch("stream")).expect("nothing speaks against it");
    assert_eq!(first[0].version, Version::ZERO);
    let exact =
        AppendOptions::default().with_expected_version(ExpectedVersion::Exact(first[0].version));
    let expecting = || Batch::new().push(event("stream").with_options(exact.clone()));
    let answers = at_once(&queue, [expecting(), expecting(), expecting(), batch("another")]);
    let conflict = |error: &StoreError| {
        matches!(error, StoreError::VersionConflict { actual: Some(actual), .. }
            if *actual == Version::new(1))
    };
    let written = answers[..3].iter().filter(|answer| is_written(answer, conflict)).count();
    assert_eq!(written, 1, "{answers:?}");
    assert!(answers[3].is_ok());
    let events = queue.close();
    assert_eq!(events.iter().filter(|event| event.coordinate.entity() == "stream").count(), 2);
}

/// Of two batches that each forbid what the other brings, exactly one is there, whole.
pub fn one_of_those_that_exclude_each_other_wins() {
    let queue = Queue::new(2);
    let unless = |entity: &str| AppendCondition::new(Region::entity_exact(entity), None);
    let two = |entity: &str, forbidden: &str| {
        Batch::new().push(event(entity)).push(event(entity)).with_condition(unless(forbidden))
    };
    let answers = at_once(&queue, [two("a", "b"), two("b", "a"), two("c", "d")]);
    let failed = |error: &StoreError| matches!(error, StoreError::ConditionFailed { .. });
    let written = answers[..2].iter().filter(|answer| is_written(answer, failed)).count();
    assert_eq!(written, 1, "{answers:?}");
    assert!(answers[2].is_ok());
    let events = queue.close();
    assert_eq!(events.len(), 4);
    let sequences = |entity: &str| -> Vec<Sequence> {
        let of = events.iter().filter(|event| event.coordinate.entity() == entity);
        of.map(Event::sequence).collect()
    };
    for entity in ["a", "b", "c"] {
        let found = sequences(entity);
        let together = found.first().map(|first| vec![*first, first.next()]);
        assert!(found.is_empty() || Some(found) == together, "a batch of {entity} is whole");
    }
}

/// All that come with one key get one receipt, and one event is there. The stream's version, which
/// has moved on for all but one, is not looked at again.
pub fn all_that_share_a_key_share_a_receipt() {
    let queue = Queue::new(2);
    let options = AppendOptions::default().with_idempotency_key(EventId::from_key("key"));
    let options = options.with_expected_version(ExpectedVersion::NoStream);
    let keyed = || Batch::new().push(event("keyed").with_options(options.clone()));
    let answers = at_once(&queue, [keyed(), keyed(), keyed(), batch("another")]);
    let receipts: Vec<&AppendReceipt> = answers[..3]
        .iter()
        .map(|answer| &answer.as_ref().expect("a key is answered with its receipt")[0])
        .collect();
    let same = |one: &&AppendReceipt, other: &&AppendReceipt| {
        (one.sequence, one.event_hash) == (other.sequence, other.event_hash)
    };
    assert!(receipts.windows(2).all(|pair| same(&pair[0], &pair[1])), "{receipts:?}");
    let events = queue.close();
    assert_eq!(events.iter().filter(|event| event.coordinate.entity() == "keyed").count(), 1);
    assert_eq!(events.len(), 2);
}
