//! The meta log: names of kinds and checkpoints, on disks that fail in every way.
#![cfg(not(target_arch = "wasm32"))]

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod files;
#[cfg(test)]
mod names;
#[cfg(test)]
mod store;
