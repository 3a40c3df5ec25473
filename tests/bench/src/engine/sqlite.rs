//! SQLite, by `rusqlite` with the SQLite that it brings: the table that an event-sourcing user
//! would make, in WAL mode.

use crate::engine::{Class, Engine, Id, Kind, Result, See, Setup};
use crate::events::{Event, Seen, next_id};
use rusqlite::{Connection, Row, params};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub const KIND: Kind = Kind {
    name: "sqlite",
    open,
    groups_in_app: true,
    syncs_always: false,
    events_max: usize::MAX,
    note: "WAL, `synchronous` NORMAL / FULL; unique id, unique (entity, version), an index over scope and kind",
};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        sequence INTEGER PRIMARY KEY,
        id BLOB NOT NULL UNIQUE,
        entity TEXT NOT NULL,
        version INTEGER NOT NULL,
        scope TEXT NOT NULL,
        kind INTEGER NOT NULL,
        time_us INTEGER NOT NULL,
        payload BLOB NOT NULL,
        UNIQUE (entity, version)
    ) STRICT;
    CREATE INDEX IF NOT EXISTS events_by_scope ON events (scope, kind);";
const INSERT: &str = "INSERT INTO events (id, entity, version, scope, kind, time_us, payload)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

struct Sqlite(Mutex<Connection>);

fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    let connection = Connection::open(dir.join("events.sqlite"))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match setup.class {
        Class::Written => "NORMAL",
        Class::Durable => "FULL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.execute_batch(SCHEMA)?;
    Ok(Box::new(Sqlite(Mutex::new(connection))))
}

impl Sqlite {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn select(&self, clause: &str, with: impl rusqlite::Params, see: See<'_>) -> Result<()> {
        let sql = format!("SELECT entity, scope, kind, version, payload FROM events {clause}");
        let connection = self.connection();
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(with)?;
        while let Some(row) = rows.next()? {
            show(row, see)?;
        }
        Ok(())
    }
}

impl Engine for Sqlite {
    fn append(&self, event: &Event<'_>) -> Result<Id> {
        insert(&self.connection(), event)
    }

    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        let mut connection = self.connection();
        let transaction = connection.transaction()?;
        let ids = events.iter().map(|event| insert(&transaction, event)).collect::<Result<_>>()?;
        transaction.commit()?;
        Ok(ids)
    }

    fn sync(&self) -> Result<()> {
        // A checkpoint is what puts a WAL that is not synced on stable storage.
        self.connection().query_row("PRAGMA wal_checkpoint(FULL)", [], |_| Ok(()))?;
        Ok(())
    }

    fn get(&self, id: &Id, see: See<'_>) -> Result<()> {
        self.select("WHERE id = ?1", params![id], see)
    }

    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()> {
        let clause = "WHERE entity = ?1 AND version >= ?2 ORDER BY version";
        self.select(clause, params![entity, from as i64], see)
    }

    fn query(&self, scope: &str, kind: u16, see: See<'_>) -> Result<()> {
        self.select("WHERE scope = ?1 AND kind = ?2 ORDER BY sequence", params![scope, kind], see)
    }

    fn replay_borrowed(&self, see: See<'_>) -> Result<()> {
        self.select("ORDER BY sequence", [], see)
    }

    fn replay_owned(&self, see: See<'_>) -> Result<()> {
        let connection = self.connection();
        let sql = "SELECT entity, scope, kind, version, payload FROM events ORDER BY sequence";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (entity, scope): (String, String) = (row.get(0)?, row.get(1)?);
            let payload: Vec<u8> = row.get(4)?;
            let (kind, version) = (row.get(2)?, row.get::<_, i64>(3)? as u64);
            see(&Seen { entity: &entity, scope: &scope, kind, version, payload: &payload });
        }
        Ok(())
    }

    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()> {
        // Row ids begin at 1. The plus keeps the planner off the index of scopes.
        let clause = "WHERE sequence > ?2 AND +scope = ?1 ORDER BY sequence";
        self.select(clause, params![scope, from as i64], see)
    }

    fn verify(&mut self) -> Result<()> {
        let answer: String =
            self.connection().query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if answer == "ok" { Ok(()) } else { Err(answer.into()) }
    }

    fn compact(&mut self) -> Result<()> {
        Ok(self.connection().execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        let connection = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        connection.close().map_err(|(_, error)| error.into())
    }
}

fn insert(connection: &Connection, event: &Event<'_>) -> Result<Id> {
    let id = next_id();
    let time = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64;
    connection.prepare_cached(INSERT)?.execute(params![
        id,
        event.entity,
        event.version as i64,
        event.scope,
        event.kind,
        time,
        event.payload
    ])?;
    Ok(id)
}

fn show(row: &Row<'_>, see: See<'_>) -> Result<()> {
    see(&Seen {
        entity: row.get_ref(0)?.as_str()?,
        scope: row.get_ref(1)?.as_str()?,
        kind: row.get(2)?,
        version: row.get::<_, i64>(3)? as u64,
        payload: row.get_ref(4)?.as_blob()?,
    });
    Ok(())
}
