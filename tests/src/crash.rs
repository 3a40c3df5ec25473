//! Crash exploration: a workload on a simulated disk, cut off at every operation.
//!
//! The workload appends, merges, drops, erases, and writes to the meta log, and keeps a journal of
//! what was attempted and what was answered. At each point the disk is copied, its power cut, and
//! the store opened: what was acknowledged as durable must be there, every batch whole or absent,
//! the log a prefix of what was attempted, nothing that was erased or dropped back again, every
//! consumer where it was, with the events behind it. Then a second crash during that recovery,
//! appends behind it, and a third opening must do no harm.

mod explore;
mod found;
mod journal;
mod notes;
mod recover;
mod workload;

pub use explore::{explore_crashes, explore_faults};
pub use found::Found;
pub use journal::{Journal, Outcome};
pub use notes::{Notes, Said};
pub use recover::{Mercy, check_recovery, crash_while_opening};
pub use workload::{End, Plan, Workload};

use std::sync::Once;

/// Keeps simulated panics from filling the output; every other panic is shown as ever.
pub fn silence_simulated_panics() {
    static SILENCED: Once = Once::new();
    SILENCED.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
            if !text.is_some_and(|text| text.starts_with("simulated")) {
                shown(info);
            }
        }));
    });
}
