//! One suite, three storages.

use annals::{FsOptions, FsStorage, MemoryStorage, SyncMode};
use annals_tests::{
    sim_disk::SimDisk,
    storage_contract::{contract_steps, storage_contract},
};

#[test]
fn memory_keeps_the_storage_contract() {
    storage_contract(&MemoryStorage::new());
}

#[test]
fn a_shared_pointer_keeps_the_storage_contract() {
    storage_contract(&std::sync::Arc::new(MemoryStorage::new()));
}

#[test]
fn the_simulated_disk_keeps_the_storage_contract() {
    storage_contract(&SimDisk::new(0));
}

#[test]
fn a_directory_keeps_the_storage_contract() {
    let default = FsOptions::default();
    for options in [
        default,
        default.with_fd_budget(1),
        default.with_sync_mode(SyncMode::All),
        default.with_segment_preallocate_len(10_000),
    ] {
        let dir = tempfile::tempdir().unwrap();
        storage_contract(&FsStorage::open(dir.path(), options).unwrap());
    }
}

#[test]
fn a_directory_that_preallocates_in_time_keeps_the_storage_contract() {
    let dir = tempfile::tempdir().unwrap();
    let options = FsOptions::default().with_segment_preallocate_len(100_000);
    let storage = FsStorage::open(dir.path(), options).unwrap();
    for step in contract_steps() {
        super::fs::wait_for_spare(&storage, step.upcoming);
        step.check(&storage);
    }
}
