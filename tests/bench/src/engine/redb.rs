//! redb: four tables, one transaction an append.

use crate::engine::{Class, Engine, Id, Kind, Result, See, Setup, keys};
use crate::events::{Event, next_id};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
};
use std::path::Path;

pub const KIND: Kind = Kind {
    name: "redb",
    open,
    groups_in_app: true,
    syncs_always: false,
    events_max: usize::MAX,
    note: "`Durability::None` / `Immediate`; what is not synced does not even survive the process, so its class is weaker than the others'",
};

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("events");
const IDS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("ids");
const STREAMS: TableDefinition<'_, &[u8], u64> = TableDefinition::new("streams");
const SCOPES: TableDefinition<'_, &[u8], ()> = TableDefinition::new("scopes");

struct Redb {
    database: Database,
    durability: Durability,
}

fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    let database = Database::create(dir.join("events.redb"))?;
    let transaction = database.begin_write()?;
    transaction.open_table(EVENTS)?;
    transaction.open_table(IDS)?;
    transaction.open_table(STREAMS)?;
    transaction.open_table(SCOPES)?;
    transaction.commit()?;
    let durability = match setup.class {
        Class::Written => Durability::None,
        Class::Durable => Durability::Immediate,
    };
    Ok(Box::new(Redb { database, durability }))
}

impl Redb {
    fn begin(&self) -> Result<WriteTransaction> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability)?;
        Ok(transaction)
    }
}

struct Tables<'t> {
    events: Table<'t, u64, &'static [u8]>,
    ids: Table<'t, &'static [u8], u64>,
    streams: Table<'t, &'static [u8], u64>,
    scopes: Table<'t, &'static [u8], ()>,
    next: u64,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self> {
        let events = transaction.open_table(EVENTS)?;
        let next = events.last()?.map_or(0, |(sequence, _)| sequence.value() + 1);
        Ok(Tables {
            events,
            ids: transaction.open_table(IDS)?,
            streams: transaction.open_table(STREAMS)?,
            scopes: transaction.open_table(SCOPES)?,
            next,
        })
    }

    fn insert(&mut self, event: &Event<'_>) -> Result<Id> {
        let (id, sequence) = (next_id(), self.next);
        if self.ids.insert(id.as_slice(), sequence)?.is_some() {
            return Err("the id is taken".into());
        }
        let stream = keys::stream(event.entity, event.version);
        if self.streams.insert(stream.as_slice(), sequence)?.is_some() {
            return Err("the version is taken".into());
        }
        let scope = keys::scope(event.scope, event.kind, sequence);
        self.scopes.insert(scope.as_slice(), ())?;
        self.events.insert(sequence, keys::record(&id, event)?.as_slice())?;
        self.next += 1;
        Ok(id)
    }
}

impl Engine for Redb {
    fn append(&self, event: &Event<'_>) -> Result<Id> {
        Ok(self.append_batch(std::slice::from_ref(event))?[0])
    }

    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        let transaction = self.begin()?;
        let mut tables = Tables::open(&transaction)?;
        let ids = events.iter().map(|event| tables.insert(event)).collect::<Result<_>>()?;
        drop(tables);
        transaction.commit()?;
        Ok(ids)
    }

    fn sync(&self) -> Result<()> {
        // The next durable commit carries those before it.
        Ok(self.database.begin_write()?.commit()?)
    }

    fn get(&self, id: &Id, see: See<'_>) -> Result<()> {
        let transaction = self.database.begin_read()?;
        let ids = transaction.open_table(IDS)?;
        let sequence = ids.get(id.as_slice())?.ok_or("there is no such id")?.value();
        let events = transaction.open_table(EVENTS)?;
        see(&keys::seen(events.get(sequence)?.ok_or("there is no such event")?.value())?);
        Ok(())
    }

    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()> {
        let transaction = self.database.begin_read()?;
        let events = transaction.open_table(EVENTS)?;
        let streams = transaction.open_table(STREAMS)?;
        let (first, last) = (keys::stream(entity, from), keys::stream(entity, u64::MAX));
        for found in streams.range(first.as_slice()..=last.as_slice())? {
            let sequence = found?.1.value();
            see(&keys::seen(events.get(sequence)?.ok_or("there is no such event")?.value())?);
        }
        Ok(())
    }

    fn query(&self, scope: &str, kind: u16, see: See<'_>) -> Result<()> {
        let transaction = self.database.begin_read()?;
        let events = transaction.open_table(EVENTS)?;
        let scopes = transaction.open_table(SCOPES)?;
        let (first, last) = (keys::scope(scope, kind, 0), keys::scope(scope, kind, u64::MAX));
        for found in scopes.range(first.as_slice()..=last.as_slice())? {
            let sequence = keys::sequence_of(found?.0.value())?;
            see(&keys::seen(events.get(sequence)?.ok_or("there is no such event")?.value())?);
        }
        Ok(())
    }

    fn replay_borrowed(&self, see: See<'_>) -> Result<()> {
        let events = self.database.begin_read()?.open_table(EVENTS)?;
        for found in events.iter()? {
            see(&keys::seen(found?.1.value())?);
        }
        Ok(())
    }

    fn replay_owned(&self, see: See<'_>) -> Result<()> {
        let events = self.database.begin_read()?.open_table(EVENTS)?;
        for found in events.iter()? {
            keys::seen(found?.1.value())?.to_owned().show(see);
        }
        Ok(())
    }

    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()> {
        let events = self.database.begin_read()?.open_table(EVENTS)?;
        for found in events.range(from..)? {
            let found = found?.1;
            let seen = keys::seen(found.value())?;
            if seen.scope == scope {
                see(&seen);
            }
        }
        Ok(())
    }

    fn verify(&mut self) -> Result<()> {
        if self.database.check_integrity()? { Ok(()) } else { Err("it had to be repaired".into()) }
    }

    fn compact(&mut self) -> Result<()> {
        self.database.compact()?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.sync()
    }
}
