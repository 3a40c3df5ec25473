//! Behaviours 16 to 19: which events a region takes in, in which order, at which cost.

use annals_core::{
    Append, EventId, EventKind, LogConfig, Payload, Reader, Region, Sequence, Storage, Version,
};

use super::store::{
    PAID, PLACED, SHIPPED, at, event, fill, open_on, open_small, put, sequences, small_segments,
    with,
};
use super::{Backend, Faults, Faulty, TestHost};

/// Runs the same questions with everything in the active segment, spread over sealed ones, and
/// after reopening. The events keep their sequences, from 0.
fn everywhere<B: Backend>(backend: &B, appends: &[Append], check: impl Fn(&Reader<B::Storage>)) {
    let mut log = open_small(backend);
    for append in appends {
        put(&mut log, append);
    }
    check(&log.reader());
    let config = small_segments().with_seal_on_close_bytes(1);
    drop(log);
    let mut log = super::store::open_with(backend, config);
    check(&log.reader());
    fill(&mut log, 1);
    log.close().expect("the store closes");
    check(&open_small(backend).reader());
}

/// A payload that makes a dozen events fill a segment.
fn wide(mut append: Append) -> Append {
    append.payload = Payload::raw("x".repeat(300));
    append
}

const NOTHING: [u64; 0] = [];
const ENTITIES: [&str; 12] = [
    "order:5",
    "order:50",
    "order:5:line:1",
    "order:5:",
    "order:5x",
    "order:",
    "order",
    "Order:5",
    "border:5",
    "order:5\u{e9}",
    "order:6:line:1",
    "order:5:line:10",
];

/// An exact name is exact, a namespace ends at a colon, a prefix is raw.
pub fn b16_entity_filters_respect_their_borders(backend: impl Backend) {
    let appends: Vec<_> = ENTITIES.iter().map(|name| wide(event(name, PLACED, ""))).collect();
    everywhere(&backend, &appends, |reader| {
        let streams = |entity: &str| sequences(reader, &Region::stream(entity));
        assert_eq!(streams("order:5"), [0]);
        assert_eq!(streams("order"), [6]);
        assert_eq!(streams("order:5:line"), NOTHING);
        assert_eq!(streams(""), NOTHING);
        let exact: Vec<_> = reader.stream("order:5:line:1").map(|e| e.expect("fine")).collect();
        assert_eq!((exact.len(), exact[0].coordinate.entity()), (1, "order:5:line:1"));
        let namespace = |entity: &str| sequences(reader, &Region::entity(entity));
        assert_eq!(namespace("order:5"), [0, 2, 3, 11]);
        assert_eq!(namespace("order:5:line"), [2, 11]);
        assert_eq!(namespace("order:5:line:1"), [2]);
        assert_eq!(namespace("order"), [0, 1, 2, 3, 4, 5, 6, 9, 10, 11]);
        assert_eq!(namespace("orde"), NOTHING);
        let prefix = |prefix: &str| sequences(reader, &Region::entity_prefix(prefix));
        assert_eq!(prefix("order:5"), [0, 1, 2, 3, 4, 9, 11]);
        assert_eq!(prefix("order:5:"), [2, 3, 11]);
        assert_eq!(prefix("orde"), [0, 1, 2, 3, 4, 5, 6, 9, 10, 11]);
        assert_eq!(prefix("nobody"), NOTHING);
        let without_fillers = Region::entity_prefix("").sequences(..=Sequence::new(11));
        assert_eq!(sequences(reader, &without_fillers).len(), 12);
    });
}

/// A scope matches its own events only, also where the entity has events in other scopes.
pub fn b17_a_scope_matches_only_its_own_events(backend: impl Backend) {
    let place =
        |entity: &str, scope: &str| wide(Append::new(at(entity, scope), PLACED, Payload::raw("")));
    let appends = [
        place("order:1", "berlin"),
        place("order:1", "paris"),
        place("order:2", "berlin"),
        place("order:1", "berlin"),
        place("order:2", "berlin:north"),
        place("paris", "order:1"),
    ];
    everywhere(&backend, &appends, |reader| {
        let scope = |scope: &str| sequences(reader, &Region::all().scope(scope));
        assert_eq!(scope("berlin"), [0, 2, 3]);
        assert_eq!(scope("paris"), [1]);
        assert_eq!(scope("berlin:north"), [4]);
        assert_eq!(scope("order:1"), [5]);
        assert_eq!(scope("ber"), NOTHING);
        let both =
            |entity: &str, scope: &str| sequences(reader, &Region::stream(entity).scope(scope));
        assert_eq!(both("order:1", "berlin"), [0, 3]);
        assert_eq!(both("order:1", "paris"), [1]);
        assert_eq!(both("order:2", "paris"), NOTHING);
        assert_eq!(sequences(reader, &Region::stream("order:1")), [0, 1, 3]);
    });
}

/// One kind, any of a set, a category, any.
pub fn b18_kind_filters_match_exactly(backend: impl Backend) {
    let last_of_1 = EventKind::new(1, 0xFFF);
    let other = EventKind::new(0xF, 0x001);
    let kinds = [PLACED, PAID, SHIPPED, PLACED, last_of_1, other, PAID];
    let appends = kinds.map(|kind| wide(event("order:1", kind, "")));
    everywhere(&backend, &appends, |reader| {
        let ask = |region: Region| {
            let ours = region.with_entity_exact("order:1");
            sequences(reader, &ours)
        };
        assert_eq!(ask(Region::all().kind(PLACED)), [0, 3]);
        assert_eq!(ask(Region::all().kind(EventKind::new(3, 1))), NOTHING);
        assert_eq!(ask(Region::all().kinds([PAID, other, PAID])), [1, 5, 6]);
        assert_eq!(ask(Region::all().kinds([])), NOTHING);
        assert_eq!(ask(Region::all().category(1)), [0, 1, 3, 4, 6]);
        assert_eq!(ask(Region::all().category(0xF)), [5]);
        assert_eq!(ask(Region::all().category(3)), NOTHING);
        assert_eq!(ask(Region::all()), [0, 1, 2, 3, 4, 5, 6]);
        assert_eq!(sequences(reader, &Region::all().kind(SHIPPED)), [2]);
    });
}

/// Version, sequence and time ranges include both ends.
pub fn b18_ranges_are_inclusive(backend: impl Backend) {
    let host = TestHost::new(5);
    let times = [-20, -10, 0, 10, 20, 30, 25, 40, 50, i64::MAX];
    let mut log = annals_core::Log::open(backend.storage(), host.clone(), small_segments())
        .expect("the store opens");
    for (number, now_us) in times.into_iter().enumerate() {
        host.set_now_us(now_us);
        let entity = if number % 2 == 0 { "even" } else { "odd" };
        put(&mut log, &event(entity, PLACED, &"x".repeat(700)));
    }
    let check = |reader: &Reader<_>| {
        let numbers = |range: std::ops::RangeInclusive<u64>| range.collect::<Vec<_>>();
        let by_sequence = |first, last| {
            let range = Sequence::new(first)..=Sequence::new(last);
            sequences(reader, &Region::all().sequences(range))
        };
        assert_eq!(by_sequence(0, 0), [0]);
        assert_eq!(by_sequence(3, 7), numbers(3..=7));
        assert_eq!(by_sequence(9, u64::MAX), [9]);
        assert_eq!(by_sequence(10, 12), NOTHING);
        let open_end = Region::all().sequences(Sequence::new(8)..);
        assert_eq!(sequences(reader, &open_end), [8, 9]);
        let exclusive = Region::all().sequences(Sequence::new(2)..Sequence::new(4));
        assert_eq!(sequences(reader, &exclusive), [2, 3]);

        let by_version = |first, last| {
            let range = Version::new(first)..=Version::new(last);
            sequences(reader, &Region::all().versions(range))
        };
        assert_eq!(by_version(0, 0), [0, 1]);
        assert_eq!(by_version(1, 3), numbers(2..=7));
        assert_eq!(by_version(4, u64::MAX), [8, 9]);
        let odd = Region::stream("odd").versions(Version::new(2)..=Version::new(2));
        assert_eq!(sequences(reader, &odd), [5]);

        let by_time =
            |first: i64, last: i64| sequences(reader, &Region::all().times_us(first..=last));
        assert_eq!(by_time(-20, -10), [0, 1]);
        assert_eq!(by_time(i64::MIN, 0), [0, 1, 2]);
        assert_eq!(by_time(20, 30), [4, 5, 6]);
        assert_eq!(by_time(25, 25), [6]);
        assert_eq!(by_time(26, 29), NOTHING);
        assert_eq!(by_time(50, i64::MAX), [8, 9]);
        let empty = Region::all().times_us(std::ops::RangeInclusive::new(5, 4));
        assert_eq!(sequences(reader, &empty), NOTHING);
    };
    check(&log.reader());
    drop(log);
    check(&open_small(&backend).reader());
}

/// Every filter narrows the others.
pub fn b18_filters_and_together(backend: impl Backend) {
    let correlation = EventId::from_key("saga");
    let causation = EventId::from_key("trigger");
    let mut appends = Vec::new();
    for number in 0..64_u32 {
        let entity = if number & 1 == 0 { "order:1" } else { "order:2" };
        let scope = if number & 2 == 0 { "berlin" } else { "paris" };
        let kind = if number & 4 == 0 { PLACED } else { SHIPPED };
        let append = Append::new(at(entity, scope), kind, Payload::raw("x".repeat(100)));
        appends.push(with(append, |options| {
            let options =
                if number & 8 == 0 { options } else { options.with_correlation(correlation) };
            if number & 16 == 0 { options } else { options.with_causation(causation) }
        }));
    }
    everywhere(&backend, &appends, |reader| {
        for chosen in 0..64_u32 {
            let mut region = Region::all();
            let mut mask = 0;
            let filters: [fn(Region, EventId, EventId) -> Region; 6] = [
                |region, _, _| region.with_entity_exact("order:2"),
                |region, _, _| region.scope("paris"),
                |region, _, _| region.category(2),
                |region, correlation, _| region.correlation(correlation),
                |region, _, causation| region.causation(causation),
                |region, _, _| region.sequences(Sequence::new(32)..=Sequence::new(63)),
            ];
            for (bit, filter) in filters.iter().enumerate() {
                if chosen >> bit & 1 == 1 {
                    region = filter(region, correlation, causation);
                    mask |= 1 << bit;
                }
            }
            if mask == 0 {
                continue;
            }
            let expected: Vec<_> = (0..64_u64).filter(|number| number & mask == mask).collect();
            assert_eq!(sequences(reader, &region), expected, "filters {chosen:06b}");
        }
    });
}

/// A query does work for what is taken from it, not for what matches.
pub fn b19_results_come_lazily_in_sequence_order(backend: impl Backend) {
    let faults = Faults::default();
    let config = || LogConfig::default().with_segment_max_bytes(16 * 1024);
    let mut log = open_on(Faulty::new(backend.storage(), &faults), config());
    for number in 0..400_u32 {
        let entity = format!("order:{}", number % 7);
        put(&mut log, &event(&entity, PLACED, &"x".repeat(200)));
    }
    drop(log);
    let log = open_on(Faulty::new(backend.storage(), &faults), config());
    let reader = log.reader();
    let everything = count(|| reader.query(&Region::all()), &faults, usize::MAX);
    let first = count(|| reader.query(&Region::all()), &faults, 1);
    let newest = count(|| reader.query(&Region::all()).backward(), &faults, 1);
    let stream = count(|| reader.stream("order:3").limit(2), &faults, usize::MAX);
    assert!(everything > 400 * 200, "the events were read");
    for few in [first, newest, stream] {
        assert!(few < everything / 4, "{few} bytes for a few events, {everything} for all");
    }
    let sequences = sequences(&reader, &Region::all());
    assert_eq!(sequences, (0..400).collect::<Vec<_>>());
}

/// Takes so many events and returns the bytes that were read for them.
fn count<S: Storage>(
    query: impl FnOnce() -> annals_core::Query<S>,
    faults: &Faults,
    taken: usize,
) -> u64 {
    let before = faults.bytes_read();
    query().take(taken).for_each(|event| drop(event.expect("readable")));
    faults.bytes_read() - before
}
