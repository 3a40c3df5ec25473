//! A desktop program: a window asks, functions answer. The functions take the store and plain
//! values and give plain values or a text, as a command of Tauri does.
//!
//! In Tauri, put `#[tauri::command]` on each function, take `store: tauri::State<'_, Store>` in
//! place of `store: &Store`, and call `.manage(store)` when the program starts; add
//! `async` where a command may wait for the disk, so that the window goes on meanwhile.
//!
//! ```text
//! cargo run --release --example desktop_command
//! ```
//!
//! It prints:
//!
//! ```text
//! add_note("tea") -> {"id":"note:1","version":0}
//! add_note("") -> error: a note needs a text
//! edit_note("note:1", 0, "green tea") -> {"id":"note:1","version":1}
//! edit_note("note:1", 0, "black tea") -> error: somebody has changed it meanwhile: look again
//! notes() -> [{"id":"note:1","version":1,"text":"green tea"}]
//! history("note:1") -> ["tea","green tea"]
//! undo("note:1") -> {"id":"note:1","version":2}
//! notes() -> [{"id":"note:1","version":2,"text":"tea"}]
//! ```

use annals::{
    AppendOptions, CheckpointCache, CodecError, Coordinate, EventKind, EventPayload, EventSourced,
    ExpectedVersion, Freshness, Region, SourceEvent, Store, StoreConfig, StoreError, Version,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;

#[derive(Serialize, Deserialize)]
struct Written {
    text: String,
}

impl EventPayload for Written {
    const KIND: EventKind = EventKind::new(1, 1);
    const NAME: Option<&'static str> = Some("note.written");
}

/// What the window shows: each note's newest text.
#[derive(Default, Serialize, Deserialize)]
struct Notes(BTreeMap<String, (Version, String)>);

impl EventSourced for Notes {
    const NAME: &'static str = "notes";
    const KINDS: Option<&'static [EventKind]> = Some(&[Written::KIND]);

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        let Written { text } = event.decode()?;
        self.0.insert(event.header().entity().into(), (event.header().version(), text));
        Ok(())
    }
}

/// What a command answers.
#[derive(Debug)]
struct Saved {
    id: String,
    version: Version,
}

/// The window gets a text; the program's log would get the error itself.
fn told(error: StoreError) -> String {
    match error {
        StoreError::VersionConflict { .. } => {
            "somebody has changed it meanwhile: look again".into()
        }
        other => other.to_string(),
    }
}

fn save(store: &Store, id: &str, expected: ExpectedVersion, text: &str) -> Result<Saved, String> {
    if text.is_empty() {
        return Err("a note needs a text".into());
    }
    let at = Coordinate::new(id, "desktop").map_err(|error| error.to_string())?;
    let options = AppendOptions::default().with_expected_version(expected);
    let written = Written { text: text.into() };
    let receipt = store.append_typed_with_options(&at, &written, options).map_err(told)?;
    Ok(Saved { id: id.into(), version: receipt.version })
}

fn add_note(store: &Store, text: &str) -> Result<Saved, String> {
    let number = notes(store)?.len() + 1;
    save(store, &format!("note:{number}"), ExpectedVersion::NoStream, text)
}

/// `version` is what the window showed when the person began to write.
fn edit_note(store: &Store, id: &str, version: u64, text: &str) -> Result<Saved, String> {
    save(store, id, ExpectedVersion::Exact(Version::new(version)), text)
}

fn notes(store: &Store) -> Result<Vec<(String, Version, String)>, String> {
    let all = Region::entity("note");
    let notes = store.project_region::<Notes>(&all, Freshness::Consistent).map_err(told)?;
    Ok(notes.state.0.into_iter().map(|(id, (version, text))| (id, version, text)).collect())
}

fn history(store: &Store, id: &str) -> Result<Vec<String>, String> {
    let texts = store.stream(id).map(|event| Ok(event?.decode::<Written>()?.text));
    texts.collect::<Result<_, StoreError>>().map_err(told)
}

/// Nothing is taken back: the text before is written once more.
fn undo(store: &Store, id: &str) -> Result<Saved, String> {
    let texts = history(store, id)?;
    let [.., before, _] = &texts[..] else { return Err("there is nothing to undo".into()) };
    let seen = Version::new(texts.len() as u64 - 1);
    save(store, id, ExpectedVersion::Exact(seen), before)
}

/// As the window's side of the bridge would see it.
fn show<T>(call: &str, answer: Result<T, String>, json: impl Fn(&T) -> String) {
    match answer {
        Ok(value) => println!("{call} -> {}", json(&value)),
        Err(error) => println!("{call} -> error: {error}"),
    }
}

fn saved(saved: &Saved) -> String {
    format!("{{\"id\":{:?},\"version\":{}}}", saved.id, saved.version)
}

fn listed(notes: &[(String, Version, String)]) -> String {
    let notes = notes.iter().map(|(id, version, text)| {
        format!("{{\"id\":{id:?},\"version\":{version},\"text\":{text:?}}}")
    });
    format!("[{}]", notes.collect::<Vec<_>>().join(","))
}

fn texts(texts: &[String]) -> String {
    let texts = texts.iter().map(|text| format!("{text:?}"));
    format!("[{}]", texts.collect::<Vec<_>>().join(","))
}

fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    // Once, when the program starts. The states are kept in the store's own files.
    let cache = CheckpointCache::new(1024 * 1024);
    let store = Store::open_with_cache(StoreConfig::new(dir.path()), cache)?;

    show("add_note(\"tea\")", add_note(&store, "tea"), saved);
    show("add_note(\"\")", add_note(&store, ""), saved);
    show(
        "edit_note(\"note:1\", 0, \"green tea\")",
        edit_note(&store, "note:1", 0, "green tea"),
        saved,
    );
    show(
        "edit_note(\"note:1\", 0, \"black tea\")",
        edit_note(&store, "note:1", 0, "black tea"),
        saved,
    );
    show("notes()", notes(&store), |notes| listed(notes));
    show("history(\"note:1\")", history(&store, "note:1"), |all| texts(all));
    show("undo(\"note:1\")", undo(&store, "note:1"), saved);
    show("notes()", notes(&store), |notes| listed(notes));
    Ok(store.close()?)
}
