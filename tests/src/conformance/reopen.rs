//! Behaviours 33 to 35: opening again, and reading beside a writer.

use annals_core::{LogConfig, ReadOnlyLog, Recovery, Region, Sequence, Storage, StorageFile};

use super::Backend;
use super::store::{
    PAID, PLACED, all, contents, event, events, fill, goes_on, open, open_small, open_with, put,
    segments, small_segments,
};

/// The same events, ids, versions, hashes and heads, however the store was left.
pub fn b33_opening_again_gives_the_same(backend: impl Backend) {
    let mut log = open_small(&backend);
    let mut receipts = fill(&mut log, 2);
    receipts.push(put(&mut log, &event("order:1", PLACED, "in the active segment")));
    let check = |log: &super::store::TestLog<_>, expected: &[annals_core::Event]| {
        let reader = log.reader();
        assert_eq!(all(&reader), expected);
        assert_eq!(reader.end().get(), expected.len() as u64);
        for event in expected {
            assert_eq!(&reader.get(event.id()).expect("by id"), event);
            assert_eq!(&reader.get_at(event.sequence()).expect("by sequence"), event);
            let stream = Region::stream(event.coordinate.entity());
            let newest = events(&reader, &stream).pop().expect("it has events");
            let head = reader.head(event.coordinate.entity()).expect("an index").expect("a head");
            assert_eq!((head.version, head.sequence), (newest.version(), newest.sequence()));
        }
        let stats = log.stats().expect("numbers");
        assert_eq!(stats.events, expected.len() as u64);
        assert_eq!(stats.entities, 4);
        assert_eq!((stats.scopes, stats.kinds.len()), (1, 1));
        assert_eq!(stats.end, reader.end());
    };
    let expected = all(&log.reader());
    let id = log.store_id();
    check(&log, &expected);
    for receipt in &receipts {
        let event = log.reader().get(receipt.id).expect("there");
        assert_eq!(event.event_hash(), receipt.event_hash);
    }
    drop(log);
    let log = open_small(&backend);
    check(&log, &expected);
    log.close().expect("the store closes");
    let log = open_with(&backend, small_segments().with_seal_on_close_bytes(1));
    assert_eq!(log.store_id(), id);
    check(&log, &expected);
    log.close().expect("the store closes");
    let log = open(&backend);
    assert_eq!(log.recovery().scanned_events, 0, "footers are read, not events");
    check(&log, &expected);
    drop(log);
    let mut log = open_small(&backend);
    put(&mut log, &event("order:1", PLACED, "one more"));
    let expected = all(&log.reader());
    check(&log, &expected);
    drop(log);
    check(&open_small(&backend), &expected);
}

/// A clean close is seen at the next opening, and nothing is left to repair.
pub fn b33_a_clean_close_leaves_nothing_to_recover(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "x"));
    log.close().expect("the store closes");
    let before = contents(&backend.storage());
    let log = open(&backend);
    let mut clean = Recovery::default();
    clean.clean = true;
    clean.scanned_events = 1;
    assert_eq!(log.recovery(), &clean);
    log.close().expect("the store closes");
    assert_eq!(contents(&backend.storage()), before, "closing again writes nothing new");
    drop(open(&backend));
    assert_eq!(contents(&backend.storage()), before, "opening alone changes nothing");
}

/// Opening and leaving a store makes no file, appending makes no file a time.
pub fn b34_opening_five_times_leaves_no_new_file(backend: impl Backend) {
    for _ in 0..5 {
        open(&backend).close().expect("an empty store closes");
        drop(open(&backend));
    }
    let files = || backend.storage().list().expect("a list");
    assert_eq!(files(), [], "nothing was appended");
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "x"));
    drop(log);
    let before = files();
    for round in 0..5 {
        let mut log = open(&backend);
        put(&mut log, &event("order:1", PAID, "x"));
        if round % 2 == 0 {
            log.close().expect("the store closes");
        } else {
            drop(log);
        }
        assert_eq!(files(), before, "round {round}");
    }
    assert_eq!(all(&open(&backend).reader()).len(), 6);
}

/// A reader opens beside the writer, sees what it is refreshed to, and changes nothing.
pub fn b35_a_reader_opens_beside_a_writer(backend: impl Backend) {
    let Some(beside) = backend.storage_beside() else { return };
    let nothing = ReadOnlyLog::open(beside, LogConfig::default()).expect("an empty store");
    assert_eq!(nothing.reader().query(&Region::all()).count(), 0);
    assert_eq!(nothing.reader().end(), Sequence::ZERO);

    let mut log = open_small(&backend);
    put(&mut log, &event("order:1", PLACED, "x"));
    let beside = backend.storage_beside().expect("as before");
    let mut read_only = ReadOnlyLog::open(beside, small_segments()).expect("beside the writer");
    let first = read_only.reader();
    assert_eq!(all(&first), all(&log.reader()));
    fill(&mut log, 2);
    assert_eq!(all(&read_only.reader()).len(), 1, "it was not refreshed");
    read_only.refresh().expect("the files are whole");
    assert_eq!(all(&read_only.reader()), all(&log.reader()));
    assert_eq!(all(&first).len(), 1, "an old reader keeps its prefix");
    drop(log);
}

/// A reader leaves a torn tail and a half-made segment to the writer.
pub fn b35_a_reader_repairs_nothing(backend: impl Backend) {
    if backend.storage_beside().is_none() {
        return;
    }
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "x"));
    let whole = all(&log.reader());
    drop(log);
    let storage = backend.storage();
    let id = segments(&storage)[0];
    let file = storage.open(id).expect("there");
    let len = file.len().expect("a length");
    file.write_all_at(b"torn", len).expect("room");
    drop((file, storage));
    let before = contents(&backend.storage());
    let beside = backend.storage_beside().expect("as before");
    let read_only =
        ReadOnlyLog::open(beside, LogConfig::default()).expect("a torn tail is no harm");
    assert_eq!(all(&read_only.reader()), whole);
    let torn = read_only.recovery().torn_tail.expect("it is reported");
    assert_eq!((torn.file, torn.offset), (id, len));
    drop(read_only);
    assert_eq!(contents(&backend.storage()), before);
    goes_on(&mut open(&backend));
}
