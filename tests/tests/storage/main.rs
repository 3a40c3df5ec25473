//! The storage contract on every backend, and what each backend promises besides.
#![cfg(not(target_arch = "wasm32"))]

#[cfg(test)]
mod contract;
#[cfg(test)]
mod fs;
#[cfg(test)]
mod kept_reads;
#[cfg(test)]
mod sim;
