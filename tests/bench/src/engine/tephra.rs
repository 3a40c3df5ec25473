//! tephra: an event has tags for its entity, its version in it, its id and its scope; an append
//! fails where the version's or the id's is there already.

use crate::engine::{Engine, Id, Kind, Listener, Result, See, Setup, Total, keys};
use crate::events::{Event, Seen, next_id};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use tephra::{
    AppendCondition, EventType, Position, Query, QueryItem, SegmentConfig, SegmentSet,
    Subscription, Tag, Tags, WriteCoordinator, WriteHandle, WriterConfig,
};

pub const KIND: Kind = Kind {
    name: "tephra",
    open,
    groups_in_app: false,
    syncs_always: true,
    events_max: usize::MAX,
    note: "syncs every append and batch, so it is left out where single appends are not synced; its newest segment is 256 MiB, made ahead",
};

/// What its own example has.
const SEGMENT_BYTES: usize = 256 << 20;

struct Tephra {
    handle: WriteHandle,
    coordinator: WriteCoordinator,
    /// Where the events end that the states of the application have taken in.
    projected: Mutex<HashMap<String, Position>>,
}

fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    let len = setup.segment_bytes.map_or(Ok(SEGMENT_BYTES), usize::try_from)?;
    let set = SegmentSet::open(dir.join("tephra"), SegmentConfig::new(len))?;
    let defaults = WriterConfig::default();
    let max_batch_bytes = defaults.max_batch_bytes.min(set.segment_capacity());
    let (coordinator, handle) =
        WriteCoordinator::start(set, WriterConfig { max_batch_bytes, ..defaults })?;
    Ok(Box::new(Tephra { handle, coordinator, projected: Mutex::default() }))
}

impl Tephra {
    /// Shows what matches behind a position, and says which was the last.
    fn show(&self, query: &Query, after: Position, see: See<'_>) -> Result<Position> {
        let (mut reads, mut last) = (self.handle.read(query, after, None), after);
        while let Some(found) = reads.next() {
            let found = found?;
            see(&keys::seen(found.event.data())?);
            last = found.position;
        }
        Ok(last)
    }

    fn append_all(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        let (mut ids, mut taken) = (Vec::new(), Vec::with_capacity(events.len() * 2));
        let mut encoded = Vec::with_capacity(events.len());
        for event in events {
            let id = next_id();
            let (version, id_tag) = (version_tag(event.entity, event.version)?, id_tag(&id)?);
            taken.push(tagged(version.clone())?);
            taken.push(tagged(id_tag.clone())?);
            let tags = [entity_tag(event.entity)?, version, id_tag, scope_tag(event.scope)?];
            let data = keys::record(&id, event)?;
            encoded.push(tephra::Event::new(&type_of(event.kind)?, &Tags::new(tags)?, &data)?);
            ids.push(id);
        }
        let condition = AppendCondition::exists_only(Query::items(taken));
        self.handle.append(encoded, Some(condition))?;
        Ok(ids)
    }
}

impl Engine for Tephra {
    fn append(&self, event: &Event<'_>) -> Result<Id> {
        Ok(self.append_all(std::slice::from_ref(event))?[0])
    }

    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        self.append_all(events)
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn get(&self, id: &Id, see: See<'_>) -> Result<()> {
        let query = Query::item(tagged(id_tag(id)?)?);
        let last = self.show(&query, Position::ZERO, see)?;
        if last == Position::ZERO { Err("there is no such id".into()) } else { Ok(()) }
    }

    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()> {
        let query = Query::item(tagged(entity_tag(entity)?)?);
        let mut see_later = |seen: &Seen<'_>| {
            if seen.version >= from {
                see(seen);
            }
        };
        self.show(&query, Position::ZERO, &mut see_later).map(drop)
    }

    fn query(&self, scope: &str, kind: u16, see: See<'_>) -> Result<()> {
        let item = QueryItem::new(vec![type_of(kind)?], Tags::new([scope_tag(scope)?])?);
        self.show(&Query::item(item), Position::ZERO, see).map(drop)
    }

    fn replay_borrowed(&self, see: See<'_>) -> Result<()> {
        self.show(&Query::all(), Position::ZERO, see).map(drop)
    }

    fn replay_owned(&self, see: See<'_>) -> Result<()> {
        let mut own = |seen: &Seen<'_>| Seen::to_owned(*seen).show(see);
        self.show(&Query::all(), Position::ZERO, &mut own).map(drop)
    }

    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()> {
        let query = Query::item(tagged(scope_tag(scope)?)?);
        // Positions begin at 1, and what is asked for is behind one.
        self.show(&query, Position::new(from), see).map(drop)
    }

    fn project(&self, entity: &str, held: &mut Total) -> Result<()> {
        let query = Query::item(tagged(entity_tag(entity)?)?);
        let mut projected = self.projected.lock().unwrap_or_else(PoisonError::into_inner);
        let held_to = projected.get(entity).copied().filter(|_| held.events > 0);
        let mut total = *held;
        let after = held_to.unwrap_or(Position::ZERO);
        let last = self.show(&query, after, &mut |seen| total.add(seen.payload))?;
        *held = total;
        if held_to != Some(last) {
            projected.insert(entity.into(), last);
        }
        Ok(())
    }

    fn listen(&self) -> Result<Box<dyn Listener>> {
        Ok(Box::new(Live(self.handle.subscribe(Query::all(), Position::ZERO))))
    }

    fn close(self: Box<Self>) -> Result<()> {
        drop(self.handle);
        self.coordinator.shutdown();
        Ok(())
    }
}

struct Live(Subscription);

impl Listener for Live {
    fn wait(&mut self) -> Result<u64> {
        let batch = self.0.next_batch().ok_or("the store is closed")??;
        Ok(batch.len() as u64)
    }
}

fn type_of(kind: u16) -> Result<EventType> {
    Ok(EventType::new(format!("kind-{kind}"))?)
}

fn entity_tag(entity: &str) -> Result<Tag> {
    Ok(Tag::new(format!("entity:{entity}"))?)
}

fn version_tag(entity: &str, version: u64) -> Result<Tag> {
    Ok(Tag::new(format!("version:{entity}@{version}"))?)
}

fn id_tag(id: &Id) -> Result<Tag> {
    Ok(Tag::new(format!("id:{:032x}", u128::from_be_bytes(*id)))?)
}

fn scope_tag(scope: &str) -> Result<Tag> {
    Ok(Tag::new(format!("scope:{scope}"))?)
}

fn tagged(tag: Tag) -> Result<QueryItem> {
    Ok(QueryItem::with_tags(Tags::new([tag])?))
}
