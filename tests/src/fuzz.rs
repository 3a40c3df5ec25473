//! Fuzz targets: functions of any bytes that must not panic, and must not answer wrongly.
//!
//! `tests/fuzz` hands them to libFuzzer. `tests/tests/fuzz.rs` is the smoke test: the fixtures of
//! `tests/fuzz/fixtures`, then mutations of the seeds by a small generator of our own, on any
//! compiler. The seeds are made of the golden store.

mod backup;
mod mutate;
mod record;
mod region;
mod repair;
mod target;

pub use mutate::Mutator;
pub use repair::{repair_backup, repair_meta, repair_segment};

use crate::golden::GOLDEN;

/// A function of any bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, which is that of the file in `tests/fuzz/fuzz_targets` too.
    pub name: &'static str,
    /// Panics where something is wrong.
    pub run: fn(&[u8]),
    /// What to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "frames", run: target::frames, seeds: segments },
    Target { name: "headers", run: target::headers, seeds: headers },
    Target { name: "record", run: record::record, seeds: record::records },
    Target { name: "segment", run: target::segment, seeds: segments_to_repair },
    Target { name: "index_block", run: target::index_block, seeds: index_blocks },
    Target { name: "meta", run: target::meta, seeds: metas_to_repair },
    Target { name: "backup", run: backup::backup, seeds: backup::backups },
    Target { name: "region", run: region::region, seeds: programs },
];

impl Target {
    /// The target of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}

/// The golden files whose names end so.
fn files(ending: &str) -> Vec<Vec<u8>> {
    let files = GOLDEN.iter().flat_map(|golden| golden.files.iter().chain([&golden.torn]));
    files.filter(|(name, _)| name.ends_with(ending)).map(|(_, bytes)| bytes.to_vec()).collect()
}

fn segments() -> Vec<Vec<u8>> {
    files(".seg")
}

fn headers() -> Vec<Vec<u8>> {
    let heads = files("").into_iter().map(|bytes| bytes[..bytes.len().min(160)].to_vec());
    let feet = segments().into_iter().map(|bytes| bytes[bytes.len() - 256..].to_vec());
    heads.chain(feet).collect()
}

/// Each as it is, and each with its checksums made right again.
fn twice(files: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let both = files.into_iter().flat_map(|bytes| {
        [0, 1].map(|repair| std::iter::once(repair).chain(bytes.iter().copied()).collect())
    });
    both.collect()
}

fn segments_to_repair() -> Vec<Vec<u8>> {
    twice(segments())
}

fn metas_to_repair() -> Vec<Vec<u8>> {
    twice(files(".meta"))
}

fn index_blocks() -> Vec<Vec<u8>> {
    target::index_blocks()
}

fn programs() -> Vec<Vec<u8>> {
    (0..8_u64).map(region::program).collect()
}
