//! The smoke test of the fuzz targets: every fixture, every seed, and a fixed number of mutations.
//!
//! `ANNALS_RUNS=N` multiplies the executions, `ANNALS_SEED=N` begins another row of them. A failure
//! writes its input to the folder of temporary files and says where.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use annals_tests::fuzz::{Mutator, TARGETS, Target, repair_meta, repair_segment};
use annals_tests::golden::GOLDEN;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn execute(target: &Target, input: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (target.run)(input))) {
        let path = std::env::temp_dir().join(format!("annals-fuzz-{}.bin", target.name));
        fs::write(&path, input).unwrap();
        println!("{what} of {} fails: {}", target.name, path.display());
        std::panic::resume_unwind(panic);
    }
}

fn smoke(name: &str, executions: u64) {
    let target = Target::named(name).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fixtures").join(name);
    let mut fixtures = 0;
    for file in fs::read_dir(&folder).into_iter().flatten() {
        let path = file.unwrap().path();
        execute(target, &fs::read(&path).unwrap(), &path.display().to_string());
        fixtures += 1;
    }
    let seeds = (target.seeds)();
    seeds.iter().for_each(|seed| execute(target, seed, "a seed"));
    let mut mutator = Mutator::new(seeds, from_environment("ANNALS_SEED", 1));
    let executions = executions * from_environment("ANNALS_RUNS", 1);
    for number in 0..executions {
        execute(target, &mutator.input(), &format!("mutation {number}"));
    }
    println!("{name}: {fixtures} fixtures, {executions} executions");
}

#[test]
fn b36_any_frames_are_read_or_refused() {
    smoke("frames", 2_000);
}

#[test]
fn b36_any_headers_and_footers_are_read_or_refused() {
    smoke("headers", 20_000);
}

#[test]
fn b36_any_segment_is_read_or_refused() {
    smoke("segment", 3_000);
}

#[test]
fn b36_any_record_is_read_or_refused() {
    smoke("record", 6_000);
}

#[test]
fn b36_any_index_gives_what_was_appended_or_is_found_out() {
    smoke("index_block", 1_500);
}

#[test]
fn b38_any_backup_is_taken_in_whole_or_not_at_all() {
    smoke("backup", 1_000);
}

#[test]
fn b36_any_meta_log_leaves_every_event() {
    smoke("meta", 1_500);
}

#[test]
fn b18_any_region_is_answered_as_the_model_does() {
    smoke("region", 1_000);
}

#[test]
fn every_target_has_its_file_for_libfuzzer() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let file = format!("fuzz_targets/{}.rs", target.name);
        assert!(manifest.contains(&file), "{file} is in the manifest");
        let source = fs::read_to_string(folder.join(&file)).unwrap();
        assert!(source.contains(&format!("\"{}\"", target.name)), "{file} runs its target");
    }
}

/// Else nothing behind a checksum would be reached.
#[test]
fn checksums_are_made_right_as_the_format_has_them() {
    for (name, bytes) in GOLDEN.iter().flat_map(|golden| golden.files) {
        let mut repaired = bytes.to_vec();
        match name.ends_with(".seg") {
            true => repair_segment(&mut repaired),
            false => repair_meta(&mut repaired),
        }
        assert_eq!(&repaired, bytes, "{name} was right before");
        let mut damaged = bytes.to_vec();
        // In a header that is covered, and in a frame.
        damaged[if name.ends_with(".seg") { 64 } else { 100 }] ^= 1;
        let changed = damaged.clone();
        match name.ends_with(".seg") {
            true => repair_segment(&mut damaged),
            false => repair_meta(&mut damaged),
        }
        assert!(damaged.iter().zip(&changed).any(|(one, other)| one != other), "{name}");
    }
}
