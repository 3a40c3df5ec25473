//! Behaviours 42, 43 and 46 in the log: what a policy said is read back with the event.

use std::cell::Cell;

use annals_core::{
    Admitted, Append, AppendOptions, BypassReason, CodecError, Coordinate, Denial, EventKind,
    EventPayload, ExpectedVersion, GateSet, Host, Log, LogConfig, MemoryStorage, Payload, Pipeline,
    Proposal, Sequence, StoreError, Transition, TransitionRecord, Version, define_state_machine,
    gate_fn,
};
use serde::{Deserialize, Serialize};

const PAID: EventKind = EventKind::new(4, 1);
const IMPORT: BypassReason = BypassReason::new("import", "written before there were gates");

#[derive(Serialize, Deserialize)]
struct Parked;

impl EventPayload for Parked {
    const KIND: EventKind = EventKind::new(4, 2);
}

define_state_machine! {
    machine case {
        states { Open, Parked }
        edges { Open -> Parked: Parked }
    }
}

/// A clock that moves on by a millisecond whenever it is read, which keeps ids apart.
#[derive(Default)]
struct Counting(Cell<i64>);

impl Host for Counting {
    fn now_us(&self) -> i64 {
        self.0.set(self.0.get() + 1000);
        1_700_000_000_000_000 + self.0.get()
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

fn open(storage: &MemoryStorage) -> Log<MemoryStorage, Counting> {
    Log::open(storage.clone(), Counting::default(), LogConfig::default()).unwrap()
}

fn place() -> Coordinate {
    Coordinate::new("case:1", "office").unwrap()
}

fn paid(cents: u64) -> Result<Append, CodecError> {
    Ok(Append::new(place(), PAID, Payload::json(&cents)?))
}

pub fn b42_b43_the_log_tells_who_let_each_event_in() {
    let pipeline = Pipeline::new(
        GateSet::new()
            .with(gate_fn("positive", |cents: &u64| {
                if *cents > 0 { Ok(()) } else { Err(Denial::new("ZERO", "nothing to pay")) }
            }))
            .with(gate_fn("limit", |cents: &u64| {
                if *cents <= 100 { Ok(()) } else { Err(Denial::new("OVER", "too much")) }
            })),
    );
    let storage = MemoryStorage::new();
    let mut log = open(&storage);

    let receipt = pipeline.evaluate_payload(Proposal::new(80)).unwrap();
    let committed = pipeline.commit(receipt, |receipt| log.append(&receipt.into_append(paid)?));
    assert_eq!(committed.unwrap().value().sequence, Sequence::new(0));
    let bypass = pipeline.bypass(Proposal::new(900), IMPORT, "invoice 7 of 2019").unwrap();
    log.append(&bypass.into_append(paid).unwrap()).unwrap();
    log.append(&paid(1).unwrap()).unwrap();
    log.close().unwrap();

    let reader = open(&storage).reader();
    let admission = |sequence| reader.get_at(Sequence::new(sequence)).unwrap().header.admission;
    assert_eq!(admission(0).unwrap().gates().unwrap(), ["positive", "limit"]);
    assert_eq!(admission(1).unwrap().bypass().unwrap(), ("import", "invoice 7 of 2019"));
    assert_eq!(admission(2), None, "nobody was asked about a plain append");
}

pub fn b46_the_log_tells_which_edge_an_event_took() {
    let storage = MemoryStorage::new();
    let mut log = open(&storage);
    let park = |expected| {
        let options = AppendOptions::default().with_expected_version(expected);
        Transition::<case::Open, case::Parked, _>::new(Parked)
            .into_append(place(), options)
            .unwrap()
    };
    log.append(&paid(5).unwrap()).unwrap();
    let late = log.append(&park(ExpectedVersion::NoStream)).unwrap_err();
    assert!(matches!(late, StoreError::VersionConflict { .. }), "{late}");
    log.append(&park(ExpectedVersion::Exact(Version::new(0)))).unwrap();

    log.close().unwrap();

    let reader = open(&storage).reader();
    let plain = reader.get_at(Sequence::new(0)).unwrap();
    assert_eq!(TransitionRecord::of(&plain), None);
    let parked = reader.get_at(Sequence::new(1)).unwrap();
    let record = TransitionRecord::of(&parked).unwrap();
    assert_eq!((record.from.as_str(), record.to.as_str()), ("Open", "Parked"));
    assert!(record.is_declared_by::<case::Machine>());
    assert_eq!(parked.kind(), Parked::KIND);
}
