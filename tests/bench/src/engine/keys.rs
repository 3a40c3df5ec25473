//! An event in an ordered map of bytes: what the engines that are such maps have in common.
//!
//! ```text
//! events    sequence u64 BE              -> record
//! ids       id [16]                      -> sequence
//! streams   entity | 0 | version u64 BE  -> sequence
//! scopes    scope | 0 | kind u16 BE | sequence u64 BE -> nothing
//! record    id [16] | version u64 | time_us u64 | kind u16 | entity_len u16 | scope_len u16
//!           | entity | scope | payload
//! ```

use crate::engine::{Id, Result};
use crate::events::{Event, Seen};
use std::time::{SystemTime, UNIX_EPOCH};

const HEAD: usize = 38;

pub fn stream(entity: &str, version: u64) -> Vec<u8> {
    [entity.as_bytes(), &[0], &version.to_be_bytes()].concat()
}

pub fn scope(scope: &str, kind: u16, sequence: u64) -> Vec<u8> {
    [scope.as_bytes(), &[0], &kind.to_be_bytes(), &sequence.to_be_bytes()].concat()
}

/// The sequence at the end of a key of a scope.
pub fn sequence_of(key: &[u8]) -> Result<u64> {
    let bytes = key.last_chunk().ok_or("a key is too short")?;
    Ok(u64::from_be_bytes(*bytes))
}

pub fn record(id: &Id, event: &Event<'_>) -> Result<Vec<u8>> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64;
    let (entity, scope) = (event.entity.as_bytes(), event.scope.as_bytes());
    let mut bytes = Vec::with_capacity(HEAD + entity.len() + scope.len() + event.payload.len());
    bytes.extend_from_slice(id);
    bytes.extend_from_slice(&event.version.to_le_bytes());
    bytes.extend_from_slice(&time.to_le_bytes());
    bytes.extend_from_slice(&event.kind.to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(entity.len())?.to_le_bytes());
    bytes.extend_from_slice(&u16::try_from(scope.len())?.to_le_bytes());
    bytes.extend_from_slice(entity);
    bytes.extend_from_slice(scope);
    bytes.extend_from_slice(event.payload);
    Ok(bytes)
}

pub fn seen(record: &[u8]) -> Result<Seen<'_>> {
    let (head, rest) = record.split_first_chunk::<HEAD>().ok_or("a record is too short")?;
    let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let (entity, rest) = rest.split_at_checked(short(34).into()).ok_or("a record is too short")?;
    let (scope, payload) =
        rest.split_at_checked(short(36).into()).ok_or("a record is too short")?;
    Ok(Seen {
        entity: std::str::from_utf8(entity)?,
        scope: std::str::from_utf8(scope)?,
        kind: short(32),
        version: u64::from_le_bytes(head[16..24].try_into()?),
        payload,
    })
}
