//! fjall: four keyspaces, one atomic batch an append, under a lock that makes the checks hold.

use crate::engine::{Class, Engine, Id, Kind, Result, See, Setup, keys};
use crate::events::{Event, next_id};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

pub const KIND: Kind = Kind {
    name: "fjall",
    open,
    groups_in_app: true,
    syncs_always: false,
    events_max: usize::MAX,
    note: "`PersistMode::Buffer` / `SyncData`; blocks compressed with LZ4, its default",
};

struct Fjall {
    database: Database,
    events: Keyspace,
    ids: Keyspace,
    streams: Keyspace,
    scopes: Keyspace,
    persist: PersistMode,
    next: Mutex<u64>,
}

fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    let database = Database::builder(dir.join("fjall")).open()?;
    let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
    let (events, ids) = (keyspace("events")?, keyspace("ids")?);
    let (streams, scopes) = (keyspace("streams")?, keyspace("scopes")?);
    let next = match events.last_key_value() {
        None => 0,
        Some(last) => keys::sequence_of(&last.key()?)? + 1,
    };
    let persist = match setup.class {
        Class::Written => PersistMode::Buffer,
        Class::Durable => PersistMode::SyncData,
    };
    Ok(Box::new(Fjall { database, events, ids, streams, scopes, persist, next: Mutex::new(next) }))
}

impl Fjall {
    fn show(&self, sequence: &[u8], see: See<'_>) -> Result<()> {
        let record = self.events.get(sequence)?.ok_or("there is no such event")?;
        see(&keys::seen(&record)?);
        Ok(())
    }
}

impl Engine for Fjall {
    fn append(&self, event: &Event<'_>) -> Result<Id> {
        Ok(self.append_batch(std::slice::from_ref(event))?[0])
    }

    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = self.database.batch().durability(Some(self.persist));
        let (mut ids, mut here) = (Vec::with_capacity(events.len()), HashSet::new());
        for (event, at) in events.iter().zip(*next..) {
            let (id, sequence) = (next_id(), at.to_be_bytes());
            let stream = keys::stream(event.entity, event.version);
            if self.ids.contains_key(id)? {
                return Err("the id is taken".into());
            }
            // A batch does not see itself.
            let first_here = events.len() == 1 || here.insert(stream.clone());
            if !first_here || self.streams.contains_key(&stream)? {
                return Err("the version is taken".into());
            }
            batch.insert(&self.ids, id, sequence);
            batch.insert(&self.streams, stream, sequence);
            batch.insert(&self.scopes, keys::scope(event.scope, event.kind, at), []);
            batch.insert(&self.events, sequence, keys::record(&id, event)?);
            ids.push(id);
        }
        batch.commit()?;
        *next += events.len() as u64;
        Ok(ids)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncData)?)
    }

    fn get(&self, id: &Id, see: See<'_>) -> Result<()> {
        let sequence = self.ids.get(id)?.ok_or("there is no such id")?;
        self.show(&sequence, see)
    }

    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()> {
        let (first, last) = (keys::stream(entity, from), keys::stream(entity, u64::MAX));
        for found in self.streams.range(first..=last) {
            self.show(&found.value()?, see)?;
        }
        Ok(())
    }

    fn query(&self, scope: &str, kind: u16, see: See<'_>) -> Result<()> {
        let (first, last) = (keys::scope(scope, kind, 0), keys::scope(scope, kind, u64::MAX));
        for found in self.scopes.range(first..=last) {
            let key = found.key()?;
            self.show(key.last_chunk::<8>().ok_or("a key is too short")?, see)?;
        }
        Ok(())
    }

    fn replay_borrowed(&self, see: See<'_>) -> Result<()> {
        for found in self.events.iter() {
            see(&keys::seen(&found.value()?)?);
        }
        Ok(())
    }

    fn replay_owned(&self, see: See<'_>) -> Result<()> {
        for found in self.events.iter() {
            keys::seen(&found.value()?)?.to_owned().show(see);
        }
        Ok(())
    }

    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()> {
        for found in self.events.range(from.to_be_bytes()..) {
            let record = found.value()?;
            let seen = keys::seen(&record)?;
            if seen.scope == scope {
                see(&seen);
            }
        }
        Ok(())
    }

    fn compact(&mut self) -> Result<()> {
        for keyspace in [&self.events, &self.ids, &self.streams, &self.scopes] {
            keyspace.rotate_memtable_and_wait()?;
            keyspace.major_compact()?;
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.sync()
    }
}
