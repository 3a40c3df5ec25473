//! The proof of Annals.

pub mod conformance;
pub mod fixture;
pub mod model;
pub mod policy_suite;
pub mod sim_disk;
pub mod storage_contract;
