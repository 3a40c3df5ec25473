//! `export` and `import-backup`: one file out, and in again.

use crate::runner::{Bench, bare, ran};
use std::fs;
use std::io::Write;
use std::process::Stdio;

const ROWS: &str = "id,place,what,at,note\na,b,c,1,first\na,b,c,2,second\na,b,c,3,third\n";
const MORE: &str = "id,place,what,at,note\na,b,d,4,fourth\n";

#[test]
fn b38_a_backup_comes_back_and_goes_on() {
    let bench = Bench::with_rows(ROWS);
    let told = bench.run(&["export", "whole"]).done().out;
    assert!(told.starts_with("3 sequences from 0 on, ") && told.contains("--from 3"), "{told}");
    bench.run(&["export", "whole"]).failed(2, &["is there already", "next:"]);
    let dry = bench.run(&["import-backup", "whole", "--store", "copy", "--dry-run"]).done().out;
    assert!(dry.starts_with("would import 3 sequences") && !bench.path("copy").exists(), "{dry}");
    bench.run(&["import-backup", "whole", "--store", "copy"]).done();
    assert_eq!(bench.events(&["--store", "copy"]), bench.events(&[]));
    assert!(bench.run(&["verify", "--store", "copy"]).done().out.starts_with("whole: 3 events"));
    bench.run(&["import-backup", "whole", "--store", "copy"]).failed(2, &["already", "next:"]);
    bench
        .run(&["import-backup", "whole", "--store", "copy", "--dry-run"])
        .failed(2, &["is not empty", "next:"]);

    bench.import_csv(MORE, &[]).done();
    bench.run(&["export", "more", "--from", "3"]).done();
    bench.run(&["import-backup", "more", "--store", "copy", "--dry-run"]).done();
    bench.run(&["import-backup", "more", "--store", "copy"]).done();
    assert_eq!(bench.events(&["--store", "copy"]), bench.events(&[]));
    bench
        .run(&["import-backup", "more", "--store", "copy"])
        .failed(1, &["goes on from sequence 3, but the store ends at 4", "next:"]);
    bench
        .run(&["import-backup", "more", "--store", "copy", "--dry-run"])
        .failed(1, &["goes on from sequence 3"]);
    bench
        .run(&["import-backup", "more", "--store", "none"])
        .failed(1, &["goes on from sequence 3"]);
    bench.run(&["export", "x", "--from", "9"]).failed(1, &["the store ends at 4", "stats"]);
    assert!(!bench.path("x").exists() && !bench.path("x.part").exists());
}

#[test]
fn b38_a_backup_goes_through_a_pipe() {
    let bench = Bench::with_rows(ROWS);
    let exported = bench.command(&["export"]).output().unwrap();
    assert!(exported.status.success());
    let said = String::from_utf8(exported.stderr).unwrap();
    assert!(said.starts_with("3 sequences"), "{said}");
    let bytes = exported.stdout;
    let ran = bench.run_with_stdin(&["import-backup", "-", "--store", "copy"], &bytes);
    assert!(ran.done().out.starts_with("imported 3 sequences"));
    let cut = &bytes[..bytes.len() - 9];
    for dry in [&[][..], &["--dry-run"]] {
        let args = [&["import-backup", "-", "--store", "other"], dry].concat();
        let ran = bench.run_with_stdin(&args, cut);
        ran.failed(1, &["the backup is damaged at byte", "the end of the stream", "next:"]);
    }
    let mut bent = bytes.clone();
    bent[bytes.len() / 2] ^= 1;
    let file = bench.file("bent", bent);
    bench
        .run(&["import-backup", file.to_str().unwrap(), "--store", "other"])
        .failed(1, &["the backup is damaged at byte", "expected", "found"]);
    bench.run(&["query", "--count", "--store", "copy"]).done();
}

#[test]
fn b38_what_is_no_backup_and_what_is_no_store_is_told() {
    let bench = Bench::new();
    bench.run(&["export", "x"]).failed(2, &["there is no directory"]);
    bench.run(&["import-backup", "nothing"]).failed(2, &["can't read nothing"]);
    let file = bench.file("rows.csv", ROWS);
    bench
        .run(&["import-backup", file.to_str().unwrap()])
        .failed(1, &["the backup is damaged at byte 0", "a section marker"]);
    let mut child = bare(&["import-backup", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(b"x");
    ran(child.wait_with_output().unwrap()).failed(2, &["no store is named"]);
    fs::create_dir(bench.path("full")).unwrap();
    fs::write(bench.path("full/letter"), "dear").unwrap();
    let other = Bench::with_rows(ROWS);
    let whole = other.path("whole");
    other.run(&["export", whole.to_str().unwrap()]).done();
    bench
        .run(&["import-backup", whole.to_str().unwrap(), "--store", "full"])
        .failed(2, &["holds letter already", "next:"]);
}

#[test]
fn b38_a_store_is_exported_while_another_process_writes_to_it() {
    let bench = Bench::with_rows(ROWS);
    let held = annals::Store::open(annals::StoreConfig::new(bench.store())).unwrap();
    bench.run(&["export", "whole"]).done();
    bench.run(&["import-backup", "whole", "--store", "copy"]).done();
    bench.run(&["import-backup", "whole"]).failed(1, &["another writer has the store"]);
    drop(held);
    assert_eq!(bench.events(&["--store", "copy"]), bench.events(&[]));
}
