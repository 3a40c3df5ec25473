//! The cache that a store keeps itself, what a compaction leaves of caches, and asking only for
//! what has changed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_core::{
    CacheError, CheckpointCache, CheckpointName, CodecError, CompactionStrategy, EventKind,
    EventRef, EventSourced, Freshness, MemoryCache, MemoryStorage, MetaSync, Payload,
    ProjectionCache, ProjectionKey, Projector, Region, Sequence, SourceEvent, Storage, StorageFile,
    Version,
};
use annals_tests::fixture::{MemoryLog, append_payload, compact, open_small};
use annals_tests::projection_cache_contract::{Memory, projection_cache_contract};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

const NOTED: EventKind = EventKind::new(1, 1);
const OTHER: EventKind = EventKind::new(1, 2);

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Notes {
    bytes: u64,
    events: u64,
}

impl EventSourced for Notes {
    const NAME: &'static str = "notes";
    const KINDS: Option<&'static [EventKind]> = Some(&[NOTED]);

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        self.events += 1;
        self.bytes += event.payload().map_or(0, <[u8]>::len) as u64;
        Ok(())
    }
}

fn note(log: &mut MemoryLog, entity: &str) {
    append_payload(log, entity, "s", NOTED, Payload::raw("a note of some length"));
}

fn notes() -> (MemoryStorage, MemoryLog) {
    let storage = MemoryStorage::new();
    let mut log = open_small(&storage, 1);
    for at in 0..200 {
        note(&mut log, &format!("n:{}", at % 5));
    }
    (storage, log)
}

fn key(entity: &str) -> ProjectionKey {
    ProjectionKey::entity::<Notes>(entity)
}

/// Projects through a cache, and says whether the cache was of use.
fn served(log: &MemoryLog, cache: &dyn ProjectionCache, entity: &str) -> bool {
    let faults = RefCell::new(0);
    let note = |_: &ProjectionKey, _: &_| *faults.borrow_mut() += 1;
    let reader = log.reader();
    let had = cache.get(&key(entity)).unwrap().is_some();
    let projector = Projector::new(&reader).with_cache(cache, 0).on_cache_fault(&note);
    let found = projector.project_cached::<Notes>(entity).unwrap();
    assert_eq!(found, reader.project::<Notes>(entity).unwrap(), "{entity}");
    had && *faults.borrow() == 0
}

/// A cache that is loaded from a log and saved there when it is dropped.
struct InLog {
    log: Rc<RefCell<MemoryLog>>,
    cache: CheckpointCache,
}

impl Drop for InLog {
    fn drop(&mut self) {
        self.cache.save(&mut self.log.borrow_mut()).unwrap();
    }
}

impl ProjectionCache for InLog {
    fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
        self.cache.get(key)
    }

    fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError> {
        self.cache.put(key, entry)
    }

    fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError> {
        self.cache.remove(key)
    }
}

#[test]
fn b26_checkpoints_in_the_store_keep_the_contract() {
    let log = Rc::new(RefCell::new(open_small(&MemoryStorage::new(), 1)));
    projection_cache_contract(Memory::Durable, CheckpointCache::ENTRY_BYTES_MAX, || {
        let cache = CheckpointCache::new(1 << 20);
        cache.load(&log.borrow());
        InLog { log: Rc::clone(&log), cache }
    });
}

#[test]
fn b26_a_checkpoint_in_the_store_spares_the_replay_after_opening_again() {
    let (storage, mut log) = notes();
    let cache = CheckpointCache::new(1 << 20);
    assert!(!served(&log, &cache, "n:1"));
    cache.save(&mut log).unwrap();
    log.seal().unwrap();
    log.close().unwrap();
    let mut log = open_small(&storage, 2);
    note(&mut log, "n:1");
    // Damage all that was there before but the last event, which says that history is the same.
    let segments: Vec<_> = storage
        .list()
        .unwrap()
        .into_iter()
        .filter(|id| *id != log.meta_stats().file.unwrap())
        .collect();
    for id in &segments[..segments.len() - 2] {
        let file = storage.open(*id).unwrap();
        file.write_all_at(&vec![0xFF; usize::try_from(file.len().unwrap()).unwrap()], 0).unwrap();
    }
    let cache = CheckpointCache::new(1 << 20);
    cache.load(&log);
    let reader = log.reader();
    let projector = Projector::new(&reader).with_cache(&cache, 0);
    let found = projector.project_cached::<Notes>("n:1").unwrap().unwrap();
    assert_eq!((found.state.events, found.version), (41, Some(Version::new(40))));
    assert!(reader.project::<Notes>("n:1").is_err(), "a replay would have failed");
}

#[test]
fn checkpoints_are_written_when_they_are_saved_and_only_what_has_changed() {
    let (_, mut log) = notes();
    let cache = CheckpointCache::new(1 << 20);
    for _ in 0..50 {
        note(&mut log, "n:1");
        served(&log, &cache, "n:1");
    }
    served(&log, &cache, "n:2");
    assert_eq!(log.meta_stats().file, None, "nothing is written while states are made");
    cache.save(&mut log).unwrap();
    assert_eq!((log.meta_stats().values, cache.unsaved_bytes()), (2, 0));
    let before = log.meta_stats().file_bytes;
    cache.save(&mut log).unwrap();
    assert_eq!(log.meta_stats().file_bytes, before, "nothing has changed");
    note(&mut log, "n:1");
    served(&log, &cache, "n:1");
    cache.save(&mut log).unwrap();
    let one = log.meta_stats().file_bytes - before;
    assert!((1..400).contains(&one), "one entry of {one} bytes");
}

#[test]
fn checkpoints_keep_within_their_budget_in_the_log_too() {
    let (storage, mut log) = notes();
    let foreign = CheckpointName::projection(b"somebody else's");
    log.set_checkpoint(foreign, b"stays", MetaSync::Now).unwrap();
    let cache = CheckpointCache::new(10_000);
    for at in 0..200 {
        cache.put(&key(&format!("k:{at}")), &[7; 900]).unwrap();
        assert!(cache.get(&key("k:0")).unwrap().is_some(), "{at}: it is used all the time");
        assert!(cache.bytes() <= 10_000);
        if at % 10 == 9 {
            cache.save(&mut log).unwrap();
            assert!(log.meta_stats().live_bytes <= 12_000, "{at}: {:?}", log.meta_stats());
        }
    }
    let stats = log.meta_stats();
    assert!(stats.file_bytes < 200_000, "{stats:?}");
    log.close().unwrap();
    let mut log = open_small(&storage, 2);
    let again = CheckpointCache::new(10_000);
    again.load(&log);
    assert_eq!(again.len(), cache.len());
    assert!(again.get(&key("k:199")).unwrap().is_some(), "the newest");
    assert!(again.get(&key("k:50")).unwrap().is_none(), "the oldest went first");
    // A smaller budget takes from the log what no longer fits.
    let smaller = CheckpointCache::new(3_000);
    smaller.load(&log);
    smaller.save(&mut log).unwrap();
    // Beside them the foreign one, and where the store ended.
    assert_eq!((smaller.len(), log.meta_stats().values), (3, 3 + 2));
    assert_eq!(log.checkpoint(foreign).as_deref(), Some(&b"stays"[..]));
}

#[test]
fn b26_a_merge_leaves_caches_good_and_a_loss_does_not() {
    let (_, mut log) = notes();
    let cache = MemoryCache::new(1 << 20);
    served(&log, &cache, "n:1");
    let merge = |log: &mut MemoryLog| compact(log, CompactionStrategy::Merge);
    let every_third = |event: &EventRef<'_>| event.sequence().get().is_multiple_of(3);
    merge(&mut log);
    merge(&mut log);
    assert!(served(&log, &cache, "n:1"), "a merge changes no event");
    compact(&mut log, CompactionStrategy::Erase(Arc::new(every_third)));
    assert!(!served(&log, &cache, "n:1"), "payloads are gone");
    assert!(served(&log, &cache, "n:1"));
    compact(&mut log, CompactionStrategy::Erase(Arc::new(every_third)));
    merge(&mut log);
    assert!(served(&log, &cache, "n:1"), "those were erased before, and a merge changes nothing");
    compact(&mut log, CompactionStrategy::Retention(Arc::new(move |event| !every_third(event))));
    assert!(!served(&log, &cache, "n:1"), "events are gone");
    note(&mut log, "n:1");
    merge(&mut log);
    assert!(served(&log, &cache, "n:1"));
}

#[test]
fn b26_a_loss_behind_a_cached_state_leaves_it_good() {
    let (_, mut log) = notes();
    log.seal().unwrap();
    let cache = MemoryCache::new(1 << 20);
    served(&log, &cache, "n:1");
    let end = log.reader().end();
    for _ in 0..20 {
        note(&mut log, "n:1");
    }
    let config =
        annals_core::CompactionConfig::new(CompactionStrategy::Retention(Arc::new(move |event| {
            event.sequence() < end
        })))
        .with_seal_active(true);
    let next = log.begin_compaction(&config, end).unwrap().unwrap();
    let done = next.run(|_| std::ops::ControlFlow::Continue(())).unwrap().unwrap();
    log.finish_compaction(&done).unwrap();
    assert!(served(&log, &cache, "n:1"));
}

#[test]
fn b26_a_state_is_made_only_if_something_has_changed() {
    let (_, mut log) = notes();
    let cache = MemoryCache::new(1 << 20);
    let ask = |log: &MemoryLog, since| {
        let reader = log.reader();
        let projector = Projector::new(&reader).with_cache(&cache, 0);
        projector.project_if_changed::<Notes>("n:1", since).unwrap()
    };
    let first = ask(&log, None).unwrap();
    assert_eq!(ask(&log, first.version), None);
    note(&mut log, "n:2");
    assert_eq!(ask(&log, first.version), None, "another entity's event is no change");
    note(&mut log, "n:1");
    let second = ask(&log, first.version).unwrap();
    assert_eq!(second.state.events, first.state.events + 1);
    assert_eq!(ask(&log, second.version), None);
    assert_eq!(ask(&log, Some(Version::MAX)), None);
    let reader = log.reader();
    let projector = Projector::new(&reader);
    assert_eq!(projector.project_if_changed::<Notes>("n:99", None).unwrap(), None);
}

#[test]
fn b26_a_stale_state_is_no_change() {
    let (_, mut log) = notes();
    let cache = MemoryCache::new(1 << 20);
    let ask = |log: &MemoryLog, now_us, since| {
        let reader = log.reader();
        let projector = Projector::new(&reader)
            .with_cache(&cache, now_us)
            .with_freshness(Freshness::BestEffort { max_stale_ms: 100 });
        projector.project_if_changed::<Notes>("n:1", since).unwrap()
    };
    let first = ask(&log, 0, None).unwrap();
    note(&mut log, "n:1");
    assert_eq!(ask(&log, 99_000, first.version), None, "what is cached is young enough");
    assert!(ask(&log, 200_000, first.version).is_some());
}

#[test]
fn b26_the_state_of_a_region_is_made_only_if_an_event_for_it_was_appended() {
    let (_, mut log) = notes();
    let region = Region::entity("n");
    let ask = |log: &MemoryLog, since| {
        let reader = log.reader();
        Projector::new(&reader).project_region_if_changed::<Notes>(&region, since).unwrap()
    };
    let first = ask(&log, None).unwrap();
    assert_eq!(first.position(), Some(Sequence::new(199)));
    append_payload(&mut log, "n:1", "s", OTHER, Payload::raw("no matter to notes"));
    note(&mut log, "m:1");
    assert_eq!(ask(&log, first.position()), None);
    note(&mut log, "n:1");
    let second = ask(&log, first.position()).unwrap();
    assert_eq!(second.state.events, 201);
    assert_eq!(ask(&log, second.position()), None);
    assert_eq!(ask(&log, Some(Sequence::MAX)), None);
}
