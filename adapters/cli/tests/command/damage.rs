//! Damaged stores: told with file and place, and never answered from.

use crate::runner::Bench;
use std::fs;

const ROWS: &str = "id,place,what,at,note\na,b,c,1,first\na,b,c,2,second\na,b,c,3,third\n";

/// Flips one bit within the first event's payload.
fn damage(bench: &Bench) {
    let path = bench.store().join("0000000001.seg");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(5).position(|window| window == b"first").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
}

#[test]
fn b36_every_command_tells_damage_with_file_and_place() {
    let bench = Bench::with_rows(ROWS);
    damage(&bench);
    for args in [&["stats"][..], &["tail"], &["query"], &["show", "0"], &["streams"]] {
        let ran = bench.run(args).failed(1, &["0000000001.seg is damaged at byte", "verify"]);
        assert!(!ran.out.contains("first") && !ran.out.contains("girst"), "{}", ran.out);
    }
    bench.import_csv(ROWS, &[]).failed(1, &["0000000001.seg is damaged at byte"]);
}

#[test]
fn b36_a_file_of_another_program_is_told() {
    let bench = Bench::new();
    fs::create_dir(bench.store()).unwrap();
    fs::write(bench.store().join("0000000001.seg"), [b'x'; 4096]).unwrap();
    bench.run(&["stats"]).failed(1, &["0000000001.seg"]);
    bench.import_csv(ROWS, &[]).failed(1, &["0000000001.seg"]);
    assert_eq!(fs::read(bench.store().join("0000000001.seg")).unwrap(), [b'x'; 4096]);
}
