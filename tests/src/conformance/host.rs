//! A host whose clock the test sets and whose randomness comes from a seed.

use std::sync::{Arc, Mutex, PoisonError};

use annals_core::Host;

use crate::sim_disk::Random;

/// See the module; clones share the clock and the randomness.
///
/// ```
/// use annals_core::Host;
/// use annals_tests::conformance::TestHost;
///
/// let host = TestHost::new(1);
/// host.set_now_us(-5);
/// assert_eq!(host.now_us(), -5);
/// ```
#[derive(Clone, Debug)]
pub struct TestHost {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    now_us: i64,
    step_us: i64,
    random: Random,
}

impl TestHost {
    /// A clock that stands still in November 2023.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let state = State { now_us: 1_700_000_000_000_000, step_us: 0, random: Random::new(seed) };
        TestHost { state: Arc::new(Mutex::new(state)) }
    }

    /// Sets the clock, in microseconds since 1970.
    pub fn set_now_us(&self, now_us: i64) {
        self.with(|state| state.now_us = now_us);
    }

    /// How far every reading moves the clock on, in microseconds.
    #[must_use]
    pub fn with_step_us(self, step_us: i64) -> Self {
        self.with(|state| state.step_us = step_us);
        self
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Host for TestHost {
    fn now_us(&self) -> i64 {
        self.with(|state| {
            let now_us = state.now_us;
            state.now_us = now_us.wrapping_add(state.step_us);
            now_us
        })
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.with(|state| state.random.fill(buffer));
    }
}
