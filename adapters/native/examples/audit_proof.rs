//! A receipt's hash, kept where nobody who can write the store can reach it, proves later that the
//! history up to there is what it was.
//!
//! ```text
//! cargo run --release --example audit_proof
//! ```
//!
//! It prints:
//!
//! ```text
//! 1. The minutes of board:2026 have 3 entries. The notary notes the hash of the last.
//! 2. A fourth entry comes later. From it back, each event names the hash of the one before:
//!    version 3 "adjourned": behind what the notary noted
//!    version 2 "sold for 900 thousand": the hash that the notary noted
//!    version 1 "an offer of 900 thousand": before that, and vouched for by it
//!    version 0 "opened": before that, and vouched for by it
//! 3. The history that the notary vouches for is what it was.
//! 4. Somebody writes a whole new store, in which it was sold for 500 thousand.
//! 5. Verified by itself, it is whole: 4 events, 0 faults.
//! 6. But version 2 has another hash than the notary noted: this is not the history.
//! ```

use annals::{Coordinate, Event, EventKind, Hash, Store, StoreConfig, StoreError, VerifyOptions};
use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

const MINUTED: EventKind = EventKind::new(1, 1);

/// What the notary keeps, on paper if need be: a stream, a version and 32 bytes.
struct Note {
    entity: &'static str,
    version: u64,
    hash: Hash,
}

/// The events of a stream, newest first, each proven to be the one that the event behind it names.
fn proven(store: &Store, entity: &str) -> Result<Vec<(Event, Hash)>, Box<dyn Error>> {
    let mut found = Vec::new();
    let mut named = None;
    for event in store.query(&annals::Region::stream(entity)).backward() {
        let event = event?;
        // Computed from the bytes that were read, not taken from anywhere.
        let hash = event.event_hash();
        if named.is_some_and(|named| named != hash) {
            return Err(
                format!("version {} is not what its successor names", event.version()).into()
            );
        }
        named = Some(event.header.prev_hash);
        found.push((event, hash));
    }
    Ok(found)
}

/// Whether the stream is, up to the noted version, the one that was noted.
fn is_as_noted(store: &Store, note: &Note) -> Result<bool, Box<dyn Error>> {
    let events = proven(store, note.entity)?;
    let noted = events.iter().find(|(event, _)| event.version().get() == note.version);
    Ok(noted.is_some_and(|(_, hash)| *hash == note.hash))
}

fn minutes(dir: &Path, entries: &[&str]) -> Result<(Store, Hash), Box<dyn Error>> {
    let store = Store::open(StoreConfig::new(dir))?;
    let board = Coordinate::new("board:2026", "minutes")?;
    let mut last = Hash::ZERO;
    for entry in entries {
        last = store.append(&board, MINUTED, entry)?.event_hash;
    }
    Ok((store, last))
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let entries = ["opened", "an offer of 900 thousand", "sold for 900 thousand"];
    let (store, hash) = minutes(&dir.path().join("true"), &entries)?;
    let note = Note { entity: "board:2026", version: 2, hash };
    println!("1. The minutes of board:2026 have 3 entries. The notary notes the hash of the last.");

    let board = Coordinate::new("board:2026", "minutes")?;
    store.append(&board, MINUTED, "adjourned")?;
    println!(
        "2. A fourth entry comes later. From it back, each event names the hash of the one before:"
    );
    for (event, hash) in proven(&store, note.entity)? {
        let said = if hash == note.hash {
            "the hash that the notary noted"
        } else if event.version().get() > note.version {
            "behind what the notary noted"
        } else {
            "before that, and vouched for by it"
        };
        let entry: String = event.decode().map_err(StoreError::from)?;
        println!("   version {} {entry:?}: {said}", event.version());
    }
    if is_as_noted(&store, &note)? {
        println!("3. The history that the notary vouches for is what it was.");
    }

    // Who can write all files can write a history that is consistent in itself.
    let entries = ["opened", "an offer of 500 thousand", "sold for 500 thousand", "adjourned"];
    let (forged, _) = minutes(&dir.path().join("forged"), &entries)?;
    println!("4. Somebody writes a whole new store, in which it was sold for 500 thousand.");
    let report = forged.verify(&VerifyOptions::default(), |_| ControlFlow::Continue(()));
    let (events, faults) = (report.events, report.faults.len());
    println!("5. Verified by itself, it is whole: {events} events, {faults} faults.");
    if !is_as_noted(&forged, &note)? {
        println!(
            "6. But version 2 has another hash than the notary noted: this is not the history."
        );
    }
    Ok(())
}
