//! The primitives on which the threads of a store meet, in one place.
//!
//! `tests/shuttle` compiles the commit queue, the signal and the workers over those of shuttle,
//! which tries orders of steps that a real machine rarely takes. What they use must come from here.

pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::thread::{Builder, JoinHandle, Thread, current, park, park_timeout};
pub(crate) use std::time::Instant;
