//! The shared files, and the primitives that they get here.

#[path = "../../../adapters/native/src/store/commit.rs"]
pub(crate) mod commit;
#[path = "../../../adapters/native/src/store/led.rs"]
pub(crate) mod led;
#[path = "../../../adapters/native/src/store/request.rs"]
pub(crate) mod request;
#[path = "../../../adapters/native/src/store/signal.rs"]
pub(crate) mod signal;
pub(crate) mod sync;
#[path = "../../../adapters/native/src/store/worker.rs"]
pub(crate) mod worker;
