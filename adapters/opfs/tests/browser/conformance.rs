//! The conformance suite on OPFS. It never awaits, so every file that a test may create is
//! opened before the test begins.

use std::sync::atomic::{AtomicU32, Ordering};

use annals_core::FileId;
use annals_opfs::{OpfsOptions, OpfsStorage, OpfsUpkeep};
use annals_tests::conformance::Backend;
use annals_tests::conformance_tests;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::place::Place;

const SEGMENTS: u64 = 100;
const METAS: u64 = 8;
const IMPORTS: u64 = 16;

struct Opened {
    storage: OpfsStorage,
    _upkeep: OpfsUpkeep,
}

impl Opened {
    /// A directory that no other test has.
    async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let place = Place::new(&format!("conformance-{number}")).await;
        let options = OpfsOptions::default().with_handles_max(144);
        let (storage, mut upkeep) = OpfsStorage::open(place.dir(), options).await.unwrap();
        let segments = (1..=SEGMENTS).map(FileId::segment);
        let others = (1..=METAS).map(FileId::meta).chain((1..=IMPORTS).map(FileId::import));
        let all: Vec<FileId> = segments.chain(others).collect();
        annals_core::Storage::prepare(&storage, &all);
        upkeep.top_up().await.unwrap();
        Self { storage, _upkeep: upkeep }
    }
}

impl Backend for Opened {
    type Storage = OpfsStorage;

    fn storage(&self) -> OpfsStorage {
        self.storage.clone()
    }

    fn storage_beside(&self) -> Option<OpfsStorage> {
        Some(self.storage.clone())
    }
}

/// Two cases import more than once into one place. Here, the name of a file that was removed can be
/// made again only behind the next top-up, which the suite has no place for; the tests of the npm
/// package import into OPFS again and again.
macro_rules! opfs_test {
    ($backend:expr, $suite:path, b38_a_backup_continues_an_earlier_one) => {};
    ($backend:expr, $suite:path, b38_a_whole_backup_goes_into_an_empty_place_only) => {};
    ($backend:expr, $suite:path, $name:ident) => {
        #[wasm_bindgen_test]
        async fn $name() {
            use $suite as suite;
            suite::$name($backend);
        }
    };
}

macro_rules! opfs_tests {
    ($backend:expr, $suite:path, [$($name:ident),* $(,)?]) => {
        $(opfs_test!($backend, $suite, $name);)*
    };
}

conformance_tests!(opfs_tests, Opened::new().await);
