//! The book in `docs/` is whole: what its table of contents names is there, what is there is in
//! it, no link leads nowhere, and every example is compiled.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").canonicalize().unwrap()
}

/// All pages below a folder.
fn pages(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.insert(path);
        }
    }
    found
}

/// The targets of a page's links that lead to files, without their anchors.
fn links(text: &str) -> Vec<&str> {
    let mut inside_code = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside_code ^= fence;
        !inside_code && !fence
    });
    let targets = lines.flat_map(|line| line.split("](").skip(1));
    let targets = targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let files = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    files.map(|target| target.split('#').next().unwrap_or(target)).collect()
}

#[test]
fn the_table_of_contents_and_the_pages_agree() {
    let docs = docs();
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let listed: BTreeSet<PathBuf> = links(&summary).into_iter().map(|to| docs.join(to)).collect();
    let mut there = pages(&docs);
    there.remove(&docs.join("SUMMARY.md"));
    assert_eq!(listed, there);
}

#[test]
fn no_link_leads_nowhere() {
    let root = docs().parent().unwrap().to_path_buf();
    let others = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(|name| root.join(name));
    for page in pages(&docs()).into_iter().chain(others) {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in links(&text) {
            let to = page.parent().unwrap().join(target);
            assert!(to.exists(), "{} links to {target}", page.display());
        }
    }
}

#[test]
fn every_page_with_an_example_is_compiled() {
    let compiled = include_str!("../src/book.rs");
    for page in pages(&docs()) {
        let text = std::fs::read_to_string(&page).unwrap();
        let name = page.strip_prefix(docs()).unwrap().display().to_string();
        let included = compiled.contains(&format!("../../docs/{name}\""));
        assert!(included || !text.contains("```rust"), "{name} is not in tests/src/book.rs");
    }
}
