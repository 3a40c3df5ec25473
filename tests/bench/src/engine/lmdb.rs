//! LMDB, by `heed`: four maps in one environment, one transaction an append.

use crate::engine::{Engine, Id, Kind, Result, See, Setup, keys};
use crate::events::{Event, next_id};
use heed::types::Bytes;
use heed::{
    CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, PutFlags, RwTxn, WithoutTls,
};
use std::ops::Bound;
use std::path::{Path, PathBuf};

pub const KIND: Kind = Kind {
    name: "lmdb",
    open,
    groups_in_app: true,
    syncs_always: false,
    events_max: usize::MAX,
    note: "`NO_SYNC` / default flags; reads are views of the mapped file, nothing is checked by a checksum",
};

/// The most that the file may grow to; it is sparse.
const MAP_BYTES: usize = 16 << 30;

type Map = Database<Bytes, Bytes>;

struct Lmdb {
    dir: PathBuf,
    env: Env<WithoutTls>,
    events: Map,
    ids: Map,
    streams: Map,
    scopes: Map,
}

#[expect(unsafe_code, reason = "the file is mapped, and nobody else changes it meanwhile")]
fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options.map_size(MAP_BYTES).max_dbs(4);
    let env = unsafe {
        if !setup.is_durable() {
            options.flags(EnvFlags::NO_SYNC);
        }
        options.open(dir)?
    };
    let mut transaction = env.write_txn()?;
    let mut map = |name| env.create_database(&mut transaction, Some(name));
    let (events, ids) = (map("events")?, map("ids")?);
    let (streams, scopes) = (map("streams")?, map("scopes")?);
    transaction.commit()?;
    Ok(Box::new(Lmdb { dir: dir.to_owned(), env, events, ids, streams, scopes }))
}

impl Lmdb {
    fn insert(&self, transaction: &mut RwTxn<'_>, event: &Event<'_>, at: u64) -> Result<Id> {
        let (id, sequence) = (next_id(), at.to_be_bytes());
        // A key that is there already is an error.
        let new = PutFlags::NO_OVERWRITE;
        self.ids.put_with_flags(transaction, new, &id, &sequence)?;
        let stream = keys::stream(event.entity, event.version);
        self.streams.put_with_flags(transaction, new, &stream, &sequence)?;
        self.scopes.put(transaction, &keys::scope(event.scope, event.kind, at), &[])?;
        let record = keys::record(&id, event)?;
        self.events.put_with_flags(transaction, PutFlags::APPEND, &sequence, &record)?;
        Ok(id)
    }

    fn show_events<'f>(
        &self,
        transaction: &heed::RoTxn<'_, WithoutTls>,
        sequences: impl Iterator<Item = heed::Result<&'f [u8]>>,
        see: See<'_>,
    ) -> Result<()> {
        for sequence in sequences {
            let record =
                self.events.get(transaction, sequence?)?.ok_or("there is no such event")?;
            see(&keys::seen(record)?);
        }
        Ok(())
    }
}

impl Engine for Lmdb {
    fn append(&self, event: &Event<'_>) -> Result<Id> {
        Ok(self.append_batch(std::slice::from_ref(event))?[0])
    }

    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        let mut transaction = self.env.write_txn()?;
        let last = self.events.last(&transaction)?;
        let first = last.map_or(Ok(0), |(key, _)| keys::sequence_of(key).map(|last| last + 1))?;
        let insert = |(event, at)| self.insert(&mut transaction, event, at);
        let ids = events.iter().zip(first..).map(insert).collect::<Result<_>>()?;
        transaction.commit()?;
        Ok(ids)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.env.force_sync()?)
    }

    fn get(&self, id: &Id, see: See<'_>) -> Result<()> {
        let transaction = self.env.read_txn()?;
        let sequence = self.ids.get(&transaction, id)?.ok_or("there is no such id")?;
        self.show_events(&transaction, std::iter::once(Ok(sequence)), see)
    }

    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()> {
        let transaction = self.env.read_txn()?;
        let (first, last) = (keys::stream(entity, from), keys::stream(entity, u64::MAX));
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        let found = self.streams.range(&transaction, &range)?;
        self.show_events(&transaction, found.map(|found| Ok(found?.1)), see)
    }

    fn query(&self, scope: &str, kind: u16, see: See<'_>) -> Result<()> {
        let transaction = self.env.read_txn()?;
        let (first, last) = (keys::scope(scope, kind, 0), keys::scope(scope, kind, u64::MAX));
        let range = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        let found = self.scopes.range(&transaction, &range)?;
        let sequences = found.map(|found| found.map(|(key, _)| &key[key.len() - 8..]));
        self.show_events(&transaction, sequences, see)
    }

    fn replay_borrowed(&self, see: See<'_>) -> Result<()> {
        let transaction = self.env.read_txn()?;
        for found in self.events.iter(&transaction)? {
            see(&keys::seen(found?.1)?);
        }
        Ok(())
    }

    fn replay_owned(&self, see: See<'_>) -> Result<()> {
        let transaction = self.env.read_txn()?;
        for found in self.events.iter(&transaction)? {
            keys::seen(found?.1)?.to_owned().show(see);
        }
        Ok(())
    }

    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()> {
        let transaction = self.env.read_txn()?;
        let from = from.to_be_bytes();
        let range = (Bound::Included(&from[..]), Bound::Unbounded);
        for found in self.events.range(&transaction, &range)? {
            let seen = keys::seen(found?.1)?;
            if seen.scope == scope {
                see(&seen);
            }
        }
        Ok(())
    }

    fn compact(&mut self) -> Result<()> {
        // What LMDB has for it: a copy without the free pages, which takes the file's place.
        let copy = self.dir.join("copy.mdb");
        self.env.copy_to_path(&copy, CompactionOption::Enabled)?.sync_all()?;
        Ok(std::fs::rename(copy, self.dir.join("data.mdb"))?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.env.force_sync()?;
        self.env.prepare_for_closing().wait();
        Ok(())
    }
}
