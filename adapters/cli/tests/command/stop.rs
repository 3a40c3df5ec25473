//! Stopped in the middle: by Ctrl-C, by a reader that goes away, by a writer that is in the way.

#![cfg(unix)]

use crate::runner::{Bench, Ran, ran};
use annals::{Store, StoreConfig};
use std::fs;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

/// Starts the command with pipes at all its ends.
fn start(bench: &Bench, args: &[&str]) -> Child {
    let mut command = bench.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Sends the signal of Ctrl-C, and waits for the end.
fn interrupted(child: Child) -> Ran {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    ran(child.wait_with_output().unwrap())
}

#[test]
fn an_import_that_waits_for_rows_stops_and_keeps_those_before() {
    let bench = Bench::new();
    let columns = ["--entity", "id", "--scope-value", "s", "--kind-name", "k", "--batch", "100"];
    let mut child = start(&bench, &[&["import", "-", "--format", "csv"], &columns[..]].concat());
    let mut stdin = child.stdin.take().unwrap();
    // Many times what fits into a pipe: when it is written, most of it was read.
    let rows: String = (0..30_000).map(|n| format!("e{n}\n")).collect();
    stdin.write_all(format!("id\n{rows}").as_bytes()).unwrap();
    let told = interrupted(child);
    drop(stdin);
    let told = told.failed(130, &["stdin: stopped: ", " appended before it", "next:"]);
    assert_eq!(told.out, "");
    let said = told.err.split("stopped: ").nth(1).unwrap().split(' ').next().unwrap();
    let said: u64 = said.replace(',', "").parse().unwrap();
    assert_eq!(bench.json(&["query", "--count", "--json"])["count"], said);
    bench.run(&["verify"]).done();
}

#[test]
fn a_compaction_that_waits_to_keep_its_rate_stops_and_loses_nothing() {
    let rows: String = (0..20_000).map(|n| format!("e{n},s,k,{n},{n:0200}\n")).collect();
    let bench = Bench::with_rows(&format!("id,place,what,at,n\n{rows}"));
    let segments = || fs::read_dir(bench.store()).unwrap().count();
    let before = segments();
    // It looks at all events first; then the output appears, and writing it takes seconds more.
    let slowly = ["--prefix", "e1", "--yes", "--bytes-per-second", "3000000"];
    let mut child = start(&bench, &[&["compact", "--drop"], &slowly[..]].concat());
    while segments() == before && child.try_wait().unwrap().is_none() {
        thread::yield_now();
    }
    interrupted(child).failed(130, &["stopped: ", "run the same again: it goes on"]);
    assert_eq!(bench.json(&["query", "--count", "--json"])["count"], 20_000);
    bench.run(&["verify"]).done();
    bench.run(&["append", "--entity", "a", "--scope", "b", "--kind", "c", "1"]).done();
}

#[test]
fn a_follower_ends_when_nobody_reads_it_though_nothing_is_appended() {
    let bench = Bench::with_rows("id,place,what,at\na,b,c,1\n");
    let mut child = start(&bench, &["tail", "--follow"]);
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 2]).unwrap();
    drop(stdout);
    let ended = ran(child.wait_with_output().unwrap()).done();
    assert_eq!(ended.err, "");
}

#[test]
fn an_error_that_nobody_reads_is_no_panic() {
    let bench = Bench::new();
    let mut command = bench.command(&["stats", "--store", "nowhere"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    assert_eq!(command.stderr(writer).status().unwrap().code(), Some(2));
}

#[test]
fn where_a_writer_holds_the_store_only_looking_works() {
    let bench = Bench::with_rows("id,place,what,at\na,b,c,1\n");
    let held = Store::open(StoreConfig::new(bench.store())).unwrap();
    for args in [
        &["append", "--entity", "a", "--scope", "b", "--kind", "c", "1"][..],
        &["compact"],
        &["erase", "--all", "--yes"],
    ] {
        bench.run(args).failed(1, &["another writer has the store", "next: wait"]);
    }
    bench.import_csv("id,place,what,at\na,b,c,2\n", &[]).failed(1, &["another writer"]);
    for args in [&["stats"][..], &["query"], &["tail"], &["verify"], &["streams"], &["show", "0"]] {
        bench.run(args).done();
    }
    held.close().unwrap();
}
