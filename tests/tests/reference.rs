//! The tables in `docs/reference/` are whole and right: each field of each configuration with its
//! default, and each variant of each public error, as the sources have them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals::{
    AppendOptions, CompactionConfig, CompactionStrategy, ConsumerConfig, ExportOptions, FsOptions,
    ImportOptions, LogConfig, ReactConfig, StoreConfig, TransitionOptions, VerifyOptions,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const CONFIGURATION: &str = include_str!("../../docs/reference/configuration.md");
const ERRORS: &str = include_str!("../../docs/reference/errors.md");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The text of all Rust files of the packages that others use.
fn sources() -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders: Vec<PathBuf> = ["core/src", "adapters/native/src", "adapters/opfs/src"]
        .map(|folder| root().join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(std::fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

/// The public types declared with `keyword` whose names pass, and the lines of their bodies.
fn declared(keyword: &str, passes: fn(&str) -> bool) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::new();
    for text in sources() {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(rest) = line.strip_prefix(keyword) else { continue };
            let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
            let name = &rest[..end];
            if passes(name) {
                let inline = line.ends_with([';', '}']);
                let body = lines.by_ref().take_while(|line| !inline && *line != "}");
                found.insert(name.to_owned(), body.map(str::to_owned).collect());
            }
        }
    }
    found
}

/// The names that stand one level deep in a body, behind `prefix`.
fn members(body: &[String], prefix: &str) -> Vec<String> {
    let inner = body.iter().filter_map(|line| line.strip_prefix("    "));
    inner
        .filter_map(|line| line.strip_prefix(prefix))
        .filter(|line| line.starts_with(char::is_alphabetic))
        .map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap().into())
        .collect()
}

/// The rows of each section's table: the cells behind the first, by the name in the first.
fn tables(page: &str) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let sections = page.split("\n## ").skip(1);
    let with_rows = sections.map(|section| {
        let (title, text) = section.split_once('\n').unwrap();
        let rows = text.lines().filter(|line| line.starts_with("| `"));
        let rows = rows.map(|row| {
            let mut cells = row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
            let name = cells.next().unwrap().trim_matches('`').to_owned();
            (name, cells.collect::<Vec<_>>())
        });
        (title.to_owned(), rows.collect::<BTreeMap<_, _>>())
    });
    with_rows.filter(|(_, rows)| !rows.is_empty()).collect()
}

fn names<'a>(rows: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    rows.into_iter().map(String::as_str).collect()
}

#[test]
fn every_field_of_every_configuration_is_in_the_table() {
    let tables = tables(CONFIGURATION);
    let declared =
        declared("pub struct ", |name| name.ends_with("Config") || name.ends_with("Options"));
    assert!(declared.len() >= 11, "the sources were not read: {:?}", declared.keys());
    for (name, body) in &declared {
        let rows = tables.get(name).unwrap_or_else(|| panic!("no section about {name}"));
        let fields = members(body, "pub ");
        assert_eq!(names(rows.keys()), names(&fields), "{name}");
    }
}

#[test]
fn all_that_a_store_of_the_npm_package_does_stands_beside_its_rust_name() {
    let page = root().join("docs/reference/rust-and-typescript.md");
    let page = std::fs::read_to_string(page).unwrap();
    let types = std::fs::read_to_string(root().join("web/ts/types.ts")).unwrap();
    let (_, body) = types.split_once("export interface EventStore ").unwrap();
    let (body, _) = body.split_once("\n}").unwrap();
    let members = body.lines().filter_map(|line| line.strip_prefix("  "));
    let members = members.filter(|line| line.starts_with(char::is_alphabetic));
    let members: Vec<&str> = members
        .map(|line| line.strip_prefix("readonly ").unwrap_or(line))
        .map(|line| line.split(|c: char| !c.is_alphanumeric()).next().unwrap())
        .collect();
    assert!(members.len() >= 20, "the interface was not read: {members:?}");
    for member in members {
        let is_named = [format!("`{member}`"), format!("`{member}("), format!(" `{member},")];
        assert!(is_named.iter().any(|name| page.contains(name)), "no row about {member}");
    }
}

#[test]
fn every_option_of_the_npm_package_is_in_the_table() {
    let tables = tables(CONFIGURATION);
    for (file, interface, title) in [
        ("web/ts/types.ts", "OpenOptions", "OpenOptions (browser)"),
        ("web/ts/node.ts", "NodeOptions", "NodeOptions (Node, Bun, Deno)"),
    ] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let (_, body) = text.split_once(&format!("interface {interface} {{\n")).unwrap();
        let (body, _) = body.split_once("\n}").unwrap();
        let fields = body.lines().filter_map(|line| line.strip_prefix("  "));
        let fields = fields.filter(|line| line.starts_with(char::is_alphabetic));
        let fields: Vec<String> =
            fields.map(|line| line.split([':', '?']).next().unwrap().into()).collect();
        assert_eq!(names(tables[title].keys()), names(&fields), "{interface}");
    }
}

#[test]
fn every_default_is_the_one_in_the_table() {
    let tables = tables(CONFIGURATION);
    let mut checked = 0;
    let mut is = |name: &str, field: &str, value: &dyn std::fmt::Debug| {
        let default = &tables[name][field][0];
        let shown = format!("`{value:?}`");
        assert!(default.starts_with(&shown), "{name}.{field} is {shown}, not {default}");
        checked += 1;
    };
    macro_rules! fields {
        ($type:ident, $value:expr, $($field:ident)*) => {{
            let value = $value;
            $(is(stringify!($type), stringify!($field), &value.$field);)*
        }};
    }
    fields!(StoreConfig, StoreConfig::new("x"), segment_max_bytes durability sync_mode fd_budget
        index_cache_bytes read_cache_bytes write_queue_capacity subscription_capacity restart_policy upcasts);
    is("StoreConfig", "clock", &StoreConfig::new("x").clock.map(|_| ()));
    fields!(LogConfig, LogConfig::default(), segment_max_bytes index_cache_bytes durability
        seal_on_close_bytes zeros_ahead_bytes);
    fields!(FsOptions, FsOptions::default(), fd_budget sync_mode segment_preallocate_len
        read_cache_bytes);
    fields!(AppendOptions, AppendOptions::default(), expected_version idempotency_key correlation
        causation flags metadata position condition);
    fields!(TransitionOptions, TransitionOptions::default(), state_check);
    fields!(ConsumerConfig, ConsumerConfig::default(), commit start region_change sync);
    fields!(ReactConfig, ReactConfig::new("x"), restart_policy depth_max);
    let merge = CompactionConfig::new(CompactionStrategy::Merge);
    fields!(CompactionConfig, merge, min_segments output_max_bytes seal_active bytes_per_second);
    fields!(ExportOptions, ExportOptions::default(), from consumers);
    fields!(ImportOptions, ImportOptions::default(), verify);
    fields!(VerifyOptions, VerifyOptions::default(), index_blocks unique_ids);

    // The adapter compiles for browsers only.
    let rows = &tables["OpfsOptions"];
    let shown = |field: &str| rows[field][0].trim_matches('`').to_owned();
    let (handles, busy_ms) = (shown("handles_max"), shown("busy_timeout_ms"));
    let opfs = sources().concat().replace('_', "");
    let default = format!("Self {{ handlesmax: {handles}, busytimeoutms: {busy_ms} }}");
    assert!(opfs.contains(&default), "OpfsOptions: {default}");
    checked += rows.len();

    // What has no default is given to `new`, or is another configuration.
    let rust = tables.iter().filter(|(name, _)| !name.contains('('));
    let told = rust.flat_map(|(_, rows)| rows.values()).filter(|cells| cells[0].starts_with('`'));
    assert_eq!(checked, told.count());
}

#[test]
fn every_variant_of_every_public_error_is_in_the_table() {
    let tables = tables(ERRORS);
    let declared = declared("pub enum ", |name| {
        ["Error", "ErrorKind", "Fault", "FaultKind"].iter().any(|end| name.ends_with(end))
    });
    assert!(declared.contains_key("StoreError"), "the sources were not read");
    for (name, body) in &declared {
        let rows = tables.get(name).unwrap_or_else(|| panic!("no section about {name}"));
        let variants = members(body, "");
        assert_eq!(names(rows.keys()), names(&variants), "{name}");
    }
    let others = ["Codes in the browser", "Errors without variants"];
    let known: BTreeSet<&str> = names(declared.keys()).into_iter().chain(others).collect();
    assert_eq!(names(tables.keys()), known, "a section about what is no error");
}

#[test]
fn every_public_error_without_variants_is_in_the_table() {
    let tables = tables(ERRORS);
    let declared = declared("pub struct ", |name| {
        name.ends_with("Error")
            || ["Corruption", "Denial", "VerifyFault", "WrongPipeline"].contains(&name)
    });
    assert_eq!(names(tables["Errors without variants"].keys()), names(declared.keys()));
}

#[test]
fn every_code_of_the_npm_package_is_in_the_table() {
    let text = std::fs::read_to_string(root().join("web/ts/errors.ts")).unwrap();
    let (_, union) = text.split_once("export type ErrorCode =").unwrap();
    let (union, _) = union.split_once(';').unwrap();
    let codes: Vec<String> = union.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(names(tables(ERRORS)["Codes in the browser"].keys()), names(&codes));
}
