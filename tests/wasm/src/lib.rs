//! Tests that need a browser. There is nothing here: see `tests/`.
//!
//! Natively every file under `tests/` is empty, so that `cargo test --workspace` builds the
//! crate and runs none of it. `cargo xtask test --only wasm` runs it in headless Chromium.
