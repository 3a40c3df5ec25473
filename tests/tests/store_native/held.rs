//! What somebody still holds must not hold the store.

use crate::{PLACED, all, at};
use annals::{
    CompactionConfig, CompactionStrategy, Durability, Payload, Region, Store, StoreConfig,
};
use std::ops::ControlFlow;
use std::path::Path;

fn config(dir: &Path) -> StoreConfig {
    StoreConfig::new(dir).with_segment_max_bytes(4096).with_durability(Durability::OnSync)
}

fn fill(store: &Store) {
    for _ in 0..100 {
        store.append(&at("order:1"), PLACED, Payload::raw("x".repeat(200))).unwrap();
    }
}

fn segment_files(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".seg")).count()
}

#[test]
fn b35_a_reader_that_is_still_held_locks_nobody_out() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(config(dir.path())).unwrap();
    fill(&store);
    let reader = store.reader();
    store.close().unwrap();
    let again = Store::open(config(dir.path())).unwrap();
    assert_eq!(reader.query(&Region::all()).count(), all(&again).len());
}

#[test]
fn b37_segments_that_were_there_at_opening_go_when_they_are_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(config(dir.path())).unwrap();
    fill(&store);
    store.close().unwrap();
    let store = Store::open(config(dir.path())).unwrap();
    let before = segment_files(dir.path());
    assert!(before > 4, "{before}");
    let merge = CompactionConfig::new(CompactionStrategy::Merge).with_seal_active(true);
    store.compact(&merge, |_| ControlFlow::Continue(())).unwrap();
    assert_eq!(segment_files(dir.path()), 1);
    assert_eq!(all(&store).len(), 100);
}
