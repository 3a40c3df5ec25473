//! The generator of the golden store of format version 1. It has run, once.
//!
//! It stays to say what the store is made of. Its bytes are checked in; a store that this code
//! writes today may differ from them, and must not take their place.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use annals_core::{
    Admitted, Append, AppendOptions, Batch, BypassReason, CheckpointName, CompactionConfig,
    CompactionStrategy, ConsumerCheckpoint, Coordinate, EventFlags, EventId, EventKind, FileId,
    FileKind, GateSet, Host, Log, LogConfig, MemoryStorage, MetaSync, Payload, Pipeline,
    PositionHint, Proposal, Region, Sequence, Storage, StorageFile, gate_fn,
};

use super::Listing;
use crate::sim_disk::Random;

const PLACED: EventKind = EventKind::new(1, 1);
const PAID: EventKind = EventKind::new(2, 2);
const NOTED: EventKind = EventKind::new(0xE, 0xFFF);
const IMPORT: BypassReason = BypassReason::new("import", "written before there were gates");

/// A clock that ticks 250 us at a look and goes back once, and randomness from a seed.
pub(super) struct GoldenHost(RefCell<(i64, Random)>);

impl Host for GoldenHost {
    fn now_us(&self) -> i64 {
        let now_us = &mut self.0.borrow_mut().0;
        *now_us += 250;
        *now_us
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.borrow_mut().1.fill(buffer);
    }
}

/// What is checked in.
#[derive(Debug)]
pub struct Made {
    /// The files of the store.
    pub files: Vec<(FileId, Vec<u8>)>,
    /// Its newest segment, with the last batch torn.
    pub torn: (FileId, Vec<u8>),
    /// What must be read from it.
    pub listing: Listing,
}

pub(super) fn open(
    storage: &MemoryStorage,
    seed: u64,
    now_us: i64,
) -> Log<MemoryStorage, GoldenHost> {
    let host = GoldenHost(RefCell::new((now_us, Random::new(seed))));
    let config = LogConfig::default().with_segment_max_bytes(64 * 1024);
    Log::open(storage.clone(), host, config).expect("the store opens")
}

pub(super) type GoldenLog = Log<MemoryStorage, GoldenHost>;

fn at(entity: &str, scope: &str) -> Coordinate {
    Coordinate::new(entity, scope).expect("valid")
}

/// Makes the store anew.
///
/// # Panics
///
/// If the store refuses anything.
#[must_use]
pub fn make() -> Made {
    let storage = MemoryStorage::new();
    let mut log = open(&storage, 1, 1_700_000_000_000_000);
    log.name_kind(PLACED, "order.placed").expect("a name");
    log.name_kind(PAID, "order.paid").expect("a name");
    let shipped = log.kind_for_name("order.shipped").expect("a name");
    every_option(&mut log, shipped);
    log.seal().expect("sealed");
    for round in 0..3 {
        notes(&mut log, round);
        log.seal().expect("sealed");
    }
    let keep = |event: &annals_core::EventRef<'_>| {
        event.header().kind() != NOTED && event.header().entity() != "basket:1"
    };
    compact(&mut log, CompactionStrategy::Retention(Arc::new(keep)), Sequence::new(17));
    log.close().expect("closed");
    // The clock has gone back meanwhile.
    let mut log = open(&storage, 2, 1_600_000_000_000_000);
    let merged_from = log.reader().end();
    for round in 0..2 {
        people(&mut log, round);
        log.seal().expect("sealed");
    }
    compact(&mut log, CompactionStrategy::Merge, merged_from);
    log.erase(&Region::entity_exact("person:ada").into(), |_| ControlFlow::Continue(()))
        .expect("erased");
    log.seal().expect("sealed");
    checkpoints(&mut log);
    plain(&mut log, "order:7", 3);
    log.close().expect("closed");
    let mut log = open(&storage, 3, 1_700_000_100_000_000);
    plain(&mut log, "order:8", 2);
    let torn_end = log.reader().end().get();
    let batch: Batch = (0..3).map(|number| placed("order:9", number)).collect();
    log.append_batch(&batch).expect("appended");
    let listing = Listing::of(&log, torn_end).expect("it can be read");
    drop(log);
    let files: Vec<_> = storage.list().expect("in memory").into_iter().collect();
    let files: Vec<_> = files.into_iter().map(|id| (id, bytes_of(&storage, id))).collect();
    let newest = files.iter().rfind(|(id, _)| id.kind == FileKind::Segment);
    let (newest, bytes) = newest.expect("there is one");
    // The end is torn off, and zeros stand there as in a file that was zero-filled ahead.
    let mut torn = bytes.clone();
    let cut = torn.len() - 150;
    torn[cut..].fill(0);
    torn.extend([0; 64]);
    let torn = (*newest, torn);
    Made { files, torn, listing }
}

fn placed(entity: &str, number: u32) -> Append {
    let payload = Payload::json(&format!("{number} apples")).expect("text");
    Append::new(at(entity, "shop"), PLACED, payload)
}

fn plain(log: &mut GoldenLog, entity: &str, count: u32) {
    for number in 0..count {
        log.append(&placed(entity, number)).expect("appended");
    }
}

/// Everything that an append can say: 17 events.
fn every_option(log: &mut GoldenLog, shipped: EventKind) {
    let options = AppendOptions::default;
    let key = EventId::from_key("invoice 5");
    let append = |entity: &str, kind, payload, options| {
        Append::new(at(entity, "shop"), kind, payload).with_options(options)
    };
    let one_by_one = [
        append("order:5", PLACED, Payload::raw(*b"\x00raw\xff"), options()),
        append("order:5", PLACED, Payload::raw([]), options().with_metadata([])),
        append("order:5", PAID, Payload::json(&[1.5, 2.0]).expect("numbers"), options()),
        append(
            "order:5",
            shipped,
            Payload::postcard(&("by ship", 7_u64, Some(-3_i8))).expect("a tuple").with_version(3),
            options().with_metadata(*b"\xc3\x28 not UTF-8"),
        ),
        append(
            "order:6",
            PAID,
            Payload::raw("keyed"),
            options().with_idempotency_key(key).with_flags(
                EventFlags::REQUIRES_ACK | EventFlags::REPLAY | EventFlags::from_bits(0x8100),
            ),
        ),
        append(
            "order:6",
            PAID,
            Payload::raw("caused"),
            options().with_correlation(EventId::from_key("saga")).with_causation(key),
        ),
        append(
            "order:6",
            EventKind::new(0xC, 0),
            Payload::raw("a branch").with_version(u16::MAX),
            options().with_position(PositionHint { lane: 3, depth: 2 }),
        ),
        Append::new(at("straße:ß", "läden/ü·東京"), PAID, Payload::raw("names")),
        Append::new(at("order:5", "another shop"), PAID, Payload::raw("a scope beside")),
        Append::new(at(&"e".repeat(1024), &"s".repeat(1024)), PAID, Payload::raw("long names")),
        Append::new(at("large", "shop"), PAID, Payload::raw((0..=255).collect::<Vec<u8>>())),
    ];
    for append in &one_by_one {
        log.append(append).expect("appended");
    }
    let batch = Batch::new()
        .push(placed("order:10", 1))
        .push(placed("order:11", 2).caused_by_item(0))
        .push(placed("order:10", 3).caused_by_item(1));
    log.append_batch(&batch).expect("appended");
    admitted(log);
    let emptied = append("order:5", PLACED, Payload::json(&()).expect("null"), options());
    log.append(&emptied).expect("appended");
}

/// Two events that say who let them in.
fn admitted(log: &mut GoldenLog) {
    let gates = GateSet::new()
        .with(gate_fn("positive", |_: &u64| Ok(())))
        .with(gate_fn("limit", |_: &u64| Ok(())));
    let pipeline = Pipeline::new(gates);
    let paid = |cents: u64| {
        Payload::json(&cents).map(|payload| Append::new(at("till:1", "shop"), PAID, payload))
    };
    let receipt = pipeline.evaluate_payload(Proposal::new(80)).expect("all gates are open");
    log.append(&receipt.into_append(paid).expect("a number")).expect("appended");
    let bypass = pipeline.bypass(Proposal::new(900), IMPORT, "invoice 7 of 2019").expect("valid");
    log.append(&bypass.into_append(paid).expect("a number")).expect("appended");
}

/// Half of them are dropped later, and a stream as a whole.
fn notes(log: &mut GoldenLog, round: u32) {
    for number in 0..6 {
        let kind = if number % 2 == 0 { NOTED } else { PLACED };
        let payload = Payload::raw(format!("round {round}, {number}"));
        let entity = format!("order:{}", 5 + number % 3);
        log.append(&Append::new(at(&entity, "shop"), kind, payload)).expect("appended");
    }
    plain(log, "basket:1", 2);
}

/// Ada is erased later.
fn people(log: &mut GoldenLog, round: u32) {
    for (entity, number) in [("person:ada", 1), ("person:ben", 2), ("person:ada", 3)] {
        let payload = Payload::json(&format!("secret {round} {number}")).expect("text");
        let options = AppendOptions::default().with_metadata(*b"secret");
        let append = Append::new(at(entity, "crm"), PAID, payload).with_options(options);
        log.append(&append).expect("appended");
    }
}

fn checkpoints(log: &mut GoldenLog) {
    let mailer = |after| ConsumerCheckpoint {
        after,
        region: Region::entity("order").scope("shop").kinds([PLACED, PAID]),
    };
    for after in [None, Some(Sequence::new(3)), Some(Sequence::new(20))] {
        log.set_consumer_checkpoint("mailer", &mailer(after), MetaSync::Now).expect("set");
    }
    let all = ConsumerCheckpoint { after: None, region: Region::all() };
    log.set_consumer_checkpoint("search index", &all, MetaSync::Later).expect("set");
    log.set_consumer_checkpoint("gone", &all, MetaSync::Now).expect("set");
    log.remove_checkpoint(CheckpointName::consumer("gone"), MetaSync::Now).expect("removed");
    let balance = CheckpointName::projection(b"\x01balance\xff");
    log.set_checkpoint(balance, b"\x00state\xff", MetaSync::Now).expect("set");
}

/// What comes behind the golden store, for a backup that continues it: a batch, an event in a new
/// stream and one in an old, two segments, a name and places of consumers.
pub(super) fn later(log: &mut GoldenLog) {
    let returned = log.kind_for_name("order.returned").expect("a name");
    let batch: Batch = (0..2).map(|number| placed("order:9", number)).collect();
    log.append_batch(&batch).expect("appended");
    log.seal().expect("sealed");
    let options = AppendOptions::default()
        .with_metadata(*b"later")
        .with_causation(EventId::from_key("invoice 5"));
    let append = Append::new(at("order:5", "shop"), returned, Payload::raw(*b"\xfeback"));
    log.append(&append.with_options(options)).expect("appended");
    plain(log, "order:12", 2);
    let (after, region) = (log.reader().end().checked_prev(), Region::entity("order"));
    let place = ConsumerCheckpoint { after, region };
    log.set_consumer_checkpoint("returns", &place, MetaSync::Now).expect("set");
}

fn compact(log: &mut GoldenLog, strategy: CompactionStrategy, from: Sequence) {
    let config = CompactionConfig::new(strategy);
    let compaction = log.begin_compaction(&config, from).expect("it begins").expect("a job");
    let done = compaction.run(|_| ControlFlow::Continue(())).expect("it runs").expect("a result");
    drop(compaction);
    log.finish_compaction(&done).expect("it is taken in");
}

fn bytes_of(storage: &MemoryStorage, id: FileId) -> Vec<u8> {
    let file = storage.open(id).expect("a file in memory");
    let mut bytes = vec![0; usize::try_from(file.len().expect("in memory")).expect("small")];
    file.read_exact_at(&mut bytes, 0).expect("in memory");
    bytes
}
