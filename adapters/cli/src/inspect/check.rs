//! A verification beside the server: started, looked at, stopped.

use crate::inspect::locked;
use annals::{FsStorage, Reader, VerifyOptions, verify};
use serde::Serialize;
use serde_json::Value;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Check {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    is_stopped: AtomicBool,
}

/// How far it is, and what came of it.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct State {
    is_running: bool,
    bytes_done: u64,
    bytes: u64,
    segments_done: u64,
    segments: u64,
    /// Once it has ended: whether everything was looked at and is as it must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_whole: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Value>,
}

impl Check {
    /// Starts it, unless it runs.
    pub(super) fn start(&self, reader: Reader<FsStorage>, meta_damage: Vec<String>) {
        let mut state = locked(&self.shared.state);
        if state.is_running {
            return;
        }
        *state = State { is_running: true, ..State::default() };
        self.shared.is_stopped.store(false, Ordering::Relaxed);
        drop(state);
        let shared = Arc::clone(&self.shared);
        thread::spawn(move || shared.run(&reader, &meta_damage));
    }

    /// Asks it to stop.
    pub(super) fn stop(&self) {
        self.shared.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn state(&self) -> State {
        locked(&self.shared.state).clone()
    }
}

impl Shared {
    fn run(&self, reader: &Reader<FsStorage>, meta_damage: &[String]) {
        let report = verify(reader, &VerifyOptions::default(), |progress| {
            let mut state = locked(&self.state);
            (state.bytes_done, state.bytes) = (progress.bytes_done, progress.bytes);
            (state.segments_done, state.segments) = (progress.segments_done, progress.segments);
            match self.is_stopped.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        let mut state = locked(&self.state);
        state.is_running = false;
        state.is_whole = Some(report.is_whole() && meta_damage.is_empty());
        let mut told = serde_json::to_value(&report).unwrap_or_default();
        told["meta_damage"] = meta_damage.into();
        state.report = Some(told);
    }
}
