//! The proof of Annals.

pub mod backup;
#[cfg(doctest)]
mod book;
pub mod conformance;
#[cfg(not(target_arch = "wasm32"))]
pub mod corruption;
#[cfg(not(target_arch = "wasm32"))]
pub mod crash;
pub mod fixture;
#[cfg(not(target_arch = "wasm32"))]
pub mod fuzz;
pub mod golden;
pub mod linear;
pub mod model;
pub mod policy_suite;
#[cfg(not(target_arch = "wasm32"))]
pub mod process;
pub mod projection_cache_contract;
pub mod sim_disk;
pub mod storage_contract;
