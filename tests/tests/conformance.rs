//! The conformance suite on every native backend.

use annals::{FsOptions, FsStorage, MemoryStorage};
use annals_tests::conformance::Backend;
use annals_tests::conformance_tests;
use annals_tests::sim_disk::SimDisk;

/// Makes a test of each function of the suite.
macro_rules! native_tests {
    ($backend:expr, $suite:path, [$($name:ident),* $(,)?]) => {
        $(
            #[test]
            fn $name() {
                use $suite as suite;
                suite::$name($backend);
            }
        )*
    };
}

/// A directory of its own; the lock is free once a storage is dropped.
struct Directory {
    dir: tempfile::TempDir,
    options: FsOptions,
}

impl Directory {
    fn new(options: FsOptions) -> Self {
        Directory { dir: tempfile::tempdir().expect("a temporary directory"), options }
    }
}

impl Backend for Directory {
    type Storage = FsStorage;

    fn storage(&self) -> FsStorage {
        FsStorage::open(self.dir.path(), self.options).expect("the directory is free")
    }

    fn storage_beside(&self) -> Option<FsStorage> {
        let beside = FsStorage::open_read_only(self.dir.path(), self.options);
        Some(beside.expect("the directory can be read"))
    }
}

/// Files as the process sees them; power cuts are the business of `crash`.
struct Simulated(SimDisk);

impl Backend for Simulated {
    type Storage = SimDisk;

    fn storage(&self) -> SimDisk {
        self.0.clone()
    }

    fn storage_beside(&self) -> Option<SimDisk> {
        Some(self.0.clone())
    }
}

mod memory {
    use super::*;
    conformance_tests!(native_tests, MemoryStorage::new());
}

mod files {
    use super::*;
    conformance_tests!(native_tests, Directory::new(FsOptions::default()));
}

mod files_with_two_descriptors_and_preallocation {
    use super::*;
    conformance_tests!(
        native_tests,
        Directory::new(FsOptions::default().with_fd_budget(2).with_segment_preallocate_len(20_000))
    );
}

mod simulated_disk {
    use super::*;
    conformance_tests!(native_tests, Simulated(SimDisk::new(1)));
}

/// A function that is not in the list would never run.
#[test]
fn the_list_names_every_function_of_the_suite() {
    macro_rules! names {
        ($backend:expr, $suite:path, [$($name:ident),* $(,)?]) => {
            [$(stringify!($name)),*]
        };
    }
    let listed: std::collections::BTreeSet<&str> =
        conformance_tests!(names, ()).into_iter().collect();
    let sources = [
        include_str!("../src/conformance/append.rs"),
        include_str!("../src/conformance/backup.rs"),
        include_str!("../src/conformance/batch.rs"),
        include_str!("../src/conformance/damage.rs"),
        include_str!("../src/conformance/faults.rs"),
        include_str!("../src/conformance/idempotency.rs"),
        include_str!("../src/conformance/query.rs"),
        include_str!("../src/conformance/read.rs"),
        include_str!("../src/conformance/reopen.rs"),
        include_str!("../src/conformance/toolkit.rs"),
    ];
    let written: std::collections::BTreeSet<&str> = sources
        .iter()
        .flat_map(|source| source.lines())
        .filter_map(|line| line.strip_prefix("pub fn b"))
        .filter_map(|rest| rest.split(['(', '<']).next())
        .collect();
    let listed: std::collections::BTreeSet<&str> =
        listed.iter().filter_map(|name| name.strip_prefix('b')).collect();
    assert_eq!(listed, written);
}
