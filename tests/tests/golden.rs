//! Golden files: every format version there was is read, and goes on, in memory and as files. See
//! `annals_tests::golden`; `tests/wasm` does the same in a browser.
#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use annals::{
    Coordinate, EventKind, ImportOptions, Payload, Region, Store, StoreConfig, VerifyOptions,
    check_backup, import,
};
use annals_tests::golden::{self, Entry, GOLDEN, GOLDEN_BACKUPS, Golden, make, make_backups};
use std::collections::BTreeSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

#[test]
fn b36_every_golden_store_is_read_whole() {
    GOLDEN.iter().for_each(golden::golden_store_is_read_whole);
}

#[test]
fn b36_every_golden_store_goes_on() {
    GOLDEN.iter().for_each(golden::golden_store_goes_on);
}

#[test]
fn b36_a_golden_torn_tail_is_cut() {
    GOLDEN.iter().for_each(golden::golden_torn_tail_is_cut);
}

fn write_to(dir: &Path, golden: &Golden) {
    for (name, bytes) in golden.files {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

fn all(store: &Store) -> Vec<Entry> {
    store.query(&Region::all()).map(|event| Entry::from(&event.unwrap())).collect()
}

#[test]
fn b36_every_golden_store_opens_as_files() {
    for golden in GOLDEN {
        let listing = golden.listing();
        let dir = tempfile::tempdir().unwrap();
        write_to(dir.path(), golden);
        let store = Store::open(StoreConfig::new(dir.path())).unwrap();
        assert_eq!(all(&store), listing.events);
        let report = store.verify(&VerifyOptions::default(), |_| ControlFlow::Continue(()));
        assert!(report.is_whole(), "{report:?}");
        let at = Coordinate::new("order:5", "shop").unwrap();
        store.append(&at, EventKind::new(1, 1), Payload::raw("more")).unwrap();
        store.close().unwrap();
        let store = Store::open(StoreConfig::new(dir.path())).unwrap();
        assert_eq!(all(&store)[..listing.events.len()], listing.events);
        assert_eq!(all(&store).len(), listing.events.len() + 1);
    }
}

#[test]
fn b38_every_golden_backup_is_whole() {
    GOLDEN_BACKUPS.iter().for_each(golden::golden_backups_are_whole);
}

#[test]
fn b38_every_golden_backup_is_taken_in() {
    GOLDEN_BACKUPS.iter().for_each(golden::golden_backups_are_taken_in);
}

#[test]
fn b38_a_golden_backup_continues_its_golden_store() {
    GOLDEN_BACKUPS.iter().for_each(golden::golden_backup_continues_the_golden_store);
}

#[test]
fn b38_a_damaged_golden_backup_is_refused() {
    GOLDEN_BACKUPS.iter().for_each(golden::golden_backups_that_are_damaged_are_refused);
}

#[test]
fn b38_every_golden_backup_is_taken_in_as_files() {
    for backup in GOLDEN_BACKUPS {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig::new(dir.path().join("copy"));
        for bytes in [backup.whole, backup.more] {
            check_backup(&mut &*bytes, |_| ControlFlow::Continue(())).unwrap();
            let go_on = |_| ControlFlow::Continue(());
            import(&mut &*bytes, &config, &ImportOptions::default(), go_on).unwrap();
        }
        let store = Store::open(config).unwrap();
        assert_eq!(all(&store), backup.listing().events);
        let report = store.verify(&VerifyOptions::default(), |_| ControlFlow::Continue(()));
        assert!(report.is_whole(), "{report:?}");
    }
}

#[test]
fn every_golden_store_has_its_backups_and_they_show_what_travels() {
    let versions = |version: u16| GOLDEN_BACKUPS.iter().any(|backup| backup.version == version);
    assert!(GOLDEN.iter().all(|golden| versions(golden.version)));
    let newest = GOLDEN_BACKUPS.last().unwrap();
    let (before, after) = (newest.store().listing(), newest.listing());
    assert!(after.events.len() > before.events.len() + 3);
    assert!(after.kind_names.len() > before.kind_names.len());
    assert!(after.consumers.len() > before.consumers.len() && after.projections.is_empty());
}

/// What the golden store of this format version must show at least.
#[test]
fn the_newest_golden_store_is_of_this_format_version_and_has_every_feature() {
    let newest = GOLDEN.last().unwrap();
    assert_eq!(newest.version, annals::format::FORMAT_VERSION);
    let listing = newest.listing();
    let has = |what: &str, feature: &dyn Fn(&Entry) -> bool| {
        assert!(listing.events.iter().any(feature), "no event has {what}");
    };
    has("gates", &|event| event.gates.is_some());
    has("a bypass", &|event| event.bypass.is_some());
    has("no payload any more", &|event| event.payload.is_none());
    has("metadata", &|event| event.metadata.is_some());
    has("flags", &|event| event.flags != 0);
    has("a cause", &|event| event.causation.is_some());
    has("a lane", &|event| event.lane != 0);
    has("a record of an erasure", &|event| event.kind == "0xD001");
    let formats: BTreeSet<_> = listing.events.iter().map(|event| &*event.format).collect();
    assert_eq!(formats, BTreeSet::from(["json", "postcard", "raw"]));
    assert!(listing.pruned_runs > 0 && (listing.events.len() as u64) < listing.end);
    assert!(!listing.consumers.is_empty() && !listing.projections.is_empty());
    assert!(!listing.kind_names.is_empty());
}

#[test]
fn no_golden_file_is_left_out() {
    for golden in GOLDEN {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
        let folder = folder.join(format!("v{}", golden.version));
        let names = |part: &str| -> BTreeSet<String> {
            let files = fs::read_dir(folder.join(part)).unwrap();
            files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
        };
        let listed = golden.files.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names("store"), listed);
        assert_eq!(names("torn"), BTreeSet::from([golden.torn.0.to_owned()]));
        let backups = ["listing.json", "more.annals", "whole.annals"].map(str::to_owned);
        assert_eq!(names("backup"), BTreeSet::from(backups));
    }
}

/// `ANNALS_GOLDEN_OUT=DIR` says where. A version's files are made once: this is how they were, and
/// how those of the next version will be.
#[test]
#[ignore = "golden files are never made anew"]
fn golden_files_are_made_once() {
    let out = std::env::var("ANNALS_GOLDEN_OUT").expect("the folder to be made");
    let out = Path::new(&out);
    let made = make();
    fs::create_dir(out).expect("the folder is not there yet");
    fs::create_dir(out.join("store")).unwrap();
    for (id, bytes) in &made.files {
        fs::write(out.join("store").join(id.name()), bytes).unwrap();
    }
    fs::create_dir(out.join("torn")).unwrap();
    fs::write(out.join("torn").join(made.torn.0.name()), &made.torn.1).unwrap();
    let listing = serde_json::to_string_pretty(&made.listing).unwrap();
    fs::write(out.join("listing.json"), listing + "\n").unwrap();
}

/// As [`golden_files_are_made_once`], of the backups of the newest store.
#[test]
#[ignore = "golden files are never made anew"]
fn golden_backups_are_made_once() {
    let out = std::env::var("ANNALS_GOLDEN_OUT").expect("the folder to be made");
    let out = Path::new(&out);
    fs::create_dir(out).expect("the folder is not there yet");
    let made = make_backups();
    fs::write(out.join("whole.annals"), &made.whole).unwrap();
    fs::write(out.join("more.annals"), &made.more).unwrap();
    let listing = serde_json::to_string_pretty(&made.listing).unwrap();
    fs::write(out.join("listing.json"), listing + "\n").unwrap();
}
