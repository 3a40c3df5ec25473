//! Random operations, the same answers as a naive model.
//!
//! `ANNALS_RUNS=N` runs N seeds a test, `ANNALS_SEED=N` only that one.

use annals::{FsOptions, FsStorage, MemoryStorage};
use annals_tests::conformance::Backend;
use annals_tests::model::run;
use annals_tests::sim_disk::for_each_seed;

fn runs(default: u64) -> u64 {
    std::env::var("ANNALS_RUNS").map_or(default, |runs| runs.parse().expect("a number of runs"))
}

#[test]
fn a_store_in_memory_answers_like_the_model() {
    for_each_seed("model in memory", runs(60), |seed| run(&MemoryStorage::new(), seed, 400));
}

#[test]
fn a_long_run_in_memory_answers_like_the_model() {
    for_each_seed("long model in memory", runs(2), |seed| {
        run(&MemoryStorage::new(), seed + 1_000_000, 6_000);
    });
}

#[test]
fn a_store_in_files_answers_like_the_model() {
    for_each_seed("model in files", runs(6), |seed| {
        run(&Directory(tempfile::tempdir().expect("a temporary directory")), seed, 300);
    });
}

struct Directory(tempfile::TempDir);

impl Backend for Directory {
    type Storage = FsStorage;

    fn storage(&self) -> FsStorage {
        let options = FsOptions::default().with_segment_preallocate_len(10_000);
        FsStorage::open(self.0.path(), options).expect("the directory is free")
    }
}
