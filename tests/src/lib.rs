//! The proof of Annals.

pub mod sim_disk;
pub mod storage_contract;
