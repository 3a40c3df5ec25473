//! The examples print what their first comments say they print, and the README shows the quickstart
//! as it is.

use std::path::PathBuf;
use std::process::Command;

/// What stands in the last block of the example's first comment.
fn promised(source: &str) -> String {
    let comment = source.lines().map_while(|line| line.strip_prefix("//!"));
    let comment: Vec<&str> = comment.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let end = comment.iter().rposition(|line| *line == "```").expect("a block at the end");
    let start = comment.iter().rposition(|line| *line == "```text").expect("a block of text");
    comment[start + 1..end].iter().map(|line| format!("{line}\n")).collect()
}

/// Runs an example that cargo has built beside the tests.
fn printed(name: &str) -> String {
    let test = std::env::current_exe().expect("this test is a file");
    let built: PathBuf = test.parent().and_then(|deps| deps.parent()).expect("deps").into();
    let example = built.join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    let output = Command::new(&example).output().unwrap_or_else(|error| {
        panic!("{} ({error}): build it with `cargo build --examples`", example.display())
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").replace("\r\n", "\n")
}

#[test]
fn the_quickstart_prints_what_it_says() {
    assert_eq!(printed("quickstart"), promised(include_str!("../examples/quickstart.rs")));
}

#[test]
fn policy_gates_prints_what_it_says() {
    assert_eq!(printed("policy_gates"), promised(include_str!("../examples/policy_gates.rs")));
}

#[test]
fn order_state_machine_prints_what_it_says() {
    let source = include_str!("../examples/order_state_machine.rs");
    assert_eq!(printed("order_state_machine"), promised(source));
}

#[test]
fn worker_prints_what_it_says() {
    assert_eq!(printed("worker"), promised(include_str!("../examples/worker.rs")));
}

#[test]
fn saga_prints_what_it_says() {
    assert_eq!(printed("saga"), promised(include_str!("../examples/saga.rs")));
}

#[test]
fn read_model_prints_what_it_says() {
    assert_eq!(printed("read_model"), promised(include_str!("../examples/read_model.rs")));
}

#[test]
fn audit_proof_prints_what_it_says() {
    assert_eq!(printed("audit_proof"), promised(include_str!("../examples/audit_proof.rs")));
}

#[test]
fn erase_personal_data_prints_what_it_says() {
    assert_eq!(
        printed("erase_personal_data"),
        promised(include_str!("../examples/erase_personal_data.rs"))
    );
}

#[test]
fn outbox_prints_what_it_says() {
    assert_eq!(printed("outbox"), promised(include_str!("../examples/outbox.rs")));
}

#[test]
fn desktop_command_prints_what_it_says() {
    assert_eq!(
        printed("desktop_command"),
        promised(include_str!("../examples/desktop_command.rs"))
    );
}

/// The lines, without their indentation.
fn unindented(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_start).collect()
}

#[test]
fn the_readme_shows_the_quickstart_as_it_is() {
    let program = unindented(include_str!("../examples/quickstart.rs"));
    let readme = include_str!("../../../README.md");
    let blocks: Vec<&str> = readme
        .split("```rust\n")
        .skip(1)
        .map(|block| block.split_once("```").expect("a block ends").0)
        .collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let shown = unindented(block);
        let found = program.windows(shown.len()).any(|lines| lines == shown);
        assert!(found, "the quickstart has no such lines:\n{block}");
    }
}
