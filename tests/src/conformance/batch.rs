//! Behaviour 7: a batch is all or nothing.

use annals_core::{
    Append, AppendCondition, BATCH_EVENTS_MAX, Batch, EventFlags, EventId, ExpectedVersion,
    Payload, PositionHint, Region, Sequence, Staged, StorageError, StorageErrorKind, StoreError,
    Version,
};

use super::Backend;
use super::store::{
    PAID, PLACED, SHIPPED, all, at, event, goes_on, open, open_small, put, segments, with,
};

fn batch(items: impl IntoIterator<Item = Append>) -> Batch {
    items.into_iter().collect()
}

/// Whatever refuses one item refuses all, wherever it stands.
pub fn b07_a_refused_item_refuses_the_batch(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("taken", PLACED, "x"));
    let before = all(&log.reader());
    let good = |number: u32| event(&format!("new:{number}"), PLACED, "x");
    let wrong_version = with(event("taken", PAID, "x"), |options| {
        options.with_expected_version(ExpectedVersion::NoStream)
    });
    let not_empty = AppendCondition::new(Region::stream("taken"), None);
    let condition = with(good(9), |options| options.with_condition(not_empty.clone()));
    let too_long = with(good(8), |options| options.with_metadata(vec![0; 70_000]));
    for bad in [wrong_version, condition, too_long] {
        for place in 0..3 {
            let mut items = vec![good(0), good(1)];
            items.insert(place, bad.clone());
            assert!(log.append_batch(&batch(items)).is_err());
            assert_eq!(all(&log.reader()), before);
            assert_eq!(log.reader().head("new:0").expect("an index"), None);
        }
    }
    let refused = batch([good(0), good(1)]).with_condition(not_empty);
    assert!(log.append_batch(&refused).is_err());
    drop(log);
    let mut log = open(&backend);
    assert_eq!(all(&log.reader()), before, "nothing of it is in the file");
    let receipts = log.append_batch(&batch([good(0), good(1)])).expect("now it is fine");
    let numbers: Vec<_> = receipts.iter().map(|receipt| receipt.sequence.get()).collect();
    assert_eq!(numbers, [1, 2]);
}

/// Readers see nothing of a batch before its commit, and all of it after.
pub fn b07_readers_see_a_batch_whole_or_not(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "first"));
    let staged = log.stage(&[event("order:1", PAID, "a"), event("order:2", PAID, "b")], None);
    assert!(matches!(staged, Ok(Staged::Group(range)) if range == (0..2)));
    let mut early = log.reader();
    assert!(log.has_staged());
    assert_eq!(all(&early).len(), 1);
    assert_eq!(early.head("order:1").expect("an index").expect("a stream").version, Version::ZERO);
    log.commit(|log, info| {
        let receipts: Vec<_> = log.receipts(0..2, info).collect();
        assert_eq!(receipts.len(), 2);
    })
    .expect("the group is written");
    assert!(!log.has_staged());
    assert_eq!(all(&early).len(), 1, "a reader keeps its prefix");
    early.refresh();
    assert_eq!(all(&early).len(), 3);
}

/// Where the caller syncs, a group is visible behind its sync; what was staged meanwhile goes on
/// from it.
pub fn b07_a_group_is_visible_behind_its_sync(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "first"));
    log.stage(&[event("order:1", PAID, "a")], None).expect("fine");
    let mut receipts = Vec::new();
    let begun = log.begin_commit(|log, info| receipts.extend(log.receipts(0..1, info)));
    let sync = begun.expect("written").expect("it is to be durable");
    assert_eq!((all(&log.reader()).len(), log.durable_end()), (1, Sequence::new(1)));
    assert_eq!(log.stats().expect("an index").events, 1);
    log.stage(&[event("order:1", SHIPPED, "b")], None).expect("fine");
    let done = sync.run();
    log.finish_sync(&sync, done).expect("nothing is wrong with it");
    assert_eq!((all(&log.reader()).len(), log.durable_end()), (2, Sequence::new(2)));
    assert!(log.has_staged(), "the next group is as it was");
    log.commit(|log, info| receipts.extend(log.receipts(0..1, info))).expect("written");
    assert!(receipts.iter().all(|receipt| receipt.durable));
    let versions: Vec<_> = receipts.iter().map(|receipt| receipt.version.get()).collect();
    assert_eq!(versions, [1, 2]);
    let events = all(&log.reader());
    assert_eq!(events[2].header.prev_hash, events[1].event_hash());
    drop(log);
    assert_eq!(all(&open(&backend).reader()), events);
}

/// After a failed sync neither its group nor what was staged in view of it is there for anyone.
pub fn b11_a_group_whose_sync_failed_takes_along_what_was_staged_behind_it(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "first"));
    let before = all(&log.reader());
    log.stage(&[event("order:1", PAID, "a")], None).expect("fine");
    let sync = log.begin_commit(|_, _| {}).expect("written").expect("it is to be durable");
    log.stage(&[event("order:1", SHIPPED, "b")], None).expect("fine");
    let failure = StorageError::new(StorageErrorKind::Other, "sync_data");
    let failed = log.finish_sync(&sync, Err(failure));
    assert!(matches!(failed, Err(StoreError::Poisoned { .. })), "{failed:?}");
    assert!(!log.has_staged());
    assert_eq!(all(&log.reader()), before);
    let refused = log.append(&event("order:1", SHIPPED, "c"));
    assert!(matches!(refused, Err(StoreError::Poisoned { .. })), "{refused:?}");
    drop(log);
    let mut log = open(&backend);
    assert!(all(&log.reader()).starts_with(&before));
    put(&mut log, &event("order:1", SHIPPED, "goes on"));
}

/// A group that is given up leaves nothing, and what comes next is numbered as if it never was.
pub fn b07_a_discarded_group_leaves_nothing(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "first"));
    log.stage(&[event("order:1", PAID, "never")], None).expect("fine");
    log.discard();
    let receipt = put(&mut log, &event("order:1", SHIPPED, "second"));
    assert_eq!((receipt.sequence, receipt.version), (Sequence::new(1), Version::new(1)));
    drop(log);
    let payloads: Vec<_> =
        all(&open(&backend).reader()).into_iter().map(|event| event.payload).collect();
    assert_eq!(payloads, [Payload::raw("first"), Payload::raw("second")]);
}

/// Each item has its own options, and versions count on within the batch.
pub fn b07_items_have_options_of_their_own(backend: impl Backend) {
    let mut log = open(&backend);
    let correlation = EventId::from_key("c");
    let exact = |version| ExpectedVersion::Exact(Version::new(version));
    let items = [
        with(event("order:1", PLACED, "0"), |options| {
            options.with_expected_version(ExpectedVersion::NoStream).with_metadata("m")
        }),
        with(event("order:1", PAID, "1"), |options| {
            options.with_expected_version(exact(0)).with_flags(EventFlags::REPLAY)
        }),
        with(event("order:2", PAID, "2"), |options| {
            options.with_correlation(correlation).with_position(PositionHint { lane: 3, depth: 4 })
        }),
        with(event("order:1", SHIPPED, "3"), |options| {
            options.with_expected_version(exact(1)).with_idempotency_key(EventId::from_key("k"))
        }),
    ];
    let receipts = log.append_batch(&batch(items)).expect("all hold, one after the other");
    let versions: Vec<_> = receipts.iter().map(|receipt| receipt.version.get()).collect();
    assert_eq!(versions, [0, 1, 0, 2]);
    let read = all(&log.reader());
    assert_eq!(read[0].metadata.as_deref(), Some(&b"m"[..]));
    assert_eq!(read[1].metadata, None);
    assert_eq!(read[1].header.flags, EventFlags::REPLAY);
    assert_eq!(read[0].header.flags, EventFlags::NONE);
    assert_eq!(
        (read[2].header.correlation, read[0].header.correlation),
        (correlation, read[0].id())
    );
    assert_eq!((read[2].header.position.lane, read[2].header.position.depth), (3, 4));
    assert_eq!(read[3].id(), EventId::from_key("k"));
    assert_eq!(read[3].header.prev_hash, receipts[1].event_hash);
    let wrong = batch([
        event("order:3", PLACED, "x"),
        with(event("order:3", PAID, "x"), |options| options.with_expected_version(exact(1))),
    ]);
    let error = log.append_batch(&wrong).expect_err("the stream is at 0 by then");
    let StoreError::VersionConflict { actual, .. } = error else { panic!("{error}") };
    assert_eq!(actual, Some(Version::ZERO));
}

/// An item caused by an earlier one has its id as cause and its correlation.
pub fn b07_an_item_may_name_an_earlier_item_as_its_cause(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:0", PLACED, "moves the places along"));
    let items = [
        event("order:1", PLACED, "root"),
        event("parcel:1", SHIPPED, "effect").caused_by_item(0),
        event("parcel:2", SHIPPED, "effect of the effect").caused_by_item(1),
        with(event("parcel:3", SHIPPED, "own word"), |options| {
            options
                .with_correlation(EventId::from_key("own"))
                .with_causation(EventId::from_key("c"))
        })
        .caused_by_item(0),
    ];
    log.append_batch(&batch(items)).expect("causes are earlier");
    drop(log);
    let read = all(&open(&backend).reader());
    let root = read[1].id();
    let ids = |at: usize| (read[at].header.correlation, read[at].header.causation);
    assert_eq!(ids(1), (root, None));
    assert_eq!(ids(2), (root, Some(root)));
    assert_eq!(ids(3), (root, Some(read[2].id())));
    assert_eq!(ids(4), (EventId::from_key("own"), Some(EventId::from_key("c"))));
}

/// What contradicts itself is refused by item.
pub fn b07_a_batch_that_contradicts_itself_is_refused(backend: impl Backend) {
    let mut log = open(&backend);
    let key = |append| with(append, |options| options.with_idempotency_key(EventId::from_key("k")));
    let wrong = [
        (0, batch([event("a", PLACED, "").caused_by_item(0)])),
        (1, batch([event("a", PLACED, ""), event("a", PLACED, "").caused_by_item(2)])),
        (1, batch([key(event("a", PLACED, "")), key(event("a", PLACED, ""))])),
    ];
    for (place, batch) in wrong {
        let error = log.append_batch(&batch).expect_err("a contradiction");
        assert!(matches!(error, StoreError::InvalidBatch { item, .. } if item == place), "{error}");
    }
    let item = event("a", PLACED, "");
    let too_many = batch(std::iter::repeat_n(item, BATCH_EVENTS_MAX + 1));
    let error = log.append_batch(&too_many).expect_err("too many");
    assert!(matches!(error, StoreError::Limit(_)), "{error}");
    assert_eq!(log.append_batch(&Batch::new()).expect("nothing to do"), []);
    assert_eq!(log.reader().end(), Sequence::ZERO);
    goes_on(&mut log);
}

/// A batch larger than a segment stands in one, and what is staged before it is not torn from it.
pub fn b07_a_batch_never_spans_two_segments(backend: impl Backend) {
    let mut log = open_small(&backend);
    let many = |name: &str, count: usize| {
        let items = (0..count)
            .map(|number| Append::new(at(name, "shop"), PLACED, Payload::raw(vec![1; number])));
        batch(items)
    };
    for (name, count) in [("a", 5), ("b", 120), ("c", 60), ("d", 1)] {
        let receipts = log.append_batch(&many(name, count)).expect("any size");
        assert_eq!(receipts.len(), count);
        let stats = log.stats().expect("numbers");
        let holds = |sequence: Sequence| {
            stats.segments.iter().rposition(|segment| segment.first_sequence <= sequence)
        };
        assert_eq!(holds(receipts[0].sequence), holds(receipts[count - 1].sequence));
    }
    assert!(log.stats().expect("numbers").segments.len() > 2);
    drop(log);
    let storage = backend.storage();
    assert!(segments(&storage).len() > 2);
    drop(storage);
    let log = open_small(&backend);
    assert_eq!(all(&log.reader()).len(), 186);
    assert_eq!(log.reader().stream("b").count(), 120);
}

/// A group takes batches until its segment is full, then says so; nothing of it is lost.
pub fn b07_a_full_group_asks_for_a_commit(backend: impl Backend) {
    let mut log = open_small(&backend);
    let item = |number: usize| event(&format!("order:{number}"), PLACED, &"x".repeat(500));
    let mut appended = 0;
    let mut full_count = 0;
    while full_count < 3 {
        match log.stage(&[item(appended)], None).expect("fine") {
            Staged::Group(_) => appended += 1,
            Staged::Full => {
                full_count += 1;
                assert!(log.has_staged());
                log.commit(|_, _| {}).expect("written");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(all(&log.reader()).len(), appended);
    drop(log);
    assert_eq!(all(&open_small(&backend).reader()).len(), appended);
}
