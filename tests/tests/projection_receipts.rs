//! Open cases per department, over real events: right after each of many restarts, whatever keeps
//! the state.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals::{
    CheckpointCache, CodecError, Coordinate, Durability, EventKind, EventPayload, EventSourced,
    Freshness, HeedCache, MemoryCache, NoCache, ProjectionCache, RedbCache, Region, SourceEvent,
    Store, StoreConfig,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Serialize, Deserialize)]
struct Activity {
    name: String,
}

impl EventPayload for Activity {
    const KIND: EventKind = EventKind::new(1, 1);
    const NAME: Option<&'static str> = Some("receipt.activity");
}

/// A case is open from its confirmation of receipt until it is decided whether to stop it.
const OPENS: &str = "Confirmation of receipt";
const CLOSES: &str = "T10 Determine necessity to stop indication";

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct OpenCases {
    by_department: BTreeMap<String, BTreeSet<String>>,
}

impl OpenCases {
    fn take_in(&mut self, department: &str, case: &str, activity: &str) {
        let open = self.by_department.entry(department.into()).or_default();
        match activity {
            OPENS => drop(open.insert(case.into())),
            CLOSES => drop(open.remove(case)),
            _ => {}
        }
    }
}

impl EventSourced for OpenCases {
    const NAME: &'static str = "open-cases";
    const KINDS: Option<&'static [EventKind]> = Some(&[Activity::KIND]);

    fn apply(&mut self, event: &SourceEvent<'_>) -> Result<(), CodecError> {
        let activity: Activity = event.decode()?;
        let header = event.header();
        self.take_in(header.scope(), header.entity(), &activity.name);
        Ok(())
    }
}

struct Row {
    coordinate: Coordinate,
    activity: Activity,
}

/// The real data beside the repository; `None`, said aloud, where it is missing.
fn rows() -> Option<Vec<Row>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/receipt.csv");
    let Ok(file) = File::open(&path) else {
        eprintln!("SKIPPED: the real data is missing: {}", path.display());
        return None;
    };
    let mut reader = csv::Reader::from_reader(file);
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let columns = ["case:concept:name", "case:department", "concept:name"].map(at);
    let row = |record: Result<csv::StringRecord, csv::Error>| {
        let record = record.unwrap();
        let [case, department, activity] = columns.map(|column| &record[column]);
        let coordinate = Coordinate::new(case, department).unwrap();
        Row { coordinate, activity: Activity { name: activity.into() } }
    };
    Some(reader.records().map(row).collect())
}

fn naive(rows: &[Row]) -> OpenCases {
    let mut open = OpenCases::default();
    for Row { coordinate, activity } in rows {
        open.take_in(coordinate.scope(), coordinate.entity(), &activity.name);
    }
    open
}

/// Appends the rows in lives of random length, and compares at the beginning and the end of each.
fn is_right_after_each_restart<C>(rows: &[Row], mut seed: u64, open_cache: impl Fn() -> C)
where
    C: ProjectionCache + Send + Sync + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig::new(dir.path())
        .with_durability(Durability::OnSync)
        .with_segment_max_bytes(64 * 1024);
    let (mut at, mut lives) = (0, 0);
    while at < rows.len() {
        let store = Store::open_with_cache(config.clone(), open_cache()).unwrap();
        let check = |at: usize, what: &str| {
            let region = Region::all();
            let found = store.project_region::<OpenCases>(&region, Freshness::Consistent).unwrap();
            assert_eq!(found.state, naive(&rows[..at]), "{what} of life {lives}, after {at} rows");
        };
        check(at, "the beginning");
        let mut watch = store.watch_region::<OpenCases>(&Region::all()).unwrap();
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let len = usize::try_from(seed >> 33).unwrap() % 400;
        let end = (at + len).min(rows.len());
        for Row { coordinate, activity } in &rows[at..end] {
            store.append_typed(coordinate, activity).unwrap();
        }
        at = end;
        watch.update().unwrap();
        assert_eq!(watch.current().state, naive(&rows[..at]), "the watch of life {lives}");
        if seed.is_multiple_of(3) {
            check(at, "the end");
        }
        if seed.is_multiple_of(2) {
            store.close().unwrap();
        }
        lives += 1;
    }
    assert!(lives > 25, "{lives} lives");
}

#[test]
fn b26_open_cases_per_department_are_right_after_each_restart() {
    let Some(rows) = rows() else { return };
    let all = naive(&rows);
    let open: usize = all.by_department.values().map(BTreeSet::len).sum();
    assert_eq!((rows.len(), all.by_department.len(), open), (8577, 3, 151));
    let dir = tempfile::tempdir().unwrap();
    let (redb, heed) = (dir.path().join("redb"), dir.path().join("heed"));
    let shared = Arc::new(MemoryCache::new(1 << 20));
    is_right_after_each_restart(&rows, 1, || NoCache);
    is_right_after_each_restart(&rows, 2, || Arc::clone(&shared));
    is_right_after_each_restart(&rows, 3, || CheckpointCache::new(1 << 20));
    is_right_after_each_restart(&rows, 4, || RedbCache::open(&redb).unwrap());
    is_right_after_each_restart(&rows, 5, || HeedCache::open(&heed, 16 << 20).unwrap());
}
