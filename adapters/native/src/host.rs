//! Time and randomness of the system that the program runs on.

use crate::config::Clock;
use annals_core::Host;
use std::time::{SystemTime, UNIX_EPOCH};

/// The host of a native store.
#[derive(Clone, Default)]
pub struct SystemHost {
    clock: Option<Clock>,
}

impl std::fmt::Debug for SystemHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemHost").finish_non_exhaustive()
    }
}

impl SystemHost {
    /// A host with this clock, or the system's.
    pub(crate) fn new(clock: Option<Clock>) -> Self {
        SystemHost { clock }
    }
}

impl Host for SystemHost {
    fn now_us(&self) -> i64 {
        match &self.clock {
            Some(clock) => clock(),
            None => system_now_us(),
        }
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        getrandom::fill(buffer).expect("the system gives random bytes");
    }
}

fn system_now_us() -> i64 {
    let micros = |span: std::time::Duration| i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => micros(since),
        Err(before) => -micros(before.duration()),
    }
}
