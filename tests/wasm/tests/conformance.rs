//! The suites of `annals_tests`, on memory, in a browser's dedicated worker.
//!
//! A suite is a module of functions and a macro that lists their names, once. The list is
//! handed to a macro of the place where the tests run: natively one that writes `#[test]`,
//! here one that writes `#[wasm_bindgen_test]`. A further backend is one more line:
//! `conformance_tests!(worker_tests, AnotherStorage::new())` in a module of its own.
#![cfg(target_arch = "wasm32")]

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

/// Makes a test of each function of the policy suite, which needs no backend.
macro_rules! policy_worker_tests {
    ($($name:ident),* $(,)?) => {
        $(
            #[wasm_bindgen_test]
            fn $name() {
                annals_tests::policy_suite::$name();
            }
        )*
    };
}

/// What the suites take for granted.
mod platform {
    use annals_core::MemoryStorage;
    use wasm_bindgen::prelude::wasm_bindgen;

    use super::*;

    #[wasm_bindgen(inline_js = "export function scope() { return self.constructor.name; }")]
    extern "C" {
        fn scope() -> String;
    }

    #[wasm_bindgen_test]
    fn tests_run_in_a_dedicated_worker() {
        assert_eq!(scope(), "DedicatedWorkerGlobalScope");
    }

    #[wasm_bindgen_test]
    fn memory_keeps_the_contract_of_a_storage() {
        annals_tests::storage_contract::storage_contract(&MemoryStorage::new());
    }
}

mod memory {
    use annals_core::MemoryStorage;
    use annals_tests::conformance_tests;

    use super::*;

    conformance_tests!(worker_tests, MemoryStorage::new());
}

mod policy {
    use annals_tests::policy_suite;

    use super::*;

    policy_suite!(policy_worker_tests);
}

mod golden {
    use annals_tests::golden::{self, GOLDEN, GOLDEN_BACKUPS};

    use super::*;

    #[wasm_bindgen_test]
    fn b36_every_golden_store_is_read_whole() {
        GOLDEN.iter().for_each(golden::golden_store_is_read_whole);
    }

    #[wasm_bindgen_test]
    fn b36_every_golden_store_goes_on() {
        GOLDEN.iter().for_each(golden::golden_store_goes_on);
    }

    #[wasm_bindgen_test]
    fn b36_a_golden_torn_tail_is_cut() {
        GOLDEN.iter().for_each(golden::golden_torn_tail_is_cut);
    }

    #[wasm_bindgen_test]
    fn b38_every_golden_backup_is_whole() {
        GOLDEN_BACKUPS.iter().for_each(golden::golden_backups_are_whole);
    }

    #[wasm_bindgen_test]
    fn b38_every_golden_backup_is_taken_in() {
        GOLDEN_BACKUPS.iter().for_each(golden::golden_backups_are_taken_in);
    }

    #[wasm_bindgen_test]
    fn b38_a_golden_backup_continues_its_golden_store() {
        GOLDEN_BACKUPS.iter().for_each(golden::golden_backup_continues_the_golden_store);
    }

    #[wasm_bindgen_test]
    fn b38_a_damaged_golden_backup_is_refused() {
        GOLDEN_BACKUPS.iter().for_each(golden::golden_backups_that_are_damaged_are_refused);
    }
}
