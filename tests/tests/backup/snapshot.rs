//! Snapshots of a running store into directories.

use crate::native::{append_some, config, go_on};
use annals::{
    CompactionConfig, CompactionStrategy, EventKind, Region, Store, StoreConfig, TransferError,
    snapshot,
};
use annals_tests::backup::assert_same;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), entry.path()));
    let ours = named.filter(|(name, _)| name != "LOCK");
    ours.map(|(name, path)| (name, fs::read(path).unwrap())).collect()
}

#[test]
fn b38_a_snapshot_is_a_store_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let (path, dest) = (dir.path().join("store"), dir.path().join("snap"));
    let store = Store::open(config(&path)).unwrap();
    append_some(&store, 100);
    let done = store.snapshot(&dest, go_on).unwrap();
    assert!(done.shared_bytes > 0 && done.shared_bytes < done.bytes, "{done:?}");
    assert_eq!(done.end, store.reader().end());
    let taken = files(&dest);
    let snap = Store::open(config(&dest)).unwrap();
    assert_same(&store.reader(), &snap.reader());
    // Neither sees what the other does from now on.
    append_some(&snap, 7);
    append_some(&store, 50);
    let forget = CompactionStrategy::Erase(Arc::new(|_| true));
    let erase = CompactionConfig::new(forget).with_seal_active(true);
    store.compact(&erase, |_| ControlFlow::Continue(())).unwrap();
    assert!(store.query(&Region::all()).all(|event| event.unwrap().payload.is_erased()));
    assert_eq!(snap.query(&Region::all()).count() as u64, done.end.get() + 7);
    assert!(snap.query(&Region::all()).all(|event| !event.unwrap().payload.is_erased()));
    drop(snap);
    let now = files(&dest);
    for (name, bytes) in &taken {
        assert!(now.get(name).is_some_and(|now| now.starts_with(bytes)), "{name}");
    }
}

#[test]
fn b38_a_snapshot_does_not_change_with_its_store() {
    let dir = tempfile::tempdir().unwrap();
    let (path, dest) = (dir.path().join("store"), dir.path().join("snap"));
    // All is sealed, so the newest segment might be taken for an active one some day.
    let store = Store::open(config(&path)).unwrap();
    append_some(&store, 100);
    let merge = CompactionConfig::new(CompactionStrategy::Merge).with_seal_active(true);
    store.compact(&merge.with_output_max_bytes(8_000), |_| ControlFlow::Continue(())).unwrap();
    let names: Vec<String> =
        files(&path).into_keys().filter(|name| name.ends_with("seg")).collect();
    store.snapshot(&dest, go_on).unwrap();
    let taken = files(&dest);
    store.close().unwrap();
    // The newest segment's footer is damaged: it is cut and written to again.
    let newest = names
        .iter()
        .max_by_key(|name| {
            let bytes = fs::read(path.join(name)).unwrap();
            u64::from_le_bytes(bytes[40..48].try_into().unwrap())
        })
        .unwrap();
    let mut bytes = fs::read(path.join(newest)).unwrap();
    let at = bytes.len() - 10;
    bytes[at] ^= 1;
    fs::write(path.join(newest), bytes).unwrap();
    if let Ok(store) = Store::open(config(&path)) {
        append_some(&store, 10);
        drop(store);
    }
    assert!(files(&dest) == taken);
}

#[test]
fn b38_a_snapshot_goes_into_an_empty_directory_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::open(config(&path)).unwrap();
    append_some(&store, 3);
    let before = files(&path);
    for own in [path.clone(), path.join("within"), path.join("../store"), path.join("a/b")] {
        let refused = store.snapshot(&own, go_on);
        assert!(matches!(refused, Err(TransferError::OwnDirectory { .. })), "{own:?} {refused:?}");
    }
    #[cfg(unix)]
    {
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for own in [link.clone(), link.join("within")] {
            let refused = store.snapshot(&own, go_on);
            assert!(matches!(refused, Err(TransferError::OwnDirectory { .. })), "{refused:?}");
        }
    }
    assert!(files(&path) == before && !path.join("within").exists());
    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter"), "dear").unwrap();
    let refused = store.snapshot(&other, go_on);
    assert!(matches!(refused, Err(TransferError::Occupied { .. })), "{refused:?}");
    let dest = dir.path().join("snap");
    store.snapshot(&dest, go_on).unwrap();
    let taken = files(&dest);
    let refused = store.snapshot(&dest, go_on);
    assert!(matches!(refused, Err(TransferError::Occupied { .. })), "{refused:?}");
    assert!(files(&dest) == taken);
    let empty = Store::open(StoreConfig::new(dir.path().join("empty"))).unwrap();
    empty.snapshot(dir.path().join("nothing"), go_on).unwrap();
}

#[test]
fn b38_a_snapshot_that_is_stopped_leaves_nothing_and_may_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("snap");
    let store = Store::open(config(&dir.path().join("store"))).unwrap();
    append_some(&store, 40);
    let mut left = 3;
    let stopped = store.snapshot(&dest, |_| {
        left -= 1;
        if left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    assert!(matches!(stopped, Err(TransferError::Stopped)), "{stopped:?}");
    assert!(files(&dest).is_empty());
    store.snapshot(&dest, go_on).unwrap();
    assert_same(&store.reader(), &Store::open(config(&dest)).unwrap().reader());
}

/// Every state that a killed process can leave: the files up to some point, with the mark.
#[test]
fn b38_a_snapshot_that_was_killed_is_absent() {
    let dir = tempfile::tempdir().unwrap();
    let dest = dir.path().join("snap");
    let store = Store::open(config(&dir.path().join("store"))).unwrap();
    store.append_typed(&annals::Coordinate::new("a", "b").unwrap(), &Named).unwrap();
    append_some(&store, 40);
    let mut states = Vec::new();
    store
        .snapshot(&dest, |_| {
            states.push(files(&dest));
            ControlFlow::Continue(())
        })
        .unwrap();
    let complete = files(&dest);
    assert!(states.len() > 3 && complete.keys().any(|name| name.ends_with(".meta")));
    let mark = states[0].iter().find(|(name, _)| name.ends_with(".import")).unwrap();
    let with_mark =
        complete.iter().chain([mark]).map(|(name, bytes)| (name.clone(), bytes.clone()));
    states.push(with_mark.collect());
    for (at, state) in states.iter().enumerate() {
        let killed = dir.path().join(format!("killed-{at}"));
        fs::create_dir(&killed).unwrap();
        for (name, bytes) in state {
            fs::write(killed.join(name), bytes).unwrap();
        }
        let beside = Store::open_read_only(config(&killed)).unwrap();
        assert_eq!(beside.reader().end().get(), 0, "state {at}");
        drop(beside);
        match at % 2 {
            0 => drop(Store::open(config(&killed)).unwrap()),
            _ => {
                store.snapshot(&killed, go_on).unwrap();
                assert_same(&store.reader(), &Store::open(config(&killed)).unwrap().reader());
                continue;
            }
        }
        assert!(files(&killed).is_empty(), "state {at}");
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Named;

impl annals::EventPayload for Named {
    const KIND: EventKind = EventKind::new(1, 9);
    const NAME: Option<&'static str> = Some("snap.named");
}

#[test]
fn b38_snapshots_beside_appending_threads_are_prefixes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store");
    let store = Store::open(config(&path).with_durability(annals::Durability::OnSync)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    append_some(&store, 10);
                }
            });
        }
        for number in 0..6 {
            let dest = dir.path().join(format!("snap-{number}"));
            let end = match number % 2 {
                0 => store.snapshot(&dest, go_on).unwrap().end,
                _ => {
                    let beside = Store::open_read_only(config(&path)).unwrap();
                    snapshot(&beside, &dest, go_on).unwrap().end
                }
            };
            let snap = Store::open(config(&dest)).unwrap();
            assert_eq!(snap.reader().end(), end);
            for event in snap.query(&Region::all()) {
                let event = event.unwrap();
                assert!(store.get_at(event.sequence()).unwrap() == event);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}
