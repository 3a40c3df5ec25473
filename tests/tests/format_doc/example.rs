//! The worked example, and what events say of their admission.

use annals_core::{
    Admitted, Append, AppendOptions, AppendReceipt, BypassReason, EventKind, ExpectedVersion,
    GateSet, Hash, MemoryStorage, Payload, Pipeline, Proposal, Version, gate_fn,
};

use crate::DOC;
use crate::fields::{Fields, crc32};
use crate::fixture::{open, order, segment};
use crate::frame::{frame, hashed};

#[test]
fn the_worked_example_is_what_the_encoder_writes() {
    let (written, _) = worked_example();
    let dumped = dumped();
    let differ = written.iter().zip(&dumped).position(|(written, dumped)| written != dumped);
    assert_eq!(differ, None, "the first byte that differs");
    assert_eq!(written.len(), dumped.len());
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
