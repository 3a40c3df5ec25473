//! What the page says of the format as a whole: its version, its columns, its limits.

use annals_core::format::FORMAT_VERSION;
use annals_core::format::index_block::Column;
use annals_core::format::segment::REPLACES_MAX;
use annals_core::{
    BATCH_EVENTS_MAX, ENTITY_LEN_MAX, GATE_NAME_LEN_MAX, GATE_NAMES_MAX, METADATA_LEN_MAX,
    PAYLOAD_LEN_MAX, REASON_LEN_MAX, SCOPE_LEN_MAX,
};

use crate::DOC;

#[test]
fn the_page_is_about_the_version_that_is_written() {
    assert!(DOC.starts_with(&format!("# The bytes of Annals, format version {FORMAT_VERSION}\n")));
    assert!(DOC.contains(&format!("\n| {FORMAT_VERSION} | the first |\n")));
}

#[test]
fn the_page_lists_the_columns_in_their_order() {
    let columns = [
        Column::Offsets,
        Column::RunOrdinals,
        Column::RunSequences,
        Column::Coordinates,
        Column::KindIndexes,
        Column::Times,
        Column::Versions,
        Column::Kinds,
        Column::CoordinateEntities,
        Column::CoordinateScopes,
        Column::EntityNameStarts,
        Column::EntityNames,
        Column::ScopeNameStarts,
        Column::ScopeNames,
        Column::EntityPostingStarts,
        Column::EntityPostings,
        Column::ScopePostingStarts,
        Column::ScopePostings,
        Column::KindPostingStarts,
        Column::KindPostings,
        Column::CorrelationKeys,
        Column::CorrelationPostingStarts,
        Column::CorrelationPostings,
        Column::CausationKeys,
        Column::CausationPostingStarts,
        Column::CausationPostings,
        Column::IdBucketStarts,
        Column::IdEntries,
        Column::PrunedNameStarts,
        Column::PrunedNames,
        Column::PrunedVersions,
        Column::PrunedSequences,
        Column::PrunedHashes,
        Column::FilterDescriptor,
        Column::FilterFingerprints,
    ];
    assert_eq!(columns.len(), Column::COUNT);
    for (number, column) in columns.into_iter().enumerate() {
        assert_eq!(column as usize, number);
        assert!(DOC.contains(&format!("\n| {number} | {column:?} | ")), "{column:?}");
    }
}

#[test]
fn the_page_names_the_limits_that_hold() {
    for (what, limit) in [
        ("entity, scope", format!("1 to {} bytes of UTF-8 each", grouped(ENTITY_LEN_MAX))),
        ("metadata", format!("{} bytes", grouped(METADATA_LEN_MAX))),
        ("payload", format!("{} bytes", grouped(PAYLOAD_LEN_MAX))),
        ("header of a record", format!("{} bytes", grouped(usize::from(u16::MAX)))),
        ("events of a batch", grouped(BATCH_EVENTS_MAX)),
        ("gate names of an event", format!("{GATE_NAMES_MAX}, of 1 to {GATE_NAME_LEN_MAX} bytes")),
        ("reason, justification of a bypass", format!("{} bytes", grouped(REASON_LEN_MAX))),
        ("segments that an output replaces", grouped(REPLACES_MAX)),
    ] {
        assert!(DOC.contains(&format!("\n| {what} | {limit}")), "{what}: {limit}");
    }
    assert_eq!(ENTITY_LEN_MAX, SCOPE_LEN_MAX);
}

/// A number with a comma before each three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
    String::from_utf8(groups.join(&b',')).expect("digits")
}
