//! Behaviour 36 on a store that has everything: outputs of compactions, erased and pruned records, a
//! meta log, an active segment. No flipped bit of it is ever returned.
//!
//! One bit in 53 is flipped; `ANNALS_RUNS=N` flips N times as many, from 53 on every one.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals::{
    FileId, FileKind, Log, LogConfig, MemoryStorage, ReadOnlyLog, Reader, Region, Storage,
    StorageFile, StoreError,
};
use annals_tests::conformance::TestHost;
use annals_tests::golden::{Entry, GOLDEN, Golden, Listing};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a damaged store answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Harmless,
    Prefix,
    Refused,
    Reported,
}

fn typed(error: &StoreError) {
    let is_damage = matches!(error, StoreError::Corruption(_) | StoreError::NewerFormat { .. });
    assert!(is_damage, "damage is answered with {error:?}");
}

fn judge_reader(reader: &Reader<MemoryStorage>, listing: &Listing) -> Verdict {
    let mut listed = listing.events.iter();
    for event in reader.query(&Region::all()) {
        match event {
            Ok(event) => assert_eq!(Some(&Entry::from(&event)), listed.next(), "as it was"),
            Err(error) => {
                typed(&error);
                return Verdict::Reported;
            }
        }
    }
    let mut verdict = Verdict::Harmless;
    if let Some(missing) = listed.next() {
        assert!(missing.sequence >= reader.end().get(), "event {} is denied", missing.sequence);
        verdict = Verdict::Prefix;
    }
    for entry in listing.events.iter().step_by(5) {
        let by_id = reader.get(entry.id.parse().unwrap());
        match by_id {
            Ok(event) => assert_eq!(Entry::from(&event), *entry),
            Err(StoreError::NotFound(_)) => assert!(entry.sequence >= reader.end().get()),
            Err(error) => {
                typed(&error);
                verdict = Verdict::Reported;
            }
        }
    }
    verdict
}

fn judge(golden: &Golden, listing: &Listing, storage: &MemoryStorage) -> Verdict {
    let read_only = ReadOnlyLog::open(storage.clone(), LogConfig::default());
    let beside = read_only.map(|log| judge_reader(&log.reader(), listing));
    let host = TestHost::new(1).with_step_us(1);
    let log = match Log::open(storage.clone(), host, LogConfig::default()) {
        Ok(log) => log,
        Err(error) => {
            typed(&error);
            assert!(beside.is_err(), "read-only it opens");
            return Verdict::Refused;
        }
    };
    let verdict = judge_reader(&log.reader(), listing);
    assert_eq!(beside.ok(), Some(verdict), "read-only and for writing");
    let names = log.reader().kind_names().into_iter();
    let names: BTreeMap<_, _> = names.map(|(k, name)| (k.to_string(), name.to_string())).collect();
    assert!(names.iter().all(|(kind, name)| listing.kind_names.get(kind) == Some(name)));
    let mut is_less = names.len() < listing.kind_names.len();
    for (name, place) in &listing.consumers {
        let found = log.consumer_checkpoint(name).unwrap();
        // Where the newest place is lost, an older one counts, and it is told.
        let after = found.and_then(|found| found.after).map(|after| after.get());
        assert!(after <= place.after, "{name} is at {after:?}, where it never was");
        is_less |= after != place.after;
    }
    let is_told = !log.recovery().meta_damage.is_empty();
    assert!(is_told || !is_less, "silent loss in the meta log of version {}", golden.version);
    if is_less { Verdict::Reported } else { verdict }
}

#[test]
fn b36_no_flipped_bit_of_a_golden_store_is_ever_returned() {
    let runs = std::env::var("ANNALS_RUNS").map_or(1, |runs| runs.parse().unwrap());
    let step = (53 / runs).max(1);
    for golden in GOLDEN {
        let listing = golden.listing();
        let mut verdicts: BTreeMap<(FileKind, Verdict), u64> = BTreeMap::new();
        for (name, bytes) in golden.files {
            let id = FileId::parse(name).unwrap();
            for bit in (0..bytes.len() * 8).step_by(step) {
                let storage = golden.storage();
                let byte = bytes[bit / 8] ^ 1 << (bit % 8);
                storage.open(id).unwrap().write_all_at(&[byte], (bit / 8) as u64).unwrap();
                let what = format!("bit {} of byte {} of {name}", bit % 8, bit / 8);
                let judged = catch_unwind(AssertUnwindSafe(|| judge(golden, &listing, &storage)));
                let verdict = judged.unwrap_or_else(|panic| {
                    println!("{what}:");
                    std::panic::resume_unwind(panic)
                });
                *verdicts.entry((id.kind, verdict)).or_default() += 1;
            }
        }
        println!("bits of the golden store: {}, {verdicts:?}", verdicts.values().sum::<u64>());
    }
}
