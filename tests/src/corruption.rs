//! Damage of every kind to a small store: each is reported or harmless, none is wrong data.
//!
//! The store under test has sealed segments and an active one. A damage changes its files; the
//! store is then opened and asked everything. It must answer with a typed error, or with what was
//! appended. Where the newest segment lost its end, what is left may be a prefix of the log: an
//! append that was under way looks the same.

mod store;

pub use store::{Specimen, Verdict};
