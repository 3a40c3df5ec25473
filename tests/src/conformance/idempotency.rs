//! Behaviour 6: an idempotency key is the event's id, and a replay changes nothing.

use annals_core::{
    Append, AppendCondition, AppendReceipt, Batch, EventId, ExpectedVersion, Payload,
    PayloadFormat, Region, Staged, StoreError, Version,
};

use super::Backend;
use super::store::{PAID, PLACED, all, at, event, fill, open, open_small, put, with};

fn keyed(append: Append, key: &str) -> Append {
    with(append, |options| options.with_idempotency_key(EventId::from_key(key)))
}

fn conflict<T: core::fmt::Debug>(answer: Result<T, StoreError>) -> EventId {
    match answer {
        Err(StoreError::IdempotencyConflict { id, .. }) => id,
        other => panic!("the key belongs to another event: {other:?}"),
    }
}

/// The same receipt, but for what is known about stable storage by now.
fn same(replayed: &AppendReceipt, original: &AppendReceipt) {
    let mut replayed = *replayed;
    replayed.durable = original.durable;
    assert_eq!(&replayed, original);
}

/// The original receipt, from the active segment, a sealed one, and after reopening.
pub fn b06_a_replay_returns_the_original_receipt(backend: impl Backend) {
    let mut log = open_small(&backend);
    put(&mut log, &event("order:1", PLACED, "before"));
    let append = keyed(event("order:1", PAID, "once"), "payment 7");
    let original = put(&mut log, &append);
    assert_eq!(original.id, EventId::from_key("payment 7"));
    same(&put(&mut log, &append), &original);
    put(&mut log, &event("order:1", PLACED, "after"));
    same(&put(&mut log, &append), &original);
    drop(log);
    let mut log = open_small(&backend);
    same(&put(&mut log, &append), &original);
    fill(&mut log, 2);
    same(&put(&mut log, &append), &original);
    log.close().expect("the store closes");
    let mut log = open_small(&backend);
    let end = log.reader().end();
    same(&put(&mut log, &append), &original);
    assert_eq!(log.reader().end(), end, "a replay appends nothing");
    assert_eq!(log.reader().stream("order:1").count(), 3);
}

/// A replay is known before the version and the condition are checked, which hold no more.
pub fn b06_a_replay_is_known_before_any_version_check(backend: impl Backend) {
    let mut log = open(&backend);
    let condition = AppendCondition::new(Region::stream("order:1"), None);
    let append = keyed(event("order:1", PLACED, "once"), "k");
    let append = with(append, |options| {
        options.with_expected_version(ExpectedVersion::NoStream).with_condition(condition)
    });
    let original = put(&mut log, &append);
    put(&mut log, &event("order:1", PAID, "more"));
    same(&put(&mut log, &append), &original);
    drop(log);
    let mut log = open(&backend);
    same(&put(&mut log, &append), &original);
    let other_wish = with(append, |options| {
        options.with_expected_version(ExpectedVersion::Exact(Version::new(40)))
    });
    same(&put(&mut log, &other_wish), &original);
}

/// The same key with another address, kind or payload is a conflict, and writes nothing.
pub fn b06_a_key_with_another_event_is_a_conflict(backend: impl Backend) {
    let mut log = open(&backend);
    let payload = || Payload::from_parts(PayloadFormat::Json, 3, b"1".to_vec());
    let original = keyed(Append::new(at("order:1", "shop"), PLACED, payload()), "k");
    let receipt = put(&mut log, &original);
    let changed = |change: fn(&mut Append)| {
        let mut append = original.clone();
        change(&mut append);
        append
    };
    let others = [
        changed(|append| append.coordinate = at("order:2", "shop")),
        changed(|append| append.coordinate = at("order:1", "market")),
        changed(|append| append.kind = PAID),
        changed(|append| append.payload = Payload::from_parts(PayloadFormat::Json, 3, vec![b'2'])),
        changed(|append| append.payload = Payload::from_parts(PayloadFormat::Json, 4, vec![b'1'])),
        changed(|append| append.payload = Payload::from_parts(PayloadFormat::Raw, 3, vec![b'1'])),
        changed(|append| append.payload = Payload::from_parts(PayloadFormat::Json, 3, vec![])),
    ];
    for round in 0..2 {
        for other in &others {
            assert_eq!(conflict(log.append(other)), receipt.id, "round {round}");
        }
        same(&put(&mut log, &original), &receipt);
        assert_eq!(all(&log.reader()).len(), 1);
        drop(log);
        log = open(&backend);
    }
    let elsewhere = Append::new(at("order:9", "shop"), PAID, Payload::raw(""));
    let id_of_a_plain_event = put(&mut log, &elsewhere).id;
    let taken = with(event("order:1", PLACED, "x"), |options| {
        options.with_idempotency_key(id_of_a_plain_event)
    });
    assert_eq!(conflict(log.append(&taken)), id_of_a_plain_event);
}

/// Any string makes a key, always the same, and different strings different ones.
pub fn b06_a_key_is_made_from_any_string(backend: impl Backend) {
    let mut log = open(&backend);
    let longest = "k".repeat(100_000);
    for key in ["", " ", "payment 7", "payment 8", "\u{0}", "\u{1f9fe}", longest.as_str()] {
        let append = keyed(event("order:1", PLACED, key.get(..4).unwrap_or(key)), key);
        let receipt = put(&mut log, &append);
        assert_eq!(receipt.id, EventId::from_key(key));
        same(&put(&mut log, &append), &receipt);
        assert!(log.reader().get(EventId::from_key(key)).is_ok());
    }
    assert_eq!(log.reader().end().get(), 7);
}

/// Two callers with one key in one commit get the same event.
pub fn b06_a_replay_is_known_within_one_commit(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:0", PLACED, "before"));
    let append = keyed(event("order:1", PLACED, "once"), "k");
    let first = log.stage(std::slice::from_ref(&append), None).expect("new");
    let Staged::Group(first) = first else { panic!("it is staged: {first:?}") };
    log.stage(&[event("order:2", PLACED, "between")], None).expect("new");
    let second = log.stage(std::slice::from_ref(&append), None).expect("a replay");
    let Staged::Group(second) = second else { panic!("it is the staged one: {second:?}") };
    assert_eq!(first, second);
    let other = keyed(event("order:1", PLACED, "twice"), "k");
    assert_eq!(conflict(log.stage(&[other], None)), EventId::from_key("k"));
    let mut receipts = Vec::new();
    log.commit(|log, info| receipts.extend(log.receipts(second, info))).expect("written");
    assert_eq!(receipts.len(), 1);
    assert_eq!(receipts[0].sequence.get(), 1);
    same(&put(&mut log, &append), &receipts[0]);
    assert_eq!(log.reader().end().get(), 3);
}

/// A batch whose keys are known is answered whole.
pub fn b06_a_batch_is_replayed_whole(backend: impl Backend) {
    let mut log = open_small(&backend);
    let batch: Batch = [
        event("order:1", PLACED, "no key"),
        keyed(event("order:1", PAID, "a"), "a"),
        keyed(event("order:2", PAID, "b"), "b"),
    ]
    .into_iter()
    .collect();
    let original = log.append_batch(&batch).expect("new");
    fill(&mut log, 1);
    drop(log);
    let mut log = open_small(&backend);
    let end = log.reader().end();
    let replayed = log.append_batch(&batch).expect("a replay");
    assert_eq!(replayed.len(), 3);
    for (replayed, original) in replayed.iter().zip(&original) {
        same(replayed, original);
    }
    same(&put(&mut log, &batch.items()[2]), &original[2]);
    assert_eq!(log.reader().end(), end);
}

/// A batch that mixes a known key with anything else is another batch: a conflict.
pub fn b06_a_batch_with_a_known_key_and_other_items_is_a_conflict(backend: impl Backend) {
    let mut log = open(&backend);
    let a = keyed(event("order:1", PAID, "a"), "a");
    let b = keyed(event("order:1", PAID, "b"), "b");
    log.append_batch(&[a.clone(), b.clone()].into_iter().collect()).expect("new");
    let new = |key: &str| keyed(event("order:1", PAID, "new"), key);
    let same_content_other_key = keyed(event("order:1", PAID, "b"), "c");
    let others: [Batch; 5] = [
        [a.clone(), new("c")].into_iter().collect(),
        [new("c"), a.clone()].into_iter().collect(),
        [b.clone(), a.clone()].into_iter().collect(),
        [a.clone(), b, new("c")].into_iter().collect(),
        [a, same_content_other_key].into_iter().collect(),
    ];
    for round in 0..2 {
        for (number, other) in others.iter().enumerate() {
            let id = conflict(log.append_batch(other));
            let known = [EventId::from_key("a"), EventId::from_key("b")];
            assert!(known.contains(&id), "round {round}, batch {number}");
        }
        assert_eq!(log.reader().end().get(), 2);
        drop(log);
        log = open(&backend);
    }
}
