//! Behaviours 1 to 5, 8 to 10 and 12: single appends, versions, conditions, kinds, the clock.

use std::num::NonZeroU32;

use annals_core::{
    Append, AppendCondition, AppendOptions, Durability, EventFlags, EventId, EventKind,
    ExpectedVersion, Hlc, LogConfig, METADATA_LEN_MAX, PAYLOAD_LEN_MAX, Payload, PayloadFormat,
    PositionHint, Region, Sequence, Staged, StoreError, Version,
};

use super::store::{
    PAID, PLACED, SHIPPED, all, at, contents, event, fill, goes_on, open, open_small, open_with,
    put, small_segments, with,
};
use super::{Backend, TestHost};

/// Every part of an event, in every format, from the active segment, a sealed one and after
/// reopening.
pub fn b01_an_event_comes_back_byte_for_byte(backend: impl Backend) {
    let correlation = EventId::from_key("correlation");
    let causation = EventId::from_key("causation");
    let full = AppendOptions::default()
        .with_correlation(correlation)
        .with_causation(causation)
        .with_flags(EventFlags::REQUIRES_ACK | EventFlags::from_bits(0x8100))
        .with_metadata([0_u8, 255, 10, 0])
        .with_position(PositionHint { lane: u32::MAX, depth: 7 });
    let every_byte: Vec<u8> = (0..=255).collect();
    let payloads = [
        Payload::raw(every_byte),
        Payload::raw(""),
        Payload::from_parts(PayloadFormat::Json, 9, b"{\"not\": canonical }".to_vec()),
        Payload::from_parts(PayloadFormat::Postcard, u16::MAX, vec![0x80, 0x01]),
    ];
    let metadata = [None, Some(Vec::new()), Some(vec![1, 2, 3])];

    let mut log = open_small(&backend);
    let mut appended = Vec::new();
    for payload in payloads {
        let all_set = Append::new(at("Ordre:\u{e9}\u{1f9fe}", "caf\u{e9}"), SHIPPED, payload);
        let all_set = all_set.with_options(full.clone());
        appended.push((put(&mut log, &all_set), all_set));
    }
    for metadata in metadata {
        let mut plain = event("order:1", PLACED, "tea");
        plain.options.metadata = metadata;
        appended.push((put(&mut log, &plain), plain));
    }
    let check = |log: &super::store::TestLog<_>| {
        for (receipt, append) in &appended {
            let read = log.reader().get(receipt.id).expect("the event is there");
            assert_eq!(read.coordinate, append.coordinate);
            assert_eq!((read.id(), read.kind()), (receipt.id, append.kind));
            assert_eq!(read.payload, append.payload);
            assert_eq!(read.metadata, append.options.metadata);
            assert_eq!(read.header.flags, append.options.flags);
            assert_eq!(read.header.correlation, append.options.correlation.unwrap_or(receipt.id));
            assert_eq!(read.header.causation, append.options.causation);
            assert_eq!(read.header.timestamp_us, receipt.timestamp_us);
            let position = append.options.position.unwrap_or_default();
            assert_eq!(read.header.position.lane, position.lane);
            assert_eq!(read.header.position.depth, position.depth);
            assert_eq!(read.header.position.hlc, receipt.hlc);
            assert_eq!((read.sequence(), read.version()), (receipt.sequence, receipt.version));
            assert_eq!(read.event_hash(), receipt.event_hash);
            assert_eq!(log.reader().get_at(receipt.sequence).expect("by sequence"), read);
        }
    };
    check(&log);
    drop(log);
    let mut log = open_small(&backend);
    check(&log);
    fill(&mut log, 2);
    check(&log);
    log.close().expect("the store closes");
    check(&open_small(&backend));
}

/// Names and contents at their limits, and payloads larger than a segment.
pub fn b01_events_of_any_allowed_size_come_back(backend: impl Backend) {
    let mut log = open_small(&backend);
    let longest = Append::new(
        at(&"e".repeat(1024), &"s".repeat(1024)),
        PLACED,
        Payload::raw("named at length"),
    );
    let longest = with(longest, |options| options.with_metadata(vec![7; METADATA_LEN_MAX]));
    let appends = [
        event("order:1", PLACED, &"a".repeat(100_000)),
        longest,
        event("order:1", PLACED, ""),
        event("order:1", PLACED, &"b".repeat(300_000)),
        event("e", PLACED, "small"),
    ];
    let ids: Vec<_> = appends.iter().map(|append| put(&mut log, append).id).collect();
    drop(log);
    let log = open_small(&backend);
    for (id, append) in ids.iter().zip(&appends) {
        let read = log.reader().get(*id).expect("the event is there");
        assert_eq!((&read.coordinate, &read.payload), (&append.coordinate, &append.payload));
        assert_eq!(read.metadata, append.options.metadata);
    }
    assert_eq!(all(&log.reader()).len(), appends.len());
}

/// What exceeds a limit is refused by name, and nothing is written.
pub fn b01_what_exceeds_a_limit_is_refused(backend: impl Backend) {
    let mut log = open(&backend);
    let too_much = [
        Append::new(at("a", "b"), PLACED, Payload::raw(vec![0; PAYLOAD_LEN_MAX + 1])),
        with(event("a", PLACED, ""), |options| {
            options.with_metadata(vec![0; METADATA_LEN_MAX + 1])
        }),
    ];
    for append in &too_much {
        let StoreError::Limit(limit) = log.append(append).expect_err("too much") else {
            panic!("the limit is named")
        };
        assert_eq!(limit.actual, limit.limit_max + 1);
    }
    assert_eq!(log.reader().end(), Sequence::ZERO);
    goes_on(&mut log);
}

/// Sequences over the store, versions over each entity, whatever the scope.
pub fn b02_sequences_and_versions_count_from_zero(backend: impl Backend) {
    let mut log = open_small(&backend);
    let mut counts = std::collections::BTreeMap::<String, u64>::new();
    for number in 0..60_u64 {
        if number % 17 == 16 {
            drop(log);
            log = open_small(&backend);
        }
        let entity = format!("order:{}", number * number % 7);
        let scope = format!("shop:{}", number % 3);
        let payload = Payload::raw("x".repeat(200));
        let receipt = put(&mut log, &Append::new(at(&entity, &scope), PLACED, payload));
        let version = counts.entry(entity).or_default();
        assert_eq!(receipt.sequence, Sequence::new(number));
        assert_eq!(receipt.version, Version::new(*version));
        *version += 1;
    }
    for (entity, count) in counts {
        let head = log.reader().head(&entity).expect("an index").expect("a stream");
        assert_eq!(head.version, Version::new(count - 1));
    }
    assert_eq!(log.reader().head("order").expect("an index"), None);
}

/// A plain append is its own correlation and has no cause.
pub fn b03_an_append_correlates_with_itself(backend: impl Backend) {
    let mut log = open(&backend);
    let first = put(&mut log, &event("order:1", PLACED, "a"));
    let second = put(&mut log, &event("order:1", PAID, "b"));
    assert_ne!(first.id, second.id);
    for receipt in [first, second] {
        let header = log.reader().get(receipt.id).expect("there").header;
        assert_eq!((header.correlation, header.causation), (receipt.id, None));
    }
}

/// A reaction keeps the correlation and the cause that it was given.
pub fn b03_a_reaction_keeps_what_it_was_given(backend: impl Backend) {
    let mut log = open(&backend);
    let cause = put(&mut log, &event("order:1", PLACED, "a")).id;
    let correlation = EventId::from_key("a process elsewhere");
    let reaction = with(event("parcel:1", SHIPPED, "b"), |options| {
        options.with_correlation(correlation).with_causation(cause)
    });
    let receipt = put(&mut log, &reaction);
    drop(log);
    let log = open(&backend);
    let header = log.reader().get(receipt.id).expect("there").header;
    assert_eq!((header.correlation, header.causation), (correlation, Some(cause)));
    let found: Vec<_> = log.reader().query(&Region::all().correlation(correlation)).collect();
    assert_eq!(found.len(), 1);
}

/// A version that does not hold is answered with what holds, and writes nothing.
pub fn b04_a_wrong_version_is_refused_and_writes_nothing(backend: impl Backend) {
    let mut log = open(&backend);
    put(&mut log, &event("one", PLACED, "0"));
    for number in 0..3 {
        put(&mut log, &event("three", PLACED, &number.to_string()));
    }
    drop(log);
    let mut log = open(&backend);
    let before = backend.storage_beside().map(|storage| contents(&storage));
    let exact = |version| ExpectedVersion::Exact(Version::new(version));
    let wrong = [
        ("none", ExpectedVersion::StreamExists, None),
        ("none", exact(0), None),
        ("one", ExpectedVersion::NoStream, Some(0)),
        ("one", exact(1), Some(0)),
        ("three", ExpectedVersion::NoStream, Some(2)),
        ("three", exact(0), Some(2)),
        ("three", exact(1), Some(2)),
        ("three", exact(3), Some(2)),
        ("three", exact(u64::MAX), Some(2)),
    ];
    for (stream, version, at_version) in wrong {
        let append =
            with(event(stream, PAID, "wrong"), |options| options.with_expected_version(version));
        match log.append(&append).expect_err("the version does not hold") {
            StoreError::VersionConflict { entity, expected, actual } => {
                assert_eq!((entity.as_str(), expected), (stream, version));
                assert_eq!(actual, at_version.map(Version::new));
            }
            other => panic!("{stream} {version}: {other}"),
        }
    }
    assert_eq!(backend.storage_beside().map(|storage| contents(&storage)), before);
    assert_eq!(log.reader().end(), Sequence::new(4));
    let right = [
        ("none", ExpectedVersion::NoStream, 0),
        ("one", exact(0), 1),
        ("three", ExpectedVersion::StreamExists, 3),
        ("three", exact(3), 4),
        ("three", ExpectedVersion::Any, 5),
    ];
    for (number, (stream, version, next)) in right.into_iter().enumerate() {
        let append =
            with(event(stream, PAID, "right"), |options| options.with_expected_version(version));
        let receipt = put(&mut log, &append);
        assert_eq!(receipt.version, Version::new(next));
        assert_eq!(receipt.sequence.get(), 4 + number as u64);
    }
}

/// Of two appends that expect the same version one wins, also where both wait for one commit.
pub fn b05_of_two_appends_on_one_version_one_wins(backend: impl Backend) {
    let mut log = open(&backend);
    let first = |payload| {
        with(event("order:1", PLACED, payload), |options| {
            options.with_expected_version(ExpectedVersion::NoStream)
        })
    };
    let Staged::Group(range) = log.stage(&[first("mine")], None).expect("nobody is there") else {
        panic!("it fits")
    };
    assert_eq!(range, 0..1);
    let lost = log.stage(&[first("yours")], None).expect_err("mine was first");
    let StoreError::VersionConflict { actual, .. } = lost else { panic!("{lost}") };
    assert_eq!(actual, Some(Version::ZERO));
    log.commit(|_, _| {}).expect("the group is written");
    assert!(log.append(&first("yours, later")).is_err());
    drop(log);
    let log = open(&backend);
    let all = all(&log.reader());
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].payload, Payload::raw("mine"));
}

/// A condition looks at everything before it: sealed, active, and waiting for the same commit.
pub fn b08_a_condition_is_checked_against_all_before_it(backend: impl Backend) {
    let mut log = open_small(&backend);
    let seat = |number: u32| event(&format!("seat:{number}"), PLACED, "taken");
    let sealed = put(&mut log, &seat(1));
    fill(&mut log, 1);
    let active = put(&mut log, &seat(2));
    let empty = |entity: &str, after| AppendCondition::new(Region::stream(entity), after);
    let conflict = |answer: Result<_, StoreError>| match answer.map(|_: Staged| ()) {
        Err(StoreError::ConditionFailed { sequence }) => sequence,
        other => panic!("the condition does not hold: {other:?}"),
    };
    let end = log.reader().end();
    let taken = |log: &mut super::store::TestLog<_>, entity, after| {
        let condition = empty(entity, after);
        let inside =
            with(event("buyer", PAID, "x"), |options| options.with_condition(condition.clone()));
        let own = conflict(log.stage(&[inside], None));
        let batch = conflict(log.stage(&[event("buyer", PAID, "x")], Some(&condition)));
        assert_eq!(own, batch);
        assert_eq!(own, conflict(log.stage(&[], Some(&condition))), "nothing but the question");
        own
    };
    assert_eq!(taken(&mut log, "seat:1", None), sealed.sequence);
    assert_eq!(taken(&mut log, "seat:2", None), active.sequence);
    assert_eq!(taken(&mut log, "seat:2", active.sequence.checked_prev()), active.sequence);
    assert_eq!(log.reader().end(), end);

    for holds in [
        empty("seat:3", None),
        empty("seat:1", Some(sealed.sequence)),
        empty("seat:2", Some(active.sequence)),
        AppendCondition::new(Region::stream("seat:2").kind(PAID), None),
        AppendCondition::new(Region::all(), end.checked_prev()),
        AppendCondition::new(Region::all(), Some(Sequence::new(u64::MAX - 1))),
    ] {
        let end = log.reader().end();
        // The last two speak of all events, so each append makes the next one's base.
        let after = holds.after.map(|after| {
            if holds.region == Region::all() {
                end.checked_prev().expect("there are events").max(after)
            } else {
                after
            }
        });
        let holds = AppendCondition { after, ..holds };
        put(&mut log, &with(event("buyer", PAID, "x"), |options| options.with_condition(holds)));
    }

    let waiting = log.stage(&[seat(4)], None).expect("nothing speaks against it");
    assert!(matches!(waiting, Staged::Group(_)));
    let end = log.reader().end();
    assert_eq!(conflict(log.stage(&[seat(4)], Some(&empty("seat:4", None)))), end);
    log.commit(|_, _| {}).expect("the group is written");
    assert_eq!(taken(&mut log, "seat:4", None), end);
}

/// No way leads to an event of a reserved kind.
pub fn b09_reserved_kinds_cannot_be_appended(backend: impl Backend) {
    let mut log = open(&backend);
    let erasure = Append::new(at("order:1", "shop"), EventKind::ERASURE, Payload::raw("forged"));
    let error = log.append(&erasure).expect_err("the kind is the store's own");
    assert!(matches!(error, StoreError::ReservedKind { kind } if kind == EventKind::ERASURE));
    for kind in [0x0000_u16, 0x0001, 0x0FFF, 0xD000, 0xD001, 0xDFFF] {
        let category = kind.to_be_bytes()[0] >> 4;
        assert!(EventKind::from_u16(kind).is_err());
        assert!(EventKind::try_new(category, kind & 0xFFF).is_err());
        assert!(format!("0x{kind:04X}").parse::<EventKind>().is_err());
        let json = Payload::from_parts(PayloadFormat::Json, 0, kind.to_string().into_bytes());
        assert!(json.decode::<EventKind>().is_err());
        let postcard = Payload::postcard(&kind).expect("a number");
        assert!(postcard.decode::<EventKind>().is_err());
    }
    assert_eq!(log.reader().end(), Sequence::ZERO);
    goes_on(&mut log);
}

/// The store's clock rises when the host's stands still, goes back, is negative, and when the
/// store is opened again; the timestamp is the host's own word.
pub fn b10_the_clock_only_rises(backend: impl Backend) {
    let readings = [
        1_700_000_000_000_000,
        1_700_000_000_000_000,
        1_699_999_999_999_000,
        0,
        -1,
        i64::MIN,
        1_700_000_000_000_999,
        1_700_000_001_000_000,
        12,
        i64::MAX,
        i64::MAX,
        5,
    ];
    let mut last = Hlc::ZERO;
    for round in 0..3 {
        let host = TestHost::new(round + 77);
        let log = annals_core::Log::open(backend.storage(), host.clone(), small_segments());
        let mut log = log.expect("the store opens");
        for now_us in readings {
            host.set_now_us(now_us);
            let receipt = put(&mut log, &event("order:1", PLACED, &"x".repeat(500)));
            assert!(receipt.hlc > last, "{} is not after {last}", receipt.hlc);
            assert_eq!(receipt.timestamp_us, now_us);
            let header = log.reader().get(receipt.id).expect("there").header;
            assert_eq!((header.timestamp_us, header.position.hlc), (now_us, receipt.hlc));
            last = receipt.hlc;
        }
        if round == 1 {
            log.close().expect("the store closes");
        }
    }
}

/// What was acknowledged is there, whether the store was closed or not, and the receipt says
/// whether it is on stable storage.
pub fn b12_acknowledged_events_are_there_without_a_close(backend: impl Backend) {
    let modes = [
        Durability::Durable,
        Durability::EveryN(NonZeroU32::new(3).expect("three")),
        Durability::OnSync,
    ];
    let mut acknowledged = Vec::new();
    for durability in modes {
        let config = LogConfig::default().with_durability(durability);
        let mut log = open_with(&backend, config);
        assert_eq!(all(&log.reader()), acknowledged, "after {durability:?} was opened");
        let first = log.reader().end();
        for number in 0..7_u64 {
            let receipt = put(&mut log, &event("order:1", PLACED, &number.to_string()));
            let synced = match durability {
                Durability::Durable => true,
                Durability::EveryN(_) => number % 3 == 2,
                _ => false,
            };
            assert_eq!(receipt.durable, synced, "{durability:?}, append {number}");
        }
        let unsynced_from = match durability {
            Durability::Durable => 7,
            Durability::EveryN(_) => 6,
            _ => 0,
        };
        let durable_end = log.stats().expect("numbers").durable_end;
        assert_eq!(durable_end, first.checked_add(unsynced_from).expect("small"));
        assert_eq!(log.sync().expect("the sync works"), log.reader().end());
        assert_eq!(log.stats().expect("numbers").durable_end, log.reader().end());
        put(&mut log, &event("order:2", PAID, "after the sync"));
        acknowledged = all(&log.reader());
    }
    assert_eq!(all(&open(&backend).reader()), acknowledged);
}
