//! Behaviour 36, case by case: what opening and reading say to damaged files.

use annals_core::format::segment::{SEGMENT_FOOTER_LEN, SEGMENT_HEADER_LEN};
use annals_core::{
    Corruption, Event, FileId, Log, LogConfig, Payload, Region, Sequence, Storage, StoreError,
};

use super::Backend;
use super::store::{
    PAID, PLACED, all, contents, event, file_bytes, fill, find, goes_on, host, open, open_small,
    open_with, overwrite, put, segments_of, small_segments,
};

/// Opening must fail with corruption, and change nothing.
fn corrupt<B: Backend>(backend: &B) -> Corruption {
    let before = contents(&backend.storage());
    let corruption = match Log::open(backend.storage(), host(), LogConfig::default()) {
        Err(StoreError::Corruption(corruption)) => *corruption,
        other => panic!("the damage is found: {other:?}"),
    };
    assert_eq!(contents(&backend.storage()), before, "what is damaged is left as it is");
    corruption
}

/// Three sealed segments and an active one; all events.
fn four_segments<B: Backend>(backend: &B) -> Vec<Event> {
    let mut log = open_small(backend);
    fill(&mut log, 3);
    let whole = all(&log.reader());
    drop(log);
    assert_eq!(segments_of(backend).len(), 4);
    whole
}

fn change<B: Backend>(backend: &B, id: FileId, change: impl FnOnce(&mut Vec<u8>)) {
    let storage = backend.storage();
    let mut bytes = file_bytes(&storage, id);
    change(&mut bytes);
    overwrite(&storage, id, &bytes);
}

/// Where the frames of an active segment end, whatever is preallocated behind them.
fn frames_end(bytes: &[u8]) -> usize {
    let last = bytes.iter().rposition(|byte| *byte != 0).expect("some");
    (last + 1).next_multiple_of(8)
}

/// An append that was under way is cut off, whatever is left of it, and reported.
pub fn b36_a_torn_tail_is_cut_and_reported(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "kept"));
    let whole = all(&log.reader());
    drop(log);
    let id = segments_of(&backend)[0];
    let end = frames_end(&file_bytes(&backend.storage(), id));
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PAID, "torn: it was never acknowledged"));
    drop(log);
    let longer = file_bytes(&backend.storage(), id);
    let last = longer.iter().rposition(|byte| *byte != 0).expect("some");
    let mut tails: Vec<_> = (end + 1..=last).map(|len| longer[..len].to_vec()).collect();
    let mut flipped = longer.clone();
    flipped[end + 40] ^= 4;
    let mut marker_lost = longer.clone();
    marker_lost[end..end + 8].fill(0);
    tails.extend([flipped, marker_lost, [&longer[..end], &[0xFF; 700]].concat()]);
    for (case, tail) in tails.into_iter().enumerate() {
        overwrite(&backend.storage(), id, &tail);
        let mut log = open(&backend);
        assert_eq!(
            all(&log.reader()),
            whole,
            "case {case} of a tail of {} bytes",
            tail.len() - end
        );
        let torn = log.recovery().torn_tail.expect("it is reported");
        let torn_len = tail.iter().rposition(|byte| *byte != 0).expect("some") + 1 - end;
        assert_eq!((torn.file, torn.offset, torn.len), (id, end as u64, torn_len as u64));
        assert!(!log.recovery().clean);
        goes_on(&mut log);
        drop(log);
        let again = open(&backend);
        assert_eq!(again.recovery().torn_tail, None, "it was cut for good");
        assert_eq!(again.reader().end(), Sequence::new(2));
    }
}

/// A file that ends within the padding of its last frame lost nothing, and goes on aligned.
pub fn b36_a_lost_padding_costs_nothing(backend: impl Backend) {
    for padding in 1..8 {
        // Payloads of every length have paddings of every length.
        let (whole, id, kept) = loop {
            let mut log = open(&backend);
            let payload = "x".repeat(all(&log.reader()).len() % 9);
            put(&mut log, &event("order:1", PLACED, &payload));
            let whole = all(&log.reader());
            drop(log);
            let id = segments_of(&backend)[0];
            let mut bytes = file_bytes(&backend.storage(), id);
            let len = bytes.iter().rposition(|byte| *byte != 0).expect("some") + 1;
            if frames_end(&bytes) - len == padding {
                bytes.truncate(len);
                break (whole, id, bytes);
            }
        };
        overwrite(&backend.storage(), id, &kept);
        let mut log = open(&backend);
        assert_eq!(all(&log.reader()), whole, "{padding} bytes of padding");
        goes_on(&mut log);
        goes_on(&mut log);
        let longer = all(&log.reader());
        drop(log);
        assert_eq!(all(&open(&backend).reader()), longer, "{padding} bytes of padding");
    }
}

/// A flipped bit of a payload is never returned as data, and only its own event is lost.
pub fn b36_a_flipped_bit_is_never_returned(backend: impl Backend) {
    let whole = four_segments(&backend);
    let id = segments_of(&backend)[1];
    let victim = {
        let storage = backend.storage();
        let bytes = file_bytes(&storage, id);
        let in_it = |event: &&Event| {
            let payload = event.payload.bytes().expect("whole");
            bytes.windows(payload.len()).any(|window| window == payload)
        };
        whole.iter().find(in_it).expect("the segment has events").clone()
    };
    change(&backend, id, |bytes| {
        let at = find(bytes, victim.payload.bytes().expect("whole"));
        bytes[at + 17] ^= 0x20;
    });
    let log = open(&backend);
    let reader = log.reader();
    let found = |error: StoreError| match error {
        StoreError::Corruption(corruption) => assert_eq!(corruption.file, id),
        other => panic!("{other}"),
    };
    found(reader.get(victim.id()).expect_err("its bytes are wrong"));
    found(reader.get_at(victim.sequence()).expect_err("its bytes are wrong"));
    for event in whole.iter().filter(|event| event.id() != victim.id()) {
        assert_eq!(&reader.get(event.id()).expect("its bytes are fine"), event);
    }
    let mut query = reader.query(&Region::all());
    for event in whole.iter().take_while(|event| event.id() != victim.id()) {
        assert_eq!(&query.next().expect("one").expect("fine"), event);
    }
    found(query.next().expect("the damaged one").expect_err("its bytes are wrong"));
    assert!(query.next().is_none(), "a query ends after an error");
}

/// Damage to bytes that a later frame vouches for is no torn tail.
pub fn b36_damage_before_a_vouching_frame_is_corruption(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "first, promised durable"));
    put(&mut log, &event("order:1", PAID, "second"));
    drop(log);
    let id = segments_of(&backend)[0];
    change(&backend, id, |bytes| {
        let at = find(bytes, b"promised");
        bytes[at] ^= 1;
    });
    let corruption = corrupt(&backend);
    assert_eq!((corruption.file, corruption.offset), (id, SEGMENT_HEADER_LEN as u64));
    let sentence = corruption.to_string();
    assert!(sentence.contains("expected") && sentence.contains("found"), "{sentence}");
}

/// That holds too where the later frame was staged before the sync of the earlier one had ended.
pub fn b36_damage_before_a_frame_that_was_staged_ahead_is_corruption(backend: impl Backend) {
    let mut log = open(&backend);
    log.stage(&[event("order:1", PLACED, "first, promised durable")], None).expect("fine");
    let sync = log.begin_commit(|_, _| {}).expect("written").expect("it is to be durable");
    for text in ["second", "third"] {
        log.stage(&[event("order:1", PAID, text)], None).expect("fine");
    }
    let done = sync.run();
    log.finish_sync(&sync, done).expect("nothing is wrong with it");
    log.commit(|_, _| {}).expect("written");
    drop(log);
    let id = segments_of(&backend)[0];
    change(&backend, id, |bytes| {
        // Of the frames that vouch, one is enough.
        let (promised, third) = (find(bytes, b"promised"), find(bytes, b"third"));
        bytes[promised] ^= 1;
        bytes[third] ^= 1;
    });
    let corruption = corrupt(&backend);
    assert_eq!((corruption.file, corruption.offset), (id, SEGMENT_HEADER_LEN as u64));
}

/// A store that was closed vouches for its last event too.
pub fn b36_damage_behind_a_clean_close_is_corruption(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "the only one"));
    log.close().expect("the store closes");
    let id = segments_of(&backend)[0];
    change(&backend, id, |bytes| {
        let at = find(bytes, b"the only");
        bytes[at] ^= 1;
    });
    assert_eq!(corrupt(&backend).file, id);
}

/// A damaged index block costs time, never data, and is reported.
pub fn b36_a_damaged_index_is_rebuilt_and_reported(backend: impl Backend) {
    let whole = four_segments(&backend);
    let id = segments_of(&backend)[0];
    let block_at = {
        let bytes = file_bytes(&backend.storage(), id);
        let footer = &bytes[bytes.len() - SEGMENT_FOOTER_LEN..];
        usize::try_from(u64::from_le_bytes(footer[16..24].try_into().expect("eight bytes")))
            .expect("a short file")
    };
    change(&backend, id, |bytes| bytes[block_at + 40] ^= 0x10);
    let mut log = open_small(&backend);
    for event in &whole {
        assert_eq!(&log.reader().get(event.id()).expect("no event is lost"), event);
    }
    assert_eq!(all(&log.reader()), whole);
    let damages = log.reader().diagnostics().index_damages;
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert_eq!(damages[0].file, id);
    assert!(damages[0].offset >= block_at as u64);
    goes_on(&mut log);
}

/// A file that is no segment is named, with what was expected and found.
pub fn b36_a_wrong_magic_is_corruption(backend: impl Backend) {
    four_segments(&backend);
    for (place, id) in segments_of(&backend).into_iter().enumerate() {
        change(&backend, id, |bytes| bytes[..8].copy_from_slice(b"ANNALSEX"));
        let corruption = corrupt(&backend);
        assert_eq!((corruption.file, corruption.offset), (id, 0), "segment {place}");
        assert!(corruption.expected.contains("ANNALSEG"), "{corruption}");
        assert!(corruption.found.contains("ANNALSEX"), "{corruption}");
        change(&backend, id, |bytes| bytes[..8].copy_from_slice(b"ANNALSEG"));
    }
    goes_on(&mut open_small(&backend));
}

/// A newer format is told apart from damage, and left as it is.
pub fn b36_a_newer_format_is_told_from_damage(backend: impl Backend) {
    let whole = four_segments(&backend);
    for id in segments_of(&backend) {
        change(&backend, id, |bytes| bytes[8..10].copy_from_slice(&7_u16.to_le_bytes()));
        let before = contents(&backend.storage());
        match Log::open(backend.storage(), host(), LogConfig::default()) {
            Err(StoreError::NewerFormat { file, found, supported }) => {
                assert_eq!((file, found), (id, 7));
                assert_eq!(supported, annals_core::format::FORMAT_VERSION);
            }
            other => panic!("the version is newer: {other:?}"),
        }
        assert_eq!(contents(&backend.storage()), before);
        change(&backend, id, |bytes| bytes[8..10].copy_from_slice(&1_u16.to_le_bytes()));
    }
    assert_eq!(all(&open(&backend).reader()), whole);
}

/// A segment that was only begun never held an event: it is removed and reported.
pub fn b36_a_half_made_segment_is_removed_and_reported(backend: impl Backend) {
    let mut whole = four_segments(&backend);
    let newest = *segments_of(&backend).last().expect("four");
    let half_made = FileId::segment(newest.number + 1);
    let header = file_bytes(&backend.storage(), newest)[..SEGMENT_HEADER_LEN].to_vec();
    let mut torn_and_preallocated = header[..50].to_vec();
    torn_and_preallocated.resize(4096, 0);
    let leftovers = [Vec::new(), header[..1].to_vec(), header[..103].to_vec(), vec![0; 104]];
    let leftovers = leftovers.into_iter().chain([vec![0; 9000], torn_and_preallocated]);
    for (case, bytes) in leftovers.enumerate() {
        let storage = backend.storage();
        storage.prepare(&[half_made]);
        drop(storage.create(half_made).expect("a new number"));
        overwrite(&storage, half_made, &bytes);
        drop(storage);
        let mut log = open(&backend);
        assert_eq!(log.recovery().removed, [half_made], "case {case}");
        assert_eq!(all(&log.reader()), whole, "case {case}");
        goes_on(&mut log);
        whole = all(&log.reader());
        drop(log);
        assert!(!segments_of(&backend).contains(&half_made), "case {case}");
    }
}

/// A missing segment, first or in the middle, is not taken for the end.
pub fn b36_a_missing_segment_is_corruption(backend: impl Backend) {
    let whole = four_segments(&backend);
    let ids = segments_of(&backend);
    for place in 0..3 {
        let storage = backend.storage();
        let bytes = file_bytes(&storage, ids[place]);
        storage.remove(ids[place]).expect("there");
        drop(storage);
        let corruption = corrupt(&backend);
        assert_eq!(corruption.file, ids[place + 1], "segment {place}");
        assert!(corruption.found.contains("missing"), "{corruption}");
        let storage = backend.storage();
        storage.prepare(&[ids[place]]);
        drop(storage.create(ids[place]).expect("free again"));
        overwrite(&storage, ids[place], &bytes);
    }
    assert_eq!(all(&open(&backend).reader()), whole);
}

/// Segments in each other's place are found by the number in their header.
pub fn b36_swapped_segments_are_corruption(backend: impl Backend) {
    let whole = four_segments(&backend);
    let ids = segments_of(&backend);
    for (one, other) in [(0, 1), (1, 2), (0, 3), (2, 3)] {
        let swap = || {
            let storage = backend.storage();
            let (a, b) = (file_bytes(&storage, ids[one]), file_bytes(&storage, ids[other]));
            overwrite(&storage, ids[one], &b);
            overwrite(&storage, ids[other], &a);
        };
        swap();
        assert_eq!(corrupt(&backend).file, ids[one], "{one} and {other}");
        swap();
    }
    assert_eq!(all(&open(&backend).reader()), whole);
}

/// A copy of a segment under another number is not taken for one more.
pub fn b36_a_copy_under_another_number_is_corruption(backend: impl Backend) {
    four_segments(&backend);
    let ids = segments_of(&backend);
    let copy = FileId::segment(ids[3].number + 1);
    for id in &ids {
        let storage = backend.storage();
        let bytes = file_bytes(&storage, *id);
        storage.prepare(&[copy]);
        drop(storage.create(copy).expect("a new number"));
        overwrite(&storage, copy, &bytes);
        drop(storage);
        assert_eq!(corrupt(&backend).file, copy);
        backend.storage().remove(copy).expect("there");
    }
}

/// A segment of another store is not taken for one of this.
pub fn b36_a_segment_of_another_store_is_corruption(backend: impl Backend) {
    let foreign = annals_core::MemoryStorage::new();
    four_segments(&foreign);
    let whole = four_segments(&backend);
    let ids = segments_of(&backend);
    assert_eq!(ids, segments_of(&foreign));
    for id in &ids[1..] {
        let ours = file_bytes(&backend.storage(), *id);
        overwrite(&backend.storage(), *id, &file_bytes(&foreign, *id));
        let corruption = corrupt(&backend);
        assert!(corruption.expected.contains("store id"), "{corruption}");
        overwrite(&backend.storage(), *id, &ours);
    }
    assert_eq!(all(&open(&backend).reader()), whole);
}

/// A sealed segment that lost its end is corruption while others stand behind it.
pub fn b36_a_sealed_segment_that_lost_its_end_is_corruption(backend: impl Backend) {
    let whole = four_segments(&backend);
    let ids = segments_of(&backend);
    for id in &ids[..3] {
        let ours = file_bytes(&backend.storage(), *id);
        for len in [SEGMENT_HEADER_LEN + 8, ours.len() / 2, ours.len() - 1] {
            overwrite(&backend.storage(), *id, &ours[..len]);
            assert_eq!(corrupt(&backend).file, *id);
        }
        overwrite(&backend.storage(), *id, &ours);
    }
    assert_eq!(all(&open(&backend).reader()), whole);
}

/// Where the newest segment lost its footer, its frames are still whole: nothing is lost.
pub fn b36_the_newest_segment_does_without_its_footer(backend: impl Backend) {
    let mut log = open_with(&backend, small_segments().with_seal_on_close_bytes(1));
    for number in 0..4 {
        put(&mut log, &event("order:1", PLACED, &number.to_string()));
    }
    let whole = all(&log.reader());
    log.close().expect("the store closes, and seals");
    let id = segments_of(&backend)[0];
    change(&backend, id, |bytes| {
        let footer_at = bytes.len() - SEGMENT_FOOTER_LEN;
        bytes[footer_at + 130] ^= 1;
    });
    let mut log = open_small(&backend);
    assert_eq!(all(&log.reader()), whole);
    assert!(log.recovery().torn_tail.is_some(), "the rest of the seal was cut");
    goes_on(&mut log);
    drop(log);
    assert_eq!(open(&backend).reader().end(), Sequence::new(5));
}

/// Zeros behind the last frame are what preallocation leaves: no torn tail.
pub fn b36_a_preallocated_end_is_no_torn_tail(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("order:1", PLACED, "kept"));
    drop(log);
    let id = segments_of(&backend)[0];
    change(&backend, id, |bytes| bytes.resize(bytes.len() + 5000, 0));
    let mut log = open(&backend);
    assert_eq!(log.recovery().torn_tail, None);
    goes_on(&mut log);
    drop(log);
    let read = all(&open(&backend).reader());
    assert_eq!(read[0].payload, Payload::raw("kept"));
    assert_eq!(read.len(), 2);
}
