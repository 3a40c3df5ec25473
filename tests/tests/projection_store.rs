//! Projections of a `Store`: every kind of cache, upcasts, watching.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals::{
    CacheError, CheckpointCache, CodecError, CompactionConfig, CompactionStrategy, Coordinate,
    Durability, EventKind, EventPayload, EventSourced, Freshness, HeedCache, MemoryCache, NoCache,
    ProjectionCache, ProjectionKey, RedbCache, Region, SourceEvent, Store, StoreConfig, StoreError,
    Upcasts,
};
use annals_tests::projection_cache_contract::{FaultyCache, Memory, projection_cache_contract};
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
struct Deposited {
    cents: u64,
}

impl EventPayload for Deposited {
    const KIND: EventKind = EventKind::new(1, 1);
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Balance {
    cents: u64,
    events: u64,
}

impl EventSourced for Balance {
    const NAME: &'static str = "balance";
    const KINDS: Option<&'static [EventKind]> = Some(&[Deposited::KIND]);

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        self.cents += event.decode::<Deposited>()?.cents;
        self.events += 1;
        Ok(())
    }
}

fn deposit<S>(store: &Store<S>, account: &str, cents: u64)
where
    S: annals::Storage + Send + Sync + 'static,
    S::File: Send + Sync,
{
    store.append_typed(&Coordinate::new(account, "bank").unwrap(), &Deposited { cents }).unwrap();
}

fn config(dir: &Path) -> StoreConfig {
    StoreConfig::new(dir).with_durability(Durability::OnSync).with_segment_max_bytes(4 * 1024)
}

#[test]
fn b26_a_cache_in_redb_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache.redb");
    projection_cache_contract(Memory::Durable, 300_000, || RedbCache::open(&path).unwrap());
}

#[test]
fn b26_a_cache_in_heed_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a/cache");
    projection_cache_contract(Memory::Durable, 300_000, || {
        HeedCache::open(&path, 16 << 20).unwrap()
    });
}

#[test]
fn a_cache_in_heed_that_is_full_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let cache = HeedCache::open(dir.path(), 4 << 20).unwrap();
    let key = |at: usize| ProjectionKey::entity::<Balance>(&format!("account:{at}"));
    for at in 0..1_000 {
        cache.put(&key(at), &vec![7; 20_000]).unwrap();
        assert!(cache.get(&key(at)).unwrap().is_some(), "{at}: what was put last is there");
    }
    cache.flush().unwrap();
    assert!(cache.get(&key(0)).unwrap().is_none(), "what was put first is not");
}

#[test]
fn a_file_that_is_no_cache_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("letter.txt");
    let letter = b"Dear Ada, ".repeat(2_000);
    std::fs::write(&path, &letter).unwrap();
    let error = RedbCache::open(&path).unwrap_err();
    assert!(error.to_string().contains("can be removed"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), letter);
    std::fs::create_dir(dir.path().join("heed")).unwrap();
    std::fs::write(dir.path().join("heed/data.mdb"), &letter).unwrap();
    let error = HeedCache::open(dir.path().join("heed"), 1 << 20).unwrap_err();
    assert!(error.to_string().contains("can be removed"), "{error}");
}

/// Deposits, projects, restarts and compacts with a cache that is opened anew each time.
fn is_right_after_each_restart<C>(open_cache: impl Fn(u64) -> C)
where
    C: ProjectionCache + Send + Sync + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Balance::default();
    let mut seed = 7_u64;
    for restart in 0..25 {
        let store = Store::open_with_cache(config(dir.path()), open_cache(restart)).unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        for step in 0..(seed >> 58) {
            deposit(&store, "account:1", step);
            deposit(&store, "account:2", 1);
            expected.cents += step;
            expected.events += 1;
            if step % 5 == restart % 5 {
                let found = store.project::<Balance>("account:1", Freshness::Consistent).unwrap();
                assert_eq!(found.unwrap().state, expected);
            }
        }
        if restart % 6 == 5 {
            let merge = CompactionConfig::new(CompactionStrategy::Merge);
            store.compact(&merge, |_| ControlFlow::Continue(())).unwrap();
        }
        let all = store.project_region::<Balance>(&Region::all(), Freshness::Consistent).unwrap();
        assert_eq!(all.state.events, 2 * expected.events);
        if restart % 3 == 0 {
            store.close().unwrap();
        }
    }
}

#[test]
fn b26_every_cache_is_right_after_each_restart() {
    let dir = tempfile::tempdir().unwrap();
    let (redb, heed) = (dir.path().join("redb"), dir.path().join("heed"));
    is_right_after_each_restart(|_| NoCache);
    let shared = Arc::new(MemoryCache::new(1 << 20));
    is_right_after_each_restart(|_| Arc::clone(&shared));
    is_right_after_each_restart(|_| CheckpointCache::new(1 << 20));
    is_right_after_each_restart(|_| RedbCache::open(&redb).unwrap());
    is_right_after_each_restart(|_| HeedCache::open(&heed, 16 << 20).unwrap());
}

/// A cache of this test's own: one that fails and lies, behind a lock.
struct Locked<C>(Mutex<FaultyCache<C>>);

impl<C: ProjectionCache> ProjectionCache for Locked<C> {
    fn get(&self, key: &ProjectionKey) -> Result<Option<Vec<u8>>, CacheError> {
        self.0.lock().unwrap().get(key)
    }

    fn put(&self, key: &ProjectionKey, entry: &[u8]) -> Result<(), CacheError> {
        self.0.lock().unwrap().put(key, entry)
    }

    fn remove(&self, key: &ProjectionKey) -> Result<(), CacheError> {
        self.0.lock().unwrap().remove(key)
    }
}

#[test]
fn b26_a_store_is_right_whatever_its_cache_does() {
    let shared = Arc::new(MemoryCache::new(1 << 20));
    is_right_after_each_restart(|seed| {
        Locked(Mutex::new(FaultyCache::new(Arc::clone(&shared), seed, 50)))
    });
}

#[test]
fn b26_what_a_store_keeps_itself_spares_the_replay_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let open =
        || Store::open_with_cache(config(dir.path()), Arc::new(CheckpointCache::new(1 << 20)));
    let store = open().unwrap();
    for cents in 0..200 {
        deposit(&store, "account:1", cents);
    }
    store.project::<Balance>("account:1", Freshness::Consistent).unwrap();
    store.close().unwrap();
    // Damage the first segment's frames: a replay fails, and what the cache has needs none.
    let first = dir.path().join("0000000001.seg");
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[200..1_000].fill(0xFF);
    std::fs::write(&first, bytes).unwrap();
    let store = open().unwrap();
    deposit(&store, "account:1", 1_000);
    let found = store.project::<Balance>("account:1", Freshness::Consistent).unwrap().unwrap();
    assert_eq!(found.state, Balance { cents: 199 * 100 + 1_000, events: 201 });
    assert!(store.reader().project::<Balance>("account:1").is_err(), "a replay fails");
}

#[test]
fn what_a_store_keeps_itself_is_saved_while_it_runs() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Arc::new(CheckpointCache::new(8 << 20));
    let store = Store::open_with_cache(config(dir.path()), Arc::clone(&cache)).unwrap();
    let meta_files = || {
        let files = std::fs::read_dir(dir.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.ends_with(".meta")).count()
    };
    assert_eq!(meta_files(), 0);
    for account in 0.. {
        let account = format!("account:{account}");
        deposit(&store, &account, 1);
        store.project::<Balance>(&account, Freshness::Consistent).unwrap();
        // The thread that saves is rung from 256 KiB on.
        if cache.bytes() > (300 << 10) && cache.unsaved_bytes() < cache.bytes() {
            break;
        }
        std::thread::yield_now();
    }
    assert_eq!(meta_files(), 1);
}

/// Keeps what the events hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Texts(Vec<String>);

impl EventSourced for Texts {
    const NAME: &'static str = "texts";

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        let event: &annals::EventRef<'_> = event;
        if event.payload().is_some() {
            self.0.push(event.decode()?);
        }
        Ok(())
    }
}

#[test]
fn b37_no_state_of_an_erased_payload_is_left_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Arc::new(CheckpointCache::new(1 << 20));
    let open = || Store::open_with_cache(config(dir.path()), Arc::clone(&cache)).unwrap();
    let holds_secret = || {
        std::fs::read_dir(dir.path()).unwrap().any(|file| {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            bytes.windows(9).any(|window| window == b"my-secret")
        })
    };
    let texts = |store: &Store, entity: &str| {
        store.project::<Texts>(entity, Freshness::Consistent).unwrap().unwrap().state.0
    };
    let store = open();
    for entity in ["person:1", "person:2"] {
        let at = Coordinate::new(entity, "crm").unwrap();
        store.append(&at, EventKind::new(1, 1), "my-secret").unwrap();
    }
    assert_eq!(texts(&store, "person:1"), ["my-secret"]);
    store.close().unwrap();
    assert!(cache.unsaved_bytes() == 0 && holds_secret());
    let store = open();
    assert_eq!(texts(&store, "person:2"), ["my-secret"], "this one is not saved yet");
    // Somebody reads what there is, and has the state of it kept when all of it is gone.
    let reader = store.reader();
    store.erase(Region::all()).unwrap();
    let late = annals::Projector::new(&reader).with_cache(&cache, 0);
    late.project_cached::<Texts>("person:1").unwrap().unwrap();
    drop(reader);
    assert!(cache.unsaved_bytes() > 0);
    store.close().unwrap();
    let store = open();
    assert!(!holds_secret(), "neither in segments nor in checkpoints");
    assert!(texts(&store, "person:1").is_empty() && texts(&store, "person:2").is_empty());
}

#[test]
fn b26_the_stores_clock_says_how_old_a_state_is() {
    let now_us = Arc::new(AtomicI64::new(1_000_000));
    let clock = Arc::clone(&now_us);
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path()).with_clock(move || clock.load(Ordering::Relaxed));
    let store = Store::open_with_cache(config, MemoryCache::new(1 << 20)).unwrap();
    let project =
        |freshness| store.project::<Balance>("account:1", freshness).unwrap().unwrap().state.events;
    let stale = Freshness::BestEffort { max_stale_ms: 100 };
    deposit(&store, "account:1", 1);
    assert_eq!(project(stale), 1);
    deposit(&store, "account:1", 1);
    now_us.fetch_add(100_000, Ordering::Relaxed);
    assert_eq!(project(stale), 1);
    now_us.fetch_add(1, Ordering::Relaxed);
    assert_eq!(project(stale), 2);
    deposit(&store, "account:1", 1);
    assert_eq!((project(stale), project(Freshness::Consistent)), (2, 3));
}

#[test]
fn b27_a_store_lifts_older_payloads() {
    #[derive(Serialize, Deserialize)]
    struct DepositedV2 {
        euros: u64,
    }
    impl EventPayload for DepositedV2 {
        const KIND: EventKind = Deposited::KIND;
        const VERSION: u16 = 2;
    }
    #[derive(Default, Serialize, Deserialize)]
    struct Euros(u64);
    impl EventSourced for Euros {
        const NAME: &'static str = "euros";

        fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
            self.0 += event.decode::<DepositedV2>()?.euros;
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let upcasts = Upcasts::new()
        .with(Deposited::KIND, 1, |old: Deposited| DepositedV2 { euros: old.cents / 100 });
    let store = Store::open(config(dir.path()).with_upcasts(upcasts)).unwrap();
    deposit(&store, "account:1", 300);
    let mut watch = store.watch::<Euros>("account:1").unwrap();
    let at = Coordinate::new("account:1", "bank").unwrap();
    store.append_typed(&at, &DepositedV2 { euros: 4 }).unwrap();
    deposit(&store, "account:1", 500);
    let found = store.project::<Euros>("account:1", Freshness::Consistent).unwrap().unwrap();
    assert_eq!((found.state.0, watch.changed().unwrap().state.0), (12, 12));
    drop(store);
    let store = Store::open(config(dir.path())).unwrap();
    let error = store.project::<Euros>("account:1", Freshness::Consistent).map(drop).unwrap_err();
    let StoreError::Projection { cause: CodecError::NoUpcast { from: 1, to: 2, .. }, .. } = error
    else {
        panic!("{error}");
    };
}

#[test]
fn b26_a_store_projects_only_what_has_changed() {
    let store = Store::in_memory().unwrap();
    assert!(store.project_if_changed::<Balance>("account:1", None).unwrap().is_none());
    deposit(&store, "account:1", 5);
    let first = store.project_if_changed::<Balance>("account:1", None).unwrap().unwrap();
    assert!(store.project_if_changed::<Balance>("account:1", first.version).unwrap().is_none());
    let region = Region::entity("account");
    let all = store.project_region_if_changed::<Balance>(&region, None).unwrap().unwrap();
    let again = store.project_region_if_changed::<Balance>(&region, all.position());
    assert!(again.unwrap().is_none());
    deposit(&store, "account:2", 5);
    assert!(store.project_if_changed::<Balance>("account:1", first.version).unwrap().is_none());
    let more = store.project_region_if_changed::<Balance>(&region, all.position()).unwrap();
    assert_eq!(more.unwrap().state.events, 2);
}

#[test]
fn a_watch_begins_with_the_state_there_is_and_tells_its_lag() {
    let store = Store::in_memory().unwrap();
    let mut unknown = store.watch::<Balance>("account:1").unwrap();
    assert_eq!((unknown.current().state.events, unknown.current().version), (0, None));
    for cents in 0..10 {
        deposit(&store, "account:1", cents);
    }
    let mut known = store.watch::<Balance>("account:1").unwrap();
    assert_eq!((known.current().state.events, known.lag(), unknown.lag()), (10, 0, 10));
    assert!(known.changed_timeout(Duration::ZERO).unwrap().is_none(), "nothing since");
    assert_eq!(unknown.changed().unwrap().state, known.current().state);
    store.append(&Coordinate::new("x", "y").unwrap(), EventKind::new(2, 2), "other").unwrap();
    assert_eq!(unknown.lag(), 1);
    assert!(unknown.changed_timeout(Duration::from_millis(1)).unwrap().is_none(), "irrelevant");
    assert_eq!(unknown.lag(), 0, "and looked at");
}

#[test]
fn a_watch_gives_the_newest_state_while_others_append() {
    let store = Arc::new(Store::in_memory().unwrap());
    let mut watch = store.watch_region::<Balance>(&Region::all()).unwrap();
    std::thread::scope(|scope| {
        for account in 0..4 {
            let store = Arc::clone(&store);
            scope.spawn(move || {
                for _ in 0..250 {
                    deposit(&store, &format!("account:{account}"), 1);
                }
            });
        }
        let mut before = 0;
        while before < 1_000 {
            let events = watch.changed().unwrap().state.events;
            assert!(events > before, "each answer is newer");
            before = events;
        }
        assert_eq!(before, 1_000);
    });
}

#[test]
fn a_watch_keeps_no_store_open_and_ends_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(config(dir.path())).unwrap();
    let mut watch = store.watch::<Balance>("account:1").unwrap();
    let mut waiting = store.watch::<Balance>("account:2").unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(move || waiting.changed().map(drop).unwrap_err());
        deposit(&store, "account:1", 5);
        store.close().unwrap();
        assert!(matches!(waits.join().unwrap(), StoreError::Closed));
    });
    let again = Store::open(config(dir.path())).expect("nobody holds the directory");
    assert_eq!(watch.changed().unwrap().state.cents, 5, "what was appended before");
    assert!(matches!(watch.changed(), Err(StoreError::Closed)));
    assert!(matches!(watch.changed_timeout(Duration::ZERO), Err(StoreError::Closed)));
    drop(again);
}

#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_watch_can_be_awaited() {
    let store = Store::in_memory().unwrap();
    let mut watch = store.watch::<Balance>("account:1").unwrap();
    let woken = Arc::new(Woken::default());
    let waker = Arc::clone(&woken).into();
    let mut context = Context::from_waker(&waker);
    {
        let mut changed = pin!(watch.changed_async());
        assert!(changed.as_mut().poll(&mut context).is_pending());
        assert_eq!(woken.0.load(Ordering::SeqCst), 0);
        deposit(&store, "account:1", 5);
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        let Poll::Ready(Ok(projected)) = changed.poll(&mut context) else { panic!("it changed") };
        assert_eq!(projected.state.cents, 5);
    }
    // One that is dropped in the middle loses nothing.
    assert!(pin!(watch.changed_async()).poll(&mut context).is_pending());
    deposit(&store, "account:1", 5);
    store.close().unwrap();
    let Poll::Ready(Ok(projected)) = pin!(watch.changed_async()).poll(&mut context) else {
        panic!("what was appended before the end is there");
    };
    assert_eq!(projected.state.cents, 10);
    let end = pin!(watch.changed_async()).poll(&mut context).map(|end| end.map(drop));
    assert!(matches!(end, Poll::Ready(Err(StoreError::Closed))));
}
