//! The conformance suite, on memory, in a browser's dedicated worker.
//!
//! A suite is a module of functions that take a storage, and a macro that lists their names.
//! The list is handed to a macro of the place where the tests run: natively one that writes
//! `#[test]`, here `worker_tests!`. So `annals_tests` says which tests there are, once:
//!
//! ```ignore
//! #[macro_export]
//! macro_rules! conformance_tests {
//!     ($instantiate:ident, $backend:expr) => {
//!         $instantiate!($backend, $crate::conformance, [b01_.., b02_..]);
//!     };
//! }
//! ```
//!
//! and this file runs them all with `conformance_tests!(worker_tests, MemoryStorage::new())`.
#![cfg(target_arch = "wasm32")]

use annals_core::MemoryStorage;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Makes a test of each function of a suite. The backend is an expression, so that every
/// test gets a fresh one.
macro_rules! worker_tests {
    ($backend:expr, $suite:path, [$($name:ident),* $(,)?]) => {
        $(
            #[wasm_bindgen_test]
            fn $name() {
                use $suite as suite;
                suite::$name($backend);
            }
        )*
    };
}

/// What every other suite takes for granted, in the shape of a suite.
mod platform {
    use annals_core::Storage;
    use wasm_bindgen::prelude::wasm_bindgen;

    #[wasm_bindgen(inline_js = "export function scope() { return self.constructor.name; }")]
    extern "C" {
        fn scope() -> String;
    }

    pub(crate) fn tests_run_in_a_dedicated_worker(_storage: impl Storage) {
        assert_eq!(scope(), "DedicatedWorkerGlobalScope");
    }

    pub(crate) fn the_storage_keeps_its_contract(storage: impl Storage) {
        annals_tests::storage_contract::storage_contract(&storage);
    }
}

worker_tests!(
    MemoryStorage::new(),
    self::platform,
    [tests_run_in_a_dedicated_worker, the_storage_keeps_its_contract]
);
