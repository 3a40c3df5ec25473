//! A person asks to be forgotten: their payloads leave every file, and the history still proves
//! itself.
//!
//! ```text
//! cargo run --release --example erase_personal_data
//! ```
//!
//! It prints:
//!
//! ```text
//! 1. Two people, five events. "ada@example.com" is found in 1 file.
//! 2. To be erased: 3 events of person:1, in 1 segment.
//! 3. Erased 3 events; 0 files wait for a reader.
//! 4. "ada@example.com" is found in 0 files.
//! 5. What is left of person:1:
//!    version 0, kind 0x1001: erased
//!    version 1, kind 0x1002: erased
//!    within it, person:1:address version 0, kind 0x1003: erased
//!    and of person:2:
//!    version 0, kind 0x1001: bob@example.com
//!    version 1, kind 0x1002: three apples
//! 6. The record of it: 3 events erased, and not which words.
//! 7. Verified: 6 events, 3 of them erased, 0 faults.
//! ```

use annals::{Coordinate, ErasureRecord, EventKind, Region, Store, StoreConfig, VerifyOptions};
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

const JOINED: EventKind = EventKind::new(1, 1);
const ORDERED: EventKind = EventKind::new(1, 2);
const MOVED: EventKind = EventKind::new(1, 3);

/// How many files of the store hold a text.
fn files_with(dir: &Path, text: &str) -> std::io::Result<usize> {
    let mut found = 0;
    for entry in std::fs::read_dir(dir)? {
        let bytes = std::fs::read(entry?.path())?;
        found += usize::from(bytes.windows(text.len()).any(|window| window == text.as_bytes()));
    }
    Ok(found)
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let store = Store::open(StoreConfig::new(dir.path()))?;

    // Ids stay for ever, so they must say nothing of the person: "person:1", not a name or a mail
    // address.
    let append = |entity: &str, kind, text: &str| -> Result<(), Box<dyn Error>> {
        store.append(&Coordinate::new(entity, "crm")?, kind, text)?;
        Ok(())
    };
    append("person:1", JOINED, "ada@example.com")?;
    append("person:2", JOINED, "bob@example.com")?;
    append("person:1", ORDERED, "two pears")?;
    append("person:1:address", MOVED, "Ada Street 7")?;
    append("person:2", ORDERED, "three apples")?;
    let files = files_with(dir.path(), "ada@example.com")?;
    println!("1. Two people, five events. \"ada@example.com\" is found in {files} file.");

    // The region at the namespace border: person:1 and what lies within it, not person:10.
    let ada = Region::entity("person:1");
    let plan = store.plan_erasure(&ada)?;
    println!("2. To be erased: {} events of person:1, in {} segment.", plan.events, plan.segments);

    let report = store.erase(&ada)?;
    let waiting = report.waiting_files.len();
    println!("3. Erased {} events; {waiting} files wait for a reader.", report.erased);
    let files = files_with(dir.path(), "ada@example.com")?;
    println!("4. \"ada@example.com\" is found in {files} files.");

    println!("5. What is left of person:1:");
    for event in store.query(&ada) {
        let event = event?;
        let entity = event.coordinate.entity();
        let place =
            if entity == "person:1" { String::new() } else { format!("within it, {entity} ") };
        let left = if event.payload.is_erased() { "erased" } else { "still there" };
        println!("   {place}version {}, kind {}: {left}", event.version(), event.kind());
    }
    println!("   and of person:2:");
    for event in store.query(&Region::entity("person:2")) {
        let event = event?;
        let text: String = event.decode()?;
        println!("   version {}, kind {}: {text}", event.version(), event.kind());
    }

    for record in store.by_fact(EventKind::ERASURE) {
        let record: ErasureRecord = record?.decode()?;
        println!("6. The record of it: {} events erased, and not which words.", record.erased);
    }
    let report = store.verify(&VerifyOptions::default(), |_| ControlFlow::Continue(()));
    let (events, erased) = (report.events, report.erased_events);
    println!(
        "7. Verified: {events} events, {erased} of them erased, {} faults.",
        report.faults.len()
    );
    Ok(())
}
