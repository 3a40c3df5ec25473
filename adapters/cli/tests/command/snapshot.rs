//! `snapshot`: a directory that is a store of its own.

use crate::runner::Bench;
use std::fs;

const ROWS: &str = "id,place,what,at,note\na,b,c,1,first\na,b,c,2,second\n";

#[test]
fn b38_a_snapshot_has_the_same_events() {
    let bench = Bench::with_rows(ROWS);
    let told = bench.run(&["snapshot", "snap"]).done().out;
    assert!(told.starts_with("snapshot of 1 segment before sequence 2 in snap: "), "{told}");
    assert_eq!(bench.events(&["--store", "snap"]), bench.events(&[]));
    assert!(bench.run(&["verify", "--store", "snap"]).done().out.starts_with("whole: 2 events"));
    let told = bench.json(&["snapshot", "again", "--json"]);
    assert_eq!((&told["end"], &told["segments"]), (&2.into(), &1.into()));
}

#[test]
fn b38_a_snapshot_is_refused_where_something_is() {
    let bench = Bench::with_rows(ROWS);
    let own = bench.store().join("within");
    bench
        .run(&["snapshot", own.to_str().unwrap()])
        .failed(2, &["lies in the store's own directory", "next:"]);
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/letter"), "dear").unwrap();
    bench.run(&["snapshot", "full"]).failed(2, &["holds letter already", "next:"]);
    bench.run(&["snapshot", "snap"]).done();
    bench.run(&["snapshot", "snap"]).failed(2, &["already", "next:"]);
    bench.run(&["snapshot", "x", "--store", "none"]).failed(2, &["there is no directory"]);
}

#[test]
fn b38_a_snapshot_is_made_while_another_process_writes() {
    let bench = Bench::with_rows(ROWS);
    let held = annals::Store::open(annals::StoreConfig::new(bench.store())).unwrap();
    bench.run(&["snapshot", "snap"]).done();
    drop(held);
    assert_eq!(bench.events(&["--store", "snap"]), bench.events(&[]));
}
