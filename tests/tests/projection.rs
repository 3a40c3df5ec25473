//! Projections: exact with and without a cache, whatever the cache does.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_core::{
    CacheFault, CodecError, CompactionStrategy, EventKind, EventPayload, EventSourced,
    ExpectedVersion, Freshness, MemoryCache, MemoryStorage, NoCache, Payload, Projected,
    ProjectionCache, ProjectionKey, Projector, Reader, Region, Sequence, SourceEvent, Storage,
    StorageFile, StoreError, Upcasts, Version,
};
use annals_tests::fixture::{MemoryLog, append, append_payload, compact, open_small};
use annals_tests::projection_cache_contract::{FaultyCache, Memory, projection_cache_contract};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

const NOTED: EventKind = EventKind::new(2, 1);

#[derive(Serialize, Deserialize)]
struct Deposited {
    cents: u64,
}

impl EventPayload for Deposited {
    const KIND: EventKind = EventKind::new(1, 1);
}

#[derive(Serialize, Deserialize)]
struct Withdrawn {
    cents: u64,
}

impl EventPayload for Withdrawn {
    const KIND: EventKind = EventKind::new(1, 2);
}

/// Depends on the order of events as well as on their sum.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Balance {
    cents: i64,
    trail: u64,
    applied: u64,
}

impl EventSourced for Balance {
    const NAME: &'static str = "balance";
    const KINDS: Option<&'static [EventKind]> = Some(&[Deposited::KIND, Withdrawn::KIND]);

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        let cents = match event.kind() {
            Deposited::KIND => event.decode::<Deposited>()?.cents.cast_signed(),
            Withdrawn::KIND => -event.decode::<Withdrawn>()?.cents.cast_signed(),
            kind => panic!("{kind} is not relevant"),
        };
        self.cents += cents;
        self.trail = self.trail.wrapping_mul(31).wrapping_add(cents.cast_unsigned());
        self.applied += 1;
        Ok(())
    }
}

/// Takes in everything, and knows one kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Counts {
    events: u64,
    deposits: u64,
}

impl EventSourced for Counts {
    const NAME: &'static str = "counts";

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        self.events += 1;
        if event.kind() == Deposited::KIND {
            self.deposits += 1;
        }
        Ok(())
    }
}

fn deposit(log: &mut MemoryLog, entity: &str, cents: u64) {
    let payload = Deposited { cents }.to_payload().unwrap();
    append_payload(log, entity, "bank", Deposited::KIND, payload);
}

fn withdraw(log: &mut MemoryLog, entity: &str, cents: u64) {
    let payload = Withdrawn { cents }.to_payload().unwrap();
    append_payload(log, entity, "bank", Withdrawn::KIND, payload);
}

fn bank() -> (MemoryStorage, MemoryLog) {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    for at in 0..200 {
        let entity = format!("account:{}", at % 5);
        match at % 3 {
            0 => deposit(&mut log, &entity, 100 + at),
            1 => withdraw(&mut log, &entity, at),
            _ => drop(append(&mut log, &entity, "bank", NOTED)),
        }
    }
    (storage, log)
}

/// What projecting the entity must give, worked out by hand from the events.
fn by_hand(reader: &Reader<MemoryStorage>, region: &Region) -> Balance {
    let mut balance = Balance::default();
    for event in reader.query(region) {
        let event = event.unwrap();
        let cents = match event.kind() {
            Deposited::KIND => event.decode::<Deposited>().unwrap().cents.cast_signed(),
            Withdrawn::KIND => -event.decode::<Withdrawn>().unwrap().cents.cast_signed(),
            _ => continue,
        };
        balance.cents += cents;
        balance.trail = balance.trail.wrapping_mul(31).wrapping_add(cents.cast_unsigned());
        balance.applied += 1;
    }
    balance
}

#[test]
fn b24_an_unknown_entity_projects_to_none() {
    let (_, log) = bank();
    assert_eq!(log.reader().project::<Balance>("account:9").unwrap(), None);
    assert_eq!(log.reader().project::<Balance>("account:").unwrap(), None);
    let empty = open_small(&MemoryStorage::new(), 1);
    assert_eq!(empty.reader().project::<Counts>("account:1").unwrap(), None);
}

#[test]
fn b24_only_relevant_kinds_are_read_and_unknown_ones_are_tolerated() {
    let (storage, mut log) = bank();
    let reader = log.reader();
    let projected = reader.project::<Balance>("account:2").unwrap().unwrap();
    assert_eq!(projected.state, by_hand(&reader, &Region::stream("account:2")));
    let counts = reader.project::<Counts>("account:2").unwrap().unwrap();
    assert_eq!((counts.state.events, counts.version), (40, Some(Version::new(39))));
    // A payload that nobody can read is no matter to who does not read its kind.
    append_payload(&mut log, "account:2", "bank", NOTED, Payload::raw("find-me-and-break-me"));
    for id in storage.list().unwrap() {
        let file = storage.open(id).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        if let Some(at) = bytes.windows(20).position(|window| window == b"find-me-and-break-me") {
            file.write_all_at(b"X", at as u64).unwrap();
        }
    }
    let again = log.reader().project_region::<Balance>(&Region::stream("account:2")).unwrap();
    assert_eq!(again.state, projected.state);
    assert!(log.reader().project::<Counts>("account:2").is_err());
}

#[test]
fn b24_an_entity_without_relevant_events_has_the_initial_state() {
    let (_, mut log) = bank();
    append(&mut log, "account:7", "bank", NOTED);
    let projected = log.reader().project::<Balance>("account:7").unwrap().unwrap();
    assert_eq!(projected.state, Balance::default());
    assert_eq!(projected.version, Some(Version::ZERO));
}

#[test]
fn a_projection_tells_what_an_append_that_rests_on_it_expects() {
    let (_, mut log) = bank();
    let reader = log.reader();
    let mut projected = reader.project::<Balance>("account:1").unwrap().unwrap();
    let head = reader.head("account:1").unwrap().unwrap();
    assert_eq!(projected.version, Some(head.version));
    assert_eq!(projected.sequence, Some(head.sequence));
    assert_eq!(projected.expected_version(), ExpectedVersion::Exact(head.version));
    assert_eq!(projected.position(), Some(Sequence::new(199)));
    append(&mut log, "account:1", "bank", NOTED);
    assert!(!projected.advance(&log.reader()).unwrap(), "nothing relevant");
    assert_eq!(projected.version, Some(head.version.next()), "but the version is the stream's");
    let condition = projected.condition();
    let paid = annals_core::Append::new(
        annals_core::Coordinate::new("account:1", "bank").unwrap(),
        NOTED,
        Payload::raw("no matter to the balance"),
    );
    let paid = |condition| {
        let options = annals_core::AppendOptions::default().with_condition(condition);
        paid.clone().with_options(options)
    };
    log.append(&paid(condition.clone())).unwrap();
    deposit(&mut log, "account:1", 1);
    let refused = log.append(&paid(condition)).unwrap_err();
    assert!(matches!(refused, StoreError::ConditionFailed { .. }), "{refused}");
}

#[test]
fn b26_advancing_takes_in_the_new_events_alone() {
    let (_, mut log) = bank();
    let old = log.reader();
    let mut projected = old.project::<Balance>("account:3").unwrap().unwrap();
    let mut region = old.project_region::<Balance>(&Region::all()).unwrap();
    assert!(!projected.advance(&old).unwrap());
    for cents in 0..20 {
        deposit(&mut log, "account:3", cents);
        deposit(&mut log, "account:4", cents);
    }
    let new = log.reader();
    assert_eq!((projected.lag(&new), region.lag(&new)), (40, 40));
    let applied = projected.state.applied;
    // A state that had been replayed would forget this.
    projected.state.applied += 1_000;
    assert!(projected.advance(&new).unwrap());
    assert_eq!(projected.state.applied, applied + 1_000 + 20);
    assert!(region.advance(&new).unwrap());
    assert_eq!(region.state, by_hand(&new, &Region::all()));
    assert!(!region.advance(&old).unwrap(), "an older reader changes nothing");
    assert_eq!((projected.lag(&new), region.version), (0, None));
}

#[test]
fn a_region_and_a_projection_both_narrow_the_kinds() {
    let (_, log) = bank();
    let reader = log.reader();
    for region in [
        Region::entity("account").category(1),
        Region::all().kind(Deposited::KIND),
        Region::all().kinds([Withdrawn::KIND, NOTED]),
        Region::all().kind(NOTED),
        Region::all().category(2),
        Region::entity_prefix("account:1").sequences(Sequence::new(10)..Sequence::new(90)),
    ] {
        let projected = reader.project_region::<Balance>(&region).unwrap();
        assert_eq!(projected.state, by_hand(&reader, &region), "{region:?}");
    }
}

#[test]
fn a_projection_that_fails_says_where_and_stands_before_the_event() {
    let (_, mut log) = bank();
    let good = log.reader().project::<Balance>("account:1").unwrap().unwrap();
    let bad = append_payload(&mut log, "account:1", "bank", Deposited::KIND, Payload::raw("x"));
    deposit(&mut log, "account:1", 1);
    let mut projected = good.clone();
    let error = projected.advance(&log.reader()).unwrap_err();
    let StoreError::Projection { projection, sequence, cause } = error else {
        panic!("{error}");
    };
    assert_eq!((projection, sequence, cause), ("balance", bad.sequence, CodecError::Raw));
    assert_eq!(projected.state, good.state);
    assert!(projected.advance(&log.reader()).is_err(), "it does not get past the event");
}

#[test]
fn b27_projections_lift_older_payloads() {
    #[derive(Serialize, Deserialize)]
    struct DepositedV2 {
        cents: u64,
        currency: String,
    }
    impl EventPayload for DepositedV2 {
        const KIND: EventKind = Deposited::KIND;
        const VERSION: u16 = 2;
    }
    #[derive(Default, Serialize, Deserialize)]
    struct Euros(u64);
    impl EventSourced for Euros {
        const NAME: &'static str = "euros";
        const KINDS: Option<&'static [EventKind]> = Some(&[Deposited::KIND]);

        fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
            let deposited = event.decode::<DepositedV2>()?;
            assert_eq!(deposited.currency, "EUR");
            self.0 += deposited.cents;
            Ok(())
        }
    }

    let mut log = open_small(&MemoryStorage::new(), 1);
    deposit(&mut log, "account:1", 300);
    let json = Payload::json(&Deposited { cents: 20 }).unwrap();
    append_payload(&mut log, "account:1", "bank", Deposited::KIND, json);
    let newest = DepositedV2 { cents: 1, currency: "EUR".into() }.to_payload().unwrap();
    append_payload(&mut log, "account:1", "bank", Deposited::KIND, newest);
    let upcasts = Upcasts::new().with(Deposited::KIND, 1, |old: Deposited| DepositedV2 {
        cents: old.cents,
        currency: "EUR".into(),
    });
    let (reader, cache) = (log.reader(), MemoryCache::new(10_000));
    let projector = Projector::new(&reader).with_upcasts(&upcasts).with_cache(&cache, 0);
    assert_eq!(projector.project::<Euros>("account:1").unwrap().unwrap().state.0, 321);
    assert_eq!(projector.project_cached::<Euros>("account:1").unwrap().unwrap().state.0, 321);

    let error = reader.project::<Euros>("account:1").map(drop).unwrap_err();
    let StoreError::Projection { cause: CodecError::NoUpcast { from: 1, to: 2, .. }, .. } = error
    else {
        panic!("{error}");
    };
    let future = Payload::raw("?").with_version(3);
    append_payload(&mut log, "account:2", "bank", Deposited::KIND, future);
    let reader = log.reader();
    let projector = Projector::new(&reader).with_upcasts(&upcasts);
    let error = projector.project::<Euros>("account:2").map(drop).unwrap_err();
    let StoreError::Projection { cause, .. } = error else { panic!("{error}") };
    let newer = CodecError::NewerVersion { kind: Deposited::KIND, found: 3, known: 2 };
    assert_eq!(cause, newer);
}

#[test]
fn the_caches_of_the_core_keep_the_contract() {
    projection_cache_contract(Memory::Nothing, 0, || NoCache);
    projection_cache_contract(Memory::WhileOpen, 100_000, || MemoryCache::new(1 << 20));
    let shared = std::sync::Arc::new(MemoryCache::new(1 << 20));
    projection_cache_contract(Memory::Durable, 100_000, || std::sync::Arc::clone(&shared));
}

#[test]
fn a_memory_cache_keeps_within_its_budget_what_was_used_last() {
    let cache = MemoryCache::new(10_000);
    let key = |at: usize| ProjectionKey::entity::<Balance>(&format!("account:{at}"));
    for at in 0..50 {
        cache.put(&key(at), &[7; 1_000]).unwrap();
        assert!(cache.get(&key(0)).unwrap().is_some(), "{at}: it is used all the time");
        assert!(cache.bytes() <= 10_000);
    }
    assert_eq!((cache.len(), cache.get(&key(20)).unwrap()), (8, None));
    cache.put(&key(0), &[7; 20_000]).unwrap();
    assert_eq!(cache.get(&key(0)).unwrap(), None, "neither the old entry nor one too large");
    assert_eq!(cache.len(), 7);
    cache.clear();
    assert_eq!((cache.bytes(), cache.is_empty()), (0, true));
}

/// Faults that a projector told, by their text.
#[derive(Default)]
struct Faults(RefCell<Vec<String>>);

impl Faults {
    fn note(&self, fault: &CacheFault) {
        self.0.borrow_mut().push(fault.to_string());
    }

    fn take(&self) -> String {
        self.0.take().join("; ")
    }
}

fn cached(
    reader: &Reader<MemoryStorage>,
    cache: &dyn ProjectionCache,
    faults: &Faults,
    entity: &str,
) -> Option<Projected<Balance>> {
    let note = |_: &ProjectionKey, fault: &CacheFault| faults.note(fault);
    let projector = Projector::new(reader).with_cache(cache, 0).on_cache_fault(&note);
    projector.project_cached::<Balance>(entity).unwrap()
}

#[test]
fn b25_two_projections_of_one_entity_never_see_each_others_bytes() {
    let (_, log) = bank();
    let (reader, cache) = (log.reader(), MemoryCache::new(1 << 20));
    let projector = Projector::new(&reader).with_cache(&cache, 0);
    for _ in 0..2 {
        let balance = projector.project_cached::<Balance>("account:1").unwrap().unwrap();
        let counts = projector.project_cached::<Counts>("account:1").unwrap().unwrap();
        let region = Region::stream("account:1");
        let of_region = projector.project_region_cached::<Balance>(&region).unwrap();
        assert_eq!(balance.state, by_hand(&reader, &region));
        assert_eq!(counts.state.events, 40);
        assert_eq!(of_region.state, balance.state);
        assert_eq!((of_region.version, cache.len()), (None, 3));
    }
}

#[test]
fn b25_an_entry_under_another_key_is_not_used() {
    let (_, log) = bank();
    let (reader, cache, faults) = (log.reader(), MemoryCache::new(1 << 20), Faults::default());
    cached(&reader, &cache, &faults, "account:1").unwrap();
    let stolen = cache.get(&ProjectionKey::entity::<Balance>("account:1")).unwrap().unwrap();
    cache.put(&ProjectionKey::entity::<Balance>("account:2"), &stolen).unwrap();
    let found = cached(&reader, &cache, &faults, "account:2").unwrap();
    assert_eq!(found.state, by_hand(&reader, &Region::stream("account:2")));
    assert!(faults.take().contains("of another key"));
}

#[test]
fn b26_a_cached_state_is_brought_up_to_date_by_the_new_events_alone() {
    let (storage, mut log) = bank();
    let (cache, faults) = (MemoryCache::new(1 << 20), Faults::default());
    let before = cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    log.seal().unwrap();
    deposit(&mut log, "account:1", 5);
    // Damage all that was there before but the last event, which says that history is the same.
    let files = storage.list().unwrap();
    for id in &files[..files.len() - 2] {
        let file = storage.open(*id).unwrap();
        file.write_all_at(&vec![0xFF; usize::try_from(file.len().unwrap()).unwrap()], 0).unwrap();
    }
    let after = cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    assert_eq!(after.state.cents, before.state.cents + 5);
    assert_eq!(after.version, before.version.map(Version::next));
    assert_eq!(faults.take(), "");
    assert!(log.reader().project::<Balance>("account:1").is_err(), "a replay would have failed");
}

#[test]
fn b26_best_effort_serves_what_is_young_enough() {
    let (_, mut log) = bank();
    let cache = MemoryCache::new(1 << 20);
    let at = |log: &MemoryLog, now_us, max_stale_ms| {
        let reader = log.reader();
        let projector = Projector::new(&reader)
            .with_cache(&cache, now_us)
            .with_freshness(Freshness::BestEffort { max_stale_ms });
        projector.project_cached::<Balance>("account:1").unwrap().unwrap().state.cents
    };
    let old = at(&log, 1_000_000, 100);
    deposit(&mut log, "account:1", 7);
    assert_eq!(at(&log, 1_100_000, 100), old, "100 ms old");
    assert_eq!(at(&log, 999_999, 100), old + 7, "a clock that went back is no proof of youth");
    deposit(&mut log, "account:1", 7);
    assert_eq!(at(&log, 1_099_999, 100), old + 7, "100 ms after the last look");
    assert_eq!(at(&log, 1_100_000, 100), old + 14);
    assert_eq!(at(&log, 1_150_000, 100), old + 14);
    deposit(&mut log, "account:1", 7);
    let reader = log.reader();
    let consistent = Projector::new(&reader).with_cache(&cache, 1_150_000);
    let exact = consistent.project_cached::<Balance>("account:1").unwrap().unwrap();
    assert_eq!(exact.state.cents, old + 21, "consistent is exact");
}

#[test]
fn b26_garbage_in_a_cache_costs_time_never_correctness() {
    let (_, log) = bank();
    let (reader, cache, faults) = (log.reader(), MemoryCache::new(1 << 20), Faults::default());
    let key = ProjectionKey::entity::<Balance>("account:1");
    let right = cached(&reader, &cache, &faults, "account:1").unwrap();
    let entry = cache.get(&key).unwrap().unwrap();
    for at in 0..entry.len() {
        let mut flipped = entry.clone();
        flipped[at] ^= 0x10;
        for garbage in [&entry[..at], &flipped, &[&entry[..], &[0]].concat()] {
            cache.put(&key, garbage).unwrap();
            assert_eq!(cached(&reader, &cache, &faults, "account:1").as_ref(), Some(&right));
            assert!(faults.take().contains("damaged"), "{at}");
            assert_eq!(cache.get(&key).unwrap().as_ref(), Some(&entry), "it is put right");
        }
    }
}

#[test]
fn b26_a_cache_of_another_store_is_not_used() {
    let (_, log) = bank();
    let mut other = open_small(&MemoryStorage::new(), 99);
    for cents in 0..500 {
        deposit(&mut other, "account:1", cents);
    }
    let (cache, faults) = (MemoryCache::new(1 << 20), Faults::default());
    cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    let found = cached(&other.reader(), &cache, &faults, "account:1").unwrap();
    assert_eq!(found.state, by_hand(&other.reader(), &Region::stream("account:1")));
    assert!(faults.take().contains("another store"));
}

#[test]
fn b26_an_older_reader_neither_uses_nor_takes_away_a_newer_entry() {
    let (_, mut log) = bank();
    let old = log.reader();
    deposit(&mut log, "account:1", 5);
    let (cache, faults) = (MemoryCache::new(1 << 20), Faults::default());
    cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    let entry = cache.get(&ProjectionKey::entity::<Balance>("account:1")).unwrap();
    let found = cached(&old, &cache, &faults, "account:1").unwrap();
    assert_eq!(found.state, by_hand(&old, &Region::stream("account:1")));
    assert!(faults.take().contains("ahead of the reader"));
    assert_eq!(cache.get(&ProjectionKey::entity::<Balance>("account:1")).unwrap(), entry);
}

#[test]
fn b26_a_cache_of_a_tail_that_was_lost_is_not_used() {
    let (storage, log) = bank();
    drop(log);
    let lost = storage.fork();
    let mut log = open_small(&lost, 2);
    deposit(&mut log, "account:1", 1_000_000);
    let (cache, faults) = (MemoryCache::new(1 << 20), Faults::default());
    cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    // The power is cut, that deposit never was, and others take its place.
    let mut log = open_small(&storage, 3);
    for cents in 0..10 {
        deposit(&mut log, "account:1", cents);
    }
    let found = cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    assert_eq!(found.state, by_hand(&log.reader(), &Region::stream("account:1")));
    assert!(faults.take().contains("no longer has"));
}

#[test]
fn b26_what_a_compaction_dropped_is_in_no_cached_state() {
    let (_, mut log) = bank();
    let (cache, faults) = (MemoryCache::new(1 << 20), Faults::default());
    let mut held = log.reader().project::<Balance>("account:1").unwrap().unwrap();
    let before = cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    compact(&mut log, CompactionStrategy::Merge);
    let merged = cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    assert_eq!(merged, before);
    deposit(&mut log, "account:1", 5);
    let keep = |event: &annals_core::EventRef<'_>| event.header().kind() == Withdrawn::KIND;
    compact(&mut log, CompactionStrategy::Retention(std::sync::Arc::new(keep)));
    let retained = cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    assert_eq!(Some(&retained), log.reader().project("account:1").unwrap().as_ref());
    assert!(retained.state.applied < before.state.applied);
    assert!(faults.take().contains("from before a compaction"));
    // A state that somebody holds goes on, at the version that the next append must name.
    assert!(!held.advance(&log.reader()).unwrap());
    assert_eq!(held.version, log.reader().head("account:1").unwrap().map(|head| head.version));
    assert_eq!(held.version, before.version.map(Version::next));
    // And again, until nothing is left of the events but the stream itself.
    compact(&mut log, CompactionStrategy::Retention(std::sync::Arc::new(|_| false)));
    let nothing = cached(&log.reader(), &cache, &faults, "account:1").unwrap();
    assert_eq!((nothing.state, nothing.version), (Balance::default(), held.version));
}

#[test]
fn b26_a_cached_state_of_other_code_is_dropped() {
    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Changed {
        name: String,
    }
    impl EventSourced for Changed {
        const NAME: &'static str = "balance";
        const KINDS: Option<&'static [EventKind]> = Some(&[]);

        fn apply(&mut self, _event: &SourceEvent<'_>) -> Result<(), CodecError> {
            Ok(())
        }
    }
    let (_, log) = bank();
    let (reader, cache, faults) = (log.reader(), MemoryCache::new(1 << 20), Faults::default());
    cached(&reader, &cache, &faults, "account:1").unwrap();
    let note = |_: &ProjectionKey, fault: &CacheFault| faults.note(fault);
    let projector = Projector::new(&reader).with_cache(&cache, 0).on_cache_fault(&note);
    let found = projector.project_cached::<Changed>("account:1").unwrap().unwrap();
    assert_eq!(found.state, Changed::default());
    assert!(faults.take().contains("not one of this projection"));
}

#[test]
fn b26_unknown_entities_fill_no_cache() {
    let (_, log) = bank();
    let (cache, faults) = (MemoryCache::new(1 << 20), Faults::default());
    for at in 100..200 {
        let entity = format!("account:{at}");
        assert_eq!(cached(&log.reader(), &cache, &faults, &entity), None);
    }
    assert!(cache.is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Deposit(u8, u32),
    Withdraw(u8, u32),
    Note(u8),
    Seal,
    Reopen,
    Merge,
    Retain(u64),
    Project(u8),
    ProjectOld(u8),
    ProjectRegion,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8, any::<u32>()).prop_map(|(account, cents)| Step::Deposit(account, cents)),
        3 => (0..4_u8, any::<u32>()).prop_map(|(account, cents)| Step::Withdraw(account, cents)),
        2 => (0..4_u8).prop_map(Step::Note),
        1 => Just(Step::Seal),
        1 => Just(Step::Reopen),
        1 => Just(Step::Merge),
        1 => (2..5_u64).prop_map(Step::Retain),
        6 => (0..5_u8).prop_map(Step::Project),
        2 => (0..5_u8).prop_map(Step::ProjectOld),
        2 => Just(Step::ProjectRegion),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// A cache of random size that fails and lies, and readers of any age: always the replay.
    #[test]
    fn b26_whatever_a_cache_does_the_state_is_the_replays(
        steps in steps(), seed: u64, faults_percent in 0..60_u64, budget in 0..4_000_usize,
    ) {
        let storage = MemoryStorage::new();
        let mut log = open_small(&storage, 0);
        let cache = FaultyCache::new(MemoryCache::new(budget), seed, faults_percent);
        let mut old = log.reader();
        for (at, step) in steps.into_iter().enumerate() {
            let check = |reader: &Reader<MemoryStorage>, account: u8| {
                let entity = format!("account:{account}");
                let found = cached(reader, &cache, &Faults::default(), &entity);
                assert_eq!(found, reader.project::<Balance>(&entity).unwrap());
            };
            match step {
                Step::Deposit(account, cents) => {
                    deposit(&mut log, &format!("account:{account}"), cents.into());
                }
                Step::Withdraw(account, cents) => {
                    withdraw(&mut log, &format!("account:{account}"), cents.into());
                }
                Step::Note(account) => {
                    append(&mut log, &format!("account:{account}"), "bank", NOTED);
                }
                Step::Seal => log.seal().unwrap(),
                Step::Reopen => {
                    drop(log);
                    log = open_small(&storage, at as u64 + 1);
                    old = log.reader();
                }
                Step::Merge => compact(&mut log, CompactionStrategy::Merge),
                Step::Retain(of) => {
                    let keep = move |event: &annals_core::EventRef<'_>| {
                        event.sequence().get() % of > 0
                    };
                    compact(&mut log, CompactionStrategy::Retention(std::sync::Arc::new(keep)));
                }
                Step::Project(account) => check(&log.reader(), account),
                Step::ProjectOld(account) => {
                    check(&old, account);
                    old.refresh();
                }
                Step::ProjectRegion => {
                    let (reader, region) = (log.reader(), Region::entity("account").scope("bank"));
                    let projector = Projector::new(&reader).with_cache(&cache, 0);
                    let found = projector.project_region_cached::<Balance>(&region).unwrap();
                    prop_assert_eq!(found, reader.project_region::<Balance>(&region).unwrap());
                }
            }
        }
    }
}
