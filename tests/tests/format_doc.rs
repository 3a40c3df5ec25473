//! `docs/FORMAT.md` against the bytes: its worked example is what the encoder writes, and what its
//! tables say about a segment is read back here by hand, without any code of the format's.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

use std::cell::Cell;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use annals_core::format::FORMAT_VERSION;
use annals_core::format::index_block::Column;
use annals_core::format::segment::REPLACES_MAX;
use annals_core::{
    Admitted, Append, AppendOptions, AppendReceipt, BATCH_EVENTS_MAX, BypassReason,
    CompactionConfig, CompactionStrategy, Coordinate, ENTITY_LEN_MAX, EventId, EventKind,
    ExpectedVersion, FileId, GATE_NAME_LEN_MAX, GATE_NAMES_MAX, GateSet, Hash, Host, Log,
    LogConfig, METADATA_LEN_MAX, MemoryStorage, PAYLOAD_LEN_MAX, Payload, Pipeline, Proposal,
    REASON_LEN_MAX, SCOPE_LEN_MAX, Sequence, Storage, StorageFile, Version, gate_fn,
};

const DOC: &str = include_str!("../../docs/FORMAT.md");

/// Time goes on by 1.5 ms at each look, and randomness is 0x11, then 0x22, and so on.
#[derive(Default)]
struct Regular {
    looks: Cell<i64>,
    fills: Cell<u8>,
}

impl Host for Regular {
    fn now_us(&self) -> i64 {
        let looks = self.looks.get();
        self.looks.set(looks + 1);
        1_700_000_000_000_000 + looks * 1_500
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.fills.set(self.fills.get().wrapping_add(0x11));
        buffer.fill(self.fills.get());
    }
}

fn open(storage: &MemoryStorage) -> Log<MemoryStorage, Regular> {
    let config = LogConfig::default();
    Log::open(storage.clone(), Regular::default(), config).expect("memory does not fail")
}

fn order() -> Coordinate {
    Coordinate::new("order:5", "shop").expect("a valid address")
}

fn segment(storage: &MemoryStorage, number: u64) -> Vec<u8> {
    let file = storage.open(FileId::segment(number)).expect("the store has the segment");
    let len = file.len().expect("memory does not fail");
    let mut bytes = vec![0; usize::try_from(len).expect("a small file")];
    file.read_exact_at(&mut bytes, 0).expect("memory does not fail");
    bytes
}

/// What the page says it shows.
fn worked_example() -> (Vec<u8>, [AppendReceipt; 2]) {
    let storage = MemoryStorage::new();
    let mut log = open(&storage);
    let tea = Payload::postcard(&("tea", 2_u32)).unwrap();
    let first = log.append(&Append::new(order(), EventKind::new(1, 1), tea)).unwrap();
    let options = AppendOptions::default()
        .with_expected_version(ExpectedVersion::Exact(Version::ZERO))
        .with_correlation(first.id)
        .with_causation(first.id)
        .with_metadata(*b"by Ada");
    let cents = Payload::json(&serde_json::json!({ "cents": 900 })).unwrap();
    let paid = Append::new(order(), EventKind::new(1, 2), cents).with_options(options);
    let second = log.append(&paid).unwrap();
    log.close().unwrap();
    (segment(&storage, 1), [first, second])
}

/// The bytes of the page's dump. Their offsets must be right.
fn dumped() -> Vec<u8> {
    let (_, dump) = DOC.split_once("```hexdump\n").expect("the page has a dump");
    let (dump, _) = dump.split_once("```").expect("the dump ends");
    let mut bytes = Vec::new();
    for line in dump.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (offset, rest) = line.split_once("  ").expect("an offset, two spaces, bytes");
        assert_eq!(usize::from_str_radix(offset, 16), Ok(bytes.len()), "{line}");
        let hex = rest.split("  ").next().expect("bytes");
        bytes.extend(hex.split(' ').map(|byte| {
            u8::from_str_radix(byte, 16).unwrap_or_else(|error| panic!("{line}: {error}"))
        }));
    }
    bytes
}

#[test]
fn the_worked_example_is_what_the_encoder_writes() {
    let (written, _) = worked_example();
    let dumped = dumped();
    let differ = written.iter().zip(&dumped).position(|(written, dumped)| written != dumped);
    assert_eq!(differ, None, "the first byte that differs");
    assert_eq!(written.len(), dumped.len());
}

#[test]
fn the_page_is_about_the_version_that_is_written() {
    assert!(DOC.starts_with(&format!("# The bytes of Annals, format version {FORMAT_VERSION}\n")));
    assert!(DOC.contains(&format!("\n| {FORMAT_VERSION} | the first |\n")));
}

/// Takes fields off the front, as the tables give them.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().expect("as many as taken")
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    fn i64(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }

    fn len(&mut self) -> usize {
        usize::try_from(self.u32()).expect("a length")
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.u8();
            value |= u64::from(byte & 0x7F) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    fn zigzag(&mut self) -> i64 {
        let value = self.varint();
        (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
    }

    fn text(&mut self) -> &'a str {
        let len = usize::try_from(self.varint()).expect("a length");
        std::str::from_utf8(self.take(len)).expect("UTF-8")
    }
}

/// CRC-32/ISO-HDLC, bit by bit.
fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = u32::MAX;
    for byte in parts.concat() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn blake3(parts: &[&[u8]]) -> [u8; 32] {
    *blake3::hash(&parts.concat()).as_bytes()
}

struct Frame<'a> {
    offset: usize,
    end: usize,
    first_sequence: u64,
    synced_len: u64,
    records: Vec<Record<'a>>,
}

struct Record<'a> {
    offset: usize,
    state: u8,
    header: &'a [u8],
    content: &'a [u8],
}

fn frame(file: &[u8], offset: usize, salt: [u8; 4]) -> Frame<'_> {
    assert_eq!(offset % 8, 0);
    let mut fields = Fields(&file[offset..]);
    assert_eq!(fields.u32(), 0xA771_15F0);
    let len = fields.array();
    let crc = fields.u32();
    let end = offset + 12 + u32::from_le_bytes(len) as usize;
    assert_eq!(crc, crc32(&[&salt, &len, &file[offset + 12..end]]));
    let first_sequence = fields.u64();
    let synced_len = fields.u64();
    let record_count = fields.u32();
    let mut at = offset + 32;
    let mut records = Vec::new();
    for _ in 0..record_count {
        let mut fields = Fields(&file[at..end]);
        let crc = fields.u32();
        let len = fields.len();
        let header_len = usize::from(fields.u16());
        let state = fields.u8();
        let record_end = at + 8 + len;
        assert_eq!(crc, crc32(&[&salt, &file[at + 4..record_end]]));
        let (header, content) = file[at + 11..record_end].split_at(header_len);
        records.push(Record { offset: at, state, header, content });
        at = record_end;
    }
    assert_eq!(at, end, "the records fill the frame");
    let padded = end.next_multiple_of(8);
    assert!(file[end..padded].iter().all(|byte| *byte == 0));
    Frame { offset, end: padded, first_sequence, synced_len, records }
}

/// The hash of an event, and the header's fields behind the hash of the one before.
fn hashed<'a>(record: &Record<'a>) -> ([u8; 32], [u8; 32], Fields<'a>) {
    let content_hash = blake3(&[record.content]);
    let event_hash = blake3(&[b"annals.event.v1\0", record.header, &content_hash]);
    let mut fields = Fields(record.header);
    (event_hash, fields.array(), fields)
}

fn assert_segment_header(file: &[u8]) -> ([u8; 4], usize) {
    let mut fields = Fields(file);
    assert_eq!(fields.take(8), b"ANNALSEG");
    assert_eq!((fields.u16(), fields.u16(), fields.u32()), (1, 0, 104));
    assert_eq!(fields.array(), [0x11; 16], "store id");
    assert_eq!((fields.u64(), fields.u64()), (1, 0), "number and base sequence");
    assert_eq!(fields.i64(), 1_700_000_000_000_000);
    let salt = fields.array();
    assert_eq!(salt, [0x22; 4]);
    assert_eq!(fields.u32(), 0, "replaces none");
    assert_eq!(fields.array(), [0; 32], "there is no segment before");
    assert_eq!(fields.u32(), crc32(&[&file[..96]]));
    assert_eq!(fields.u32(), 0, "padding");
    (salt, 104)
}

#[test]
fn the_worked_example_is_read_by_the_tables_of_the_page() {
    let file = dumped();
    let (_, [first, second]) = worked_example();
    let (salt, header_end) = assert_segment_header(&file);

    let one = frame(&file, header_end, salt);
    assert_eq!((one.first_sequence, one.synced_len), (0, 104));
    let [record] = &one.records[..] else { panic!("one record") };
    let (event_hash, prev_hash, mut header) = hashed(record);
    assert_eq!((record.state, prev_hash), (0, [0; 32]));
    assert_eq!(&event_hash, first.event_hash.as_bytes());
    assert_eq!(&header.array::<16>(), first.id.as_bytes());
    assert_eq!((header.u8(), header.u8()), (0, 0), "correlation, causation");
    assert_eq!((header.zigzag(), header.zigzag()), (1_700_000_000_001_500, 0));
    let zeros: Vec<_> = (0..4).map(|_| header.varint()).collect();
    assert_eq!(zeros, [0; 4], "counter, depth, lane, version");
    assert_eq!((header.varint(), header.varint()), (0x1001, 0), "kind, flags");
    assert_eq!((header.u8(), header.varint()), (1, 1), "payload format and version");
    assert_eq!((header.text(), header.text()), ("order:5", "shop"));
    assert_eq!((header.u8(), header.0), (0, &[][..]), "admission, and the end");
    assert_eq!(record.content, b"\0\x03tea\x02");

    let two = frame(&file, one.end, salt);
    assert_eq!((two.first_sequence, two.synced_len), (1, one.end as u64));
    let [record] = &two.records[..] else { panic!("one record") };
    let (event_hash, prev_hash, mut header) = hashed(record);
    assert_eq!(Hash::from_bytes(prev_hash), first.event_hash);
    assert_eq!(Hash::from_bytes(event_hash), second.event_hash);
    assert_eq!(&header.array::<16>(), second.id.as_bytes());
    for link in ["correlation", "causation"] {
        assert_eq!((header.u8(), &header.array()), (1, first.id.as_bytes()), "{link}");
    }
    assert_eq!((header.zigzag(), header.zigzag()), (1_700_000_000_003_000, 0));
    let numbers: Vec<_> = (0..6).map(|_| header.varint()).collect();
    assert_eq!(numbers, [0, 0, 0, 1, 0x1002, 0], "counter to flags");
    assert_eq!((header.u8(), header.varint()), (2, 1), "payload format and version");
    assert_eq!((header.text(), header.text()), ("order:5", "shop"));
    assert_eq!((header.u8(), header.0), (0, &[][..]), "admission, and the end");
    assert_eq!(record.content, b"\x07by Ada{\"cents\":900}");

    let closing = frame(&file, two.end, salt);
    assert_eq!((closing.first_sequence, closing.synced_len), (2, closing.offset as u64));
    assert!(closing.records.is_empty());
    assert_eq!(closing.end, file.len());
}

#[test]
fn admissions_are_read_by_the_table_of_the_page() {
    const MIGRATION: BypassReason = BypassReason::new("migration", "moved");
    let storage = MemoryStorage::new();
    let mut log = open(&storage);
    let gates = GateSet::new().with(gate_fn("a", |_: &()| Ok(()))).with(gate_fn("bc", |_| Ok(())));
    let pipeline = Pipeline::new(gates);
    let make = |bytes: &'static [u8]| {
        let append = Append::new(order(), EventKind::new(1, 1), Payload::raw(bytes));
        Ok::<_, annals_core::CodecError>(append)
    };
    let gated = pipeline.evaluate(&(), Proposal::new(&b"x"[..])).unwrap();
    log.append(&gated.into_append(make).unwrap()).unwrap();
    let bypassed = pipeline.bypass(Proposal::new(&b"y"[..]), MIGRATION, "by Ada").unwrap();
    log.append(&bypassed.into_append(make).unwrap()).unwrap();

    let file = segment(&storage, 1);
    let one = frame(&file, 104, [0x22; 4]);
    assert!(one.records[0].header.ends_with(b"\x04shop\x01\x00\x02\x01a\x02bc"));
    let two = frame(&file, one.end, [0x22; 4]);
    assert!(two.records[0].header.ends_with(b"\x04shop\x01\x01\x09migration\x06by Ada"));
}

const EVENTS: u64 = 300;

/// Appends events of several entities, scopes, kinds and causes, each in a frame of its own, and
/// seals them.
fn fill(log: &mut Log<MemoryStorage, Regular>) -> Vec<AppendReceipt> {
    let mut receipts: Vec<AppendReceipt> = Vec::new();
    for n in 0..EVENTS {
        let at = Coordinate::new(format!("order:{}", n % 7), format!("shop{}", n % 2)).unwrap();
        // Regular randomness would give ids that differ in their times alone.
        let key = EventId::from_key(&n.to_string());
        let mut options = AppendOptions::default().with_idempotency_key(key);
        if n % 10 == 9 {
            let cause = &receipts[usize::try_from(n - n % 50).unwrap()];
            options = options.with_correlation(receipts[0].id).with_causation(cause.id);
        }
        let kind = EventKind::new(1, u16::try_from(n % 3).unwrap());
        let payload = Payload::raw(n.to_string());
        receipts.push(log.append(&Append::new(at, kind, payload).with_options(options)).unwrap());
    }
    log.seal().unwrap();
    receipts
}

/// What the page says about a footer.
struct Footer {
    frames_end: usize,
    index: Range<usize>,
}

fn assert_footer(file: &[u8], receipts: &[AppendReceipt]) -> Footer {
    let at = file.len() - 256;
    let mut fields = Fields(&file[at..]);
    assert_eq!(fields.take(8), b"ANNALEND");
    assert_eq!(fields.u64(), 1, "number");
    let frames_end = usize::try_from(fields.u64()).unwrap();
    let index_len = usize::try_from(fields.u64()).unwrap();
    assert_eq!(frames_end + index_len, at);
    assert_eq!((fields.u64(), fields.u64(), fields.u64()), (0, EVENTS, EVENTS));
    let times = || receipts.iter().map(|receipt| receipt.timestamp_us);
    assert_eq!((Some(fields.i64()), Some(fields.i64())), (times().min(), times().max()));
    let last = receipts.last().unwrap();
    assert_eq!((fields.u64(), fields.u32()), (last.hlc.wall_ms, last.hlc.counter));
    assert_eq!(fields.u32(), 0);
    let ids = || receipts.iter().map(|receipt| *receipt.id.as_bytes());
    assert_eq!((Some(fields.array()), Some(fields.array())), (ids().min(), ids().max()));
    let frames_hash: [u8; 32] = fields.array();
    assert_eq!(frames_hash, blake3(&[&file[104..frames_end]]));
    assert_eq!(fields.array(), blake3(&[&[0; 32], &frames_hash]), "chain hash");
    assert_eq!(fields.u64(), 0, "newest loss: no output of a compaction");
    assert!(fields.take(60).iter().all(|byte| *byte == 0));
    assert_eq!(fields.u32(), crc32(&[&file[at..at + 252]]));
    Footer { frames_end, index: frames_end..at }
}

/// The columns of an index block, each as its elements.
fn columns(block: &[u8], salt: [u8; 4], events: usize) -> Vec<Vec<u64>> {
    let mut stream = Vec::new();
    for page in block.chunks(16_384) {
        let (payload, crc) = page.split_at(page.len() - 4);
        assert_eq!(Fields(crc).u32(), crc32(&[&salt, payload]));
        stream.extend_from_slice(payload);
    }
    let mut fields = Fields(&stream);
    assert_eq!(fields.take(8), b"ANNALIDX");
    assert_eq!((fields.len(), fields.len()), (events, 35));
    let mut columns = Vec::new();
    for _ in 0..35 {
        let offset = usize::try_from(fields.u64()).unwrap();
        let (min, count, width) = (fields.u64(), fields.len(), usize::from(fields.u8()));
        assert_eq!(fields.take(3), [0; 3]);
        let bytes = &stream[offset..offset + (count * width).div_ceil(8)];
        let bit = |at: usize| u64::from(bytes[at / 8] >> (at % 8) & 1);
        let element = |i: usize| (0..width).map(|b| bit(i * width + b) << b).sum::<u64>();
        columns.push((0..count).map(|i| min + element(i)).collect());
    }
    columns
}

fn lists<'a>(starts: &[u64], elements: &'a [u64]) -> Vec<&'a [u64]> {
    let at = |start: &u64| usize::try_from(*start).expect("a place");
    assert_eq!((starts[0], starts.last().map(at)), (0, Some(elements.len())));
    starts.windows(2).map(|pair| &elements[at(&pair[0])..at(&pair[1])]).collect()
}

fn text(bytes: &[u64]) -> String {
    bytes.iter().map(|byte| char::from(u8::try_from(*byte).expect("a byte"))).collect()
}

/// What an event says of itself, from its record.
struct Stored {
    offset: u64,
    id: [u8; 16],
    correlation: Option<[u8; 16]>,
    causation: Option<[u8; 16]>,
    time_us: i64,
    version: u64,
    kind: u64,
    entity: String,
    scope: String,
}

fn stored_events(file: &[u8], frames_end: usize) -> Vec<Stored> {
    let mut events = Vec::new();
    let mut at = 104;
    while at < frames_end {
        let frame = frame(file, at, [0x22; 4]);
        assert_eq!(frame.first_sequence, events.len() as u64);
        for record in &frame.records {
            let (_, _, mut header) = hashed(record);
            let id = header.array();
            let mut link = || (header.u8() == 1).then(|| header.array());
            let (correlation, causation) = (link(), link());
            let time_us = header.zigzag();
            let _hlc_and_place = (header.zigzag(), [(); 3].map(|()| header.varint()));
            let (version, kind) = (header.varint(), header.varint());
            let _flags_and_format = (header.varint(), header.u8(), header.varint());
            let (entity, scope) = (header.text().to_owned(), header.text().to_owned());
            let offset = record.offset as u64;
            events.push(Stored {
                offset,
                id,
                correlation,
                causation,
                time_us,
                version,
                kind,
                entity,
                scope,
            });
        }
        at = frame.end;
    }
    assert_eq!(at, frames_end);
    events
}

fn distinct<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.collect::<std::collections::BTreeSet<T>>().into_iter().collect()
}

/// The ordinals of the events that `holds` for.
fn ordinals(events: &[Stored], holds: impl Fn(&Stored) -> bool) -> Vec<u64> {
    (0..).zip(events).filter(|(_, event)| holds(event)).map(|(ordinal, _)| ordinal).collect()
}

#[test]
fn a_sealed_segment_is_read_by_the_tables_of_the_page() {
    let storage = MemoryStorage::new();
    let receipts = fill(&mut open(&storage));
    let file = segment(&storage, 1);
    let salt = Fields(&file[56..]).array();
    let Footer { frames_end, index } = assert_footer(&file, &receipts);
    let events = stored_events(&file, frames_end);
    assert_eq!(events.len() as u64, EVENTS);
    let columns = columns(&file[index], salt, events.len());
    let column = |column: Column| &columns[column as usize];
    let by_ordinal = |take: fn(&Stored) -> u64| events.iter().map(take).collect::<Vec<_>>();

    assert_eq!(*column(Column::Offsets), by_ordinal(|event| event.offset));
    assert_eq!((column(Column::RunOrdinals), column(Column::RunSequences)), (&vec![0], &vec![0]));
    let times = by_ordinal(|event| event.time_us.cast_unsigned() ^ 1 << 63);
    assert_eq!(*column(Column::Times), times);
    assert_eq!(*column(Column::Versions), by_ordinal(|event| event.version));

    let kinds = distinct(events.iter().map(|event| event.kind));
    assert_eq!(*column(Column::Kinds), kinds);
    let kind_lists = lists(column(Column::KindPostingStarts), column(Column::KindPostings));
    for (kind, list) in kinds.iter().zip(kind_lists) {
        assert_eq!(list, ordinals(&events, |event| event.kind == *kind));
    }
    let named: Vec<u64> =
        column(Column::KindIndexes).iter().map(|at| kinds[usize::try_from(*at).unwrap()]).collect();
    assert_eq!(named, by_ordinal(|event| event.kind));

    let names = |starts, names| -> Vec<String> {
        lists(column(starts), column(names)).into_iter().map(text).collect()
    };
    let entities = names(Column::EntityNameStarts, Column::EntityNames);
    assert_eq!(entities, distinct(events.iter().map(|event| event.entity.clone())));
    let entity_lists = lists(column(Column::EntityPostingStarts), column(Column::EntityPostings));
    for (entity, list) in entities.iter().zip(entity_lists) {
        assert_eq!(list, ordinals(&events, |event| event.entity == *entity));
    }
    let scopes = names(Column::ScopeNameStarts, Column::ScopeNames);
    assert_eq!(scopes, distinct(events.iter().map(|event| event.scope.clone())));
    let scope_lists = lists(column(Column::ScopePostingStarts), column(Column::ScopePostings));
    for (scope, list) in scopes.iter().zip(scope_lists) {
        assert_eq!(list, ordinals(&events, |event| event.scope == *scope));
    }

    let coordinates: Vec<(String, String)> = column(Column::CoordinateEntities)
        .iter()
        .zip(column(Column::CoordinateScopes))
        .map(|(entity, scope)| {
            let [entity, scope] = [entity, scope].map(|at| usize::try_from(*at).unwrap());
            (entities[entity].clone(), scopes[scope].clone())
        })
        .collect();
    let addresses = events.iter().map(|event| (event.entity.clone(), event.scope.clone()));
    assert_eq!(coordinates, distinct(addresses.clone()));
    for (at, address) in column(Column::Coordinates).iter().zip(addresses) {
        assert_eq!(coordinates[usize::try_from(*at).unwrap()], address);
    }

    type Link = fn(&Stored) -> Option<[u8; 16]>;
    let links: [(Link, [Column; 3]); 2] = [
        (
            |event| event.correlation,
            [
                Column::CorrelationKeys,
                Column::CorrelationPostingStarts,
                Column::CorrelationPostings,
            ],
        ),
        (
            |event| event.causation,
            [Column::CausationKeys, Column::CausationPostingStarts, Column::CausationPostings],
        ),
    ];
    for (link, [keys, starts, postings]) in links {
        let found = distinct(events.iter().filter_map(link));
        let flat: Vec<u64> = found.iter().flatten().map(|byte| u64::from(*byte)).collect();
        assert_eq!(*column(keys), flat);
        for (key, list) in found.iter().zip(lists(column(starts), column(postings))) {
            assert_eq!(list, ordinals(&events, |event| link(event) == Some(*key)));
        }
    }

    let seed = Fields(&file[16..]).u64();
    let hash = |id: &[u8; 16]| xxhash_rust::xxh3::xxh3_64_with_seed(id, seed) >> 32;
    let buckets = EVENTS / 8;
    let bits = 64 - EVENTS.leading_zeros();
    let id_lists = lists(column(Column::IdBucketStarts), column(Column::IdEntries));
    assert_eq!(id_lists.len() as u64, buckets);
    assert!(id_lists.iter().all(|list| list.is_sorted()));
    for (ordinal, event) in (0_u64..).zip(&events) {
        let hash = hash(&event.id);
        let entry = (hash & 0xFFFF) << bits | ordinal;
        assert!(id_lists[usize::try_from((hash * buckets) >> 32).unwrap()].contains(&entry));
    }

    let bytes = |at| column(at).iter().map(|byte| u8::try_from(*byte).unwrap()).collect::<Vec<_>>();
    let (descriptor, prints) = (bytes(Column::FilterDescriptor), bytes(Column::FilterFingerprints));
    let name = |name: &String| xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), seed);
    let keys = events.iter().map(|event| hash(&event.id)).chain(entities.iter().map(name));
    assert!(keys.clone().all(|key| may_hold(&descriptor, &prints, key)));
    let strangers = (0..1000_u64).filter(|n| may_hold(&descriptor, &prints, n << 40)).count();
    assert!(strangers < 30, "{strangers} of 1000 keys that are not there");
}

/// Compacts all that is sealed.
fn compact(log: &mut Log<MemoryStorage, Regular>, strategy: CompactionStrategy) {
    let config = CompactionConfig::new(strategy);
    let compaction = log.begin_compaction(&config, Sequence::ZERO).unwrap().unwrap();
    let compacted = compaction.run(|_| ControlFlow::Continue(())).unwrap().unwrap();
    log.finish_compaction(&compacted).unwrap();
}

#[test]
fn the_output_of_a_compaction_is_read_by_the_tables_of_the_page() {
    let is_gone = |entity: &str, sequence: u64| entity == "order:3" || sequence.is_multiple_of(5);
    let is_erased = |sequence: u64| sequence % 5 == 1;
    let storage = MemoryStorage::new();
    let mut log = open(&storage);
    let receipts = fill(&mut log);
    let original = segment(&storage, 1);
    compact(
        &mut log,
        CompactionStrategy::Retention(Arc::new(move |event| {
            !is_gone(event.header().entity(), event.sequence().get())
        })),
    );
    compact(
        &mut log,
        CompactionStrategy::Erase(Arc::new(move |event| is_erased(event.sequence().get()))),
    );
    let file = segment(&storage, 3);

    let mut header = Fields(&file[12..]);
    assert_eq!(header.len(), 112);
    assert_eq!(header.array(), [0x11; 16], "store id");
    assert_eq!((header.u64(), header.u64()), (3, 0), "number and base sequence");
    let _created_us = header.i64();
    let salt = header.array();
    assert_eq!((header.u32(), header.array()), (1, [0; 32]), "replaces one, the store's first");
    assert_eq!((header.u64(), header.u32()), (2, crc32(&[&file[..104]])));
    assert_eq!(header.u32(), 0, "padding");

    let [footer, of_original] = [&file, &original].map(|file| &file[file.len() - 256..]);
    let mut fields = Fields(&footer[16..]);
    let [frames_end, index_len] =
        [fields.u64(), fields.u64()].map(|at| usize::try_from(at).unwrap());
    assert_eq!((fields.u64(), fields.u64()), (0, EVENTS), "stands for all that it replaces");
    let event_count = fields.u64();
    assert_eq!(footer[152..184], of_original[152..184], "the chain hash of the last replaced");
    assert_eq!(Fields(&footer[184..]).u64(), 3 + 1, "the newest loss is its own");

    let whole = stored_events(&original, frames_end_of(&original));
    let left = |sequence: u64| {
        let event = &whole[usize::try_from(sequence).unwrap()];
        !is_gone(&event.entity, sequence)
    };
    let expected: Vec<u64> = (0..EVENTS).filter(|sequence| left(*sequence)).collect();
    assert_eq!(event_count, expected.len() as u64);

    let (mut found, mut runs, mut at) = (Vec::new(), Vec::new(), 112);
    while at < frames_end {
        let frame = frame(&file, at, salt);
        assert_eq!(frame.synced_len, 0);
        for (sequence, record) in numbered(&frame) {
            let Some(sequence) = sequence else {
                runs.push((found.len(), record.header, record.content));
                continue;
            };
            found.push(sequence);
            let place = usize::try_from(whole[usize::try_from(sequence).unwrap()].offset).unwrap();
            let was = record_at(&original, place);
            assert_eq!(record.header, was.header);
            if is_erased(sequence) {
                assert_eq!((record.state, record.content), (1, &blake3(&[was.content])[..]));
            } else {
                assert_eq!((record.state, record.content), (0, was.content));
            }
        }
        at = frame.end;
    }
    assert_eq!(found, expected);

    let mut gone = Vec::new();
    for (place, mark, content) in runs {
        let mut fields = Fields(mark);
        let entity = fields.text();
        let (first, last, last_sequence) = (fields.varint(), fields.varint(), fields.varint());
        assert!(fields.0.is_empty());
        let receipt = &receipts[usize::try_from(last_sequence).unwrap()];
        assert_eq!(receipt.version.get(), last);
        let of_stream = |version: u64| {
            (0_u64..)
                .zip(&whole)
                .find(|(_, event)| event.entity == entity && event.version == version)
        };
        let before = first.checked_sub(1).and_then(of_stream);
        let prev_hash = before.map_or([0; 32], |(sequence, _)| {
            *receipts[usize::try_from(sequence).unwrap()].event_hash.as_bytes()
        });
        assert_eq!(content, [&prev_hash[..], receipt.event_hash.as_bytes()].concat());
        let next = of_stream(last + 1).map(|(sequence, _)| sequence);
        assert_eq!(found.get(place).copied(), next, "a mark stands before the stream's next event");
        gone.extend((first..=last).map(|version| (entity.to_owned(), version)));
    }
    gone.sort_unstable();
    let dropped = (0..).zip(&whole).filter(|(sequence, _)| !left(*sequence));
    let dropped = distinct(dropped.map(|(_, event)| (event.entity.clone(), event.version)));
    assert_eq!(gone, dropped);

    let events = expected.len();
    let columns = columns(&file[frames_end..frames_end + index_len], salt, events);
    let column = |column: Column| &columns[column as usize];
    let heads = lists(column(Column::PrunedNameStarts), column(Column::PrunedNames));
    let newest_of = |entity: &str| {
        let last = whole.iter().rposition(|event| event.entity == entity).unwrap();
        last as u64
    };
    let entities = distinct(whole.iter().map(|event| event.entity.clone()));
    let headless = entities.into_iter().filter(|entity| !left(newest_of(entity)));
    assert_eq!(heads.into_iter().map(text).collect::<Vec<_>>(), headless.collect::<Vec<_>>());
    for (number, last) in column(Column::PrunedSequences).iter().enumerate() {
        let receipt = &receipts[usize::try_from(*last).unwrap()];
        assert_eq!(column(Column::PrunedVersions)[number], receipt.version.get());
        let hash = receipt.event_hash.as_bytes().map(u64::from);
        assert_eq!(column(Column::PrunedHashes)[number * 32..number * 32 + 32], hash);
    }
}

/// The records of a frame, each with its sequence; a mark has none.
fn numbered<'a, 'b>(frame: &'b Frame<'a>) -> impl Iterator<Item = (Option<u64>, &'b Record<'a>)> {
    let mut next = frame.first_sequence;
    frame.records.iter().map(move |record| {
        let sequence = (record.state != 2).then_some(next);
        next += u64::from(record.state != 2);
        (sequence, record)
    })
}

/// Where the frames of a sealed segment end.
fn frames_end_of(file: &[u8]) -> usize {
    usize::try_from(Fields(&file[file.len() - 240..]).u64()).unwrap()
}

/// The record at an offset.
fn record_at(file: &[u8], offset: usize) -> Record<'_> {
    let mut fields = Fields(&file[offset + 4..]);
    let (len, header_len, state) = (fields.len(), usize::from(fields.u16()), fields.u8());
    let (header, content) = file[offset + 11..offset + 8 + len].split_at(header_len);
    Record { offset, state, header, content }
}

#[test]
fn a_file_of_the_meta_log_is_read_by_the_tables_of_the_page() {
    let storage = MemoryStorage::new();
    let mut log = open(&storage);
    log.name_kind(EventKind::new(1, 2), "order.placed").unwrap();
    log.name_kind(EventKind::new(1, 3), "order.paid").unwrap();
    log.close().unwrap();
    let file = storage.open(FileId::meta(1)).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();

    let mut fields = Fields(&bytes);
    assert_eq!(fields.take(8), b"ANNALMET");
    assert_eq!((fields.u16(), fields.u16(), fields.u32()), (1, 0, 64));
    assert_eq!((fields.array(), fields.u64()), ([0x11; 16], 1));
    let whole_len = usize::try_from(fields.u64()).unwrap();
    let salt: [u8; 4] = fields.array();
    assert_eq!((fields.array(), fields.u32()), (salt, 0));
    assert_eq!(fields.u32(), crc32(&[&bytes[..60]]));
    let frame_salt = crc32(&[&salt, &[0x11; 16], &1_u64.to_le_bytes()]).to_le_bytes();

    let (mut at, mut values) = (64, Vec::new());
    while at < bytes.len() {
        let mut fields = Fields(&bytes[at..]);
        assert_eq!(fields.u32(), 0xA771_3E7A);
        let len: [u8; 4] = fields.array();
        let end = at + 12 + u32::from_le_bytes(len) as usize;
        assert_eq!(fields.u32(), crc32(&[&frame_salt, &len, &bytes[at + 12..end]]));
        assert_eq!(fields.u64(), if at < whole_len { 0 } else { at as u64 });
        let entries = fields.u32();
        for _ in 0..entries {
            let (key_len, value_len) = (usize::from(fields.u16()), fields.len());
            values.push((fields.take(key_len), fields.take(value_len)));
        }
        assert_eq!(fields.0.len(), bytes.len() - end);
        at = end.next_multiple_of(8);
    }
    let expected: [(&[u8], &[u8]); 2] =
        [(b"k/order.placed", &[0x02, 0x10]), (b"k/order.paid", &[0x03, 0x10])];
    assert_eq!(values, expected);
}

fn may_hold(descriptor: &[u8], prints: &[u8], key: u64) -> bool {
    let mut fields = Fields(descriptor);
    let (seed, segment_len, mask, count_len) =
        (fields.u64(), fields.u32(), fields.u32(), fields.u32());
    assert_eq!((mask, fields.0.len()), (segment_len - 1, 0));
    let mut h = key.wrapping_add(seed);
    for multiplier in [0xFF51_AFD7_ED55_8CCD, 0xC4CE_B9FE_1A85_EC53] {
        h ^= h >> 33;
        h = h.wrapping_mul(multiplier);
    }
    h ^= h >> 33;
    let low = |value: u64| u32::try_from(value & 0xFFFF_FFFF).expect("32 bits");
    let h0 = u32::try_from((u128::from(h) * u128::from(count_len)) >> 64).expect("32 bits");
    let h1 = (h0 + segment_len) ^ (low(h >> 18) & mask);
    let h2 = (h0 + 2 * segment_len) ^ (low(h) & mask);
    let print = |at: u32| prints[usize::try_from(at).expect("a place")];
    (h ^ h >> 32).to_le_bytes()[0] == print(h0) ^ print(h1) ^ print(h2)
}

#[test]
fn the_page_lists_the_columns_in_their_order() {
    let columns = [
        Column::Offsets,
        Column::RunOrdinals,
        Column::RunSequences,
        Column::Coordinates,
        Column::KindIndexes,
        Column::Times,
        Column::Versions,
        Column::Kinds,
        Column::CoordinateEntities,
        Column::CoordinateScopes,
        Column::EntityNameStarts,
        Column::EntityNames,
        Column::ScopeNameStarts,
        Column::ScopeNames,
        Column::EntityPostingStarts,
        Column::EntityPostings,
        Column::ScopePostingStarts,
        Column::ScopePostings,
        Column::KindPostingStarts,
        Column::KindPostings,
        Column::CorrelationKeys,
        Column::CorrelationPostingStarts,
        Column::CorrelationPostings,
        Column::CausationKeys,
        Column::CausationPostingStarts,
        Column::CausationPostings,
        Column::IdBucketStarts,
        Column::IdEntries,
        Column::PrunedNameStarts,
        Column::PrunedNames,
        Column::PrunedVersions,
        Column::PrunedSequences,
        Column::PrunedHashes,
        Column::FilterDescriptor,
        Column::FilterFingerprints,
    ];
    assert_eq!(columns.len(), Column::COUNT);
    for (number, column) in columns.into_iter().enumerate() {
        assert_eq!(column as usize, number);
        assert!(DOC.contains(&format!("\n| {number} | {column:?} | ")), "{column:?}");
    }
}

#[test]
fn the_page_names_the_limits_that_hold() {
    for (what, limit) in [
        ("entity, scope", format!("1 to {} bytes of UTF-8 each", grouped(ENTITY_LEN_MAX))),
        ("metadata", format!("{} bytes", grouped(METADATA_LEN_MAX))),
        ("payload", format!("{} bytes", grouped(PAYLOAD_LEN_MAX))),
        ("header of a record", format!("{} bytes", grouped(usize::from(u16::MAX)))),
        ("events of a batch", grouped(BATCH_EVENTS_MAX)),
        ("gate names of an event", format!("{GATE_NAMES_MAX}, of 1 to {GATE_NAME_LEN_MAX} bytes")),
        ("reason, justification of a bypass", format!("{} bytes", grouped(REASON_LEN_MAX))),
        ("segments that an output replaces", grouped(REPLACES_MAX)),
    ] {
        assert!(DOC.contains(&format!("\n| {what} | {limit}")), "{what}: {limit}");
    }
    assert_eq!(ENTITY_LEN_MAX, SCOPE_LEN_MAX);
}

/// A number with a comma before each three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8(groups.join(&b',')).expect("digits")
}
