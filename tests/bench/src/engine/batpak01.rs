//! batpak 0.1. It has no batches and reads payloads as JSON values only, so payloads are texts.

use crate::engine::{Engine, Id, Kind, Listener, Result, See, Setup, Total};
use crate::events::{Event, Seen};
use batpak01::event::EventSourced;
use batpak01::prelude::{
    AppendOptions, CompactionConfig, Coordinate, EventKind, Freshness, IndexEntry, KindFilter,
    Region, Store, StoreConfig, StoredEvent, Subscription, SyncMode,
};
use serde_json::Value;
use std::path::Path;

pub const KIND: Kind = Kind {
    name: "batpak 0.1",
    open,
    groups_in_app: false,
    syncs_always: false,
    events_max: 10_000,
    note: "never synced / its `sync` after each append, since it answers before it syncs by itself; it has no batch, so a batch is single appends",
};

/// The store, and whether each append is to be synced.
struct Batpak(Store, bool);

fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    let mut config = StoreConfig::new(dir);
    config.sync_mode = SyncMode::SyncData;
    config.sync_every_n_events = u32::MAX;
    config.broadcast_capacity = 16_384;
    if let Some(bytes) = setup.segment_bytes {
        config.segment_max_bytes = bytes;
    }
    Ok(Box::new(Batpak(Store::open(config)?, setup.is_durable())))
}

impl Batpak {
    fn show<'e>(
        &self,
        found: impl IntoIterator<Item = &'e IndexEntry>,
        see: See<'_>,
    ) -> Result<()> {
        found.into_iter().try_for_each(|entry| show(&self.0.get(entry.event_id)?, see))
    }
}

impl Engine for Batpak {
    fn append(&self, event: &Event<'_>) -> Result<Id> {
        let coordinate = Coordinate::new(event.entity, event.scope)?;
        let kind = EventKind::custom(1, event.kind);
        // Its versions begin at 0, and it expects 0 of an empty stream, too.
        let last = u32::try_from(event.version.saturating_sub(1))?;
        let options = AppendOptions::new().with_cas(last);
        let payload = std::str::from_utf8(event.payload)?;
        let receipt = self.0.append_with_options(&coordinate, kind, &payload, options)?;
        if self.1 {
            // Its own syncs come after the answer.
            self.0.sync()?;
        }
        Ok(receipt.event_id.to_be_bytes())
    }

    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        events.iter().map(|event| self.append(event)).collect()
    }

    fn sync(&self) -> Result<()> {
        Ok(self.0.sync()?)
    }

    fn get(&self, id: &Id, see: See<'_>) -> Result<()> {
        show(&self.0.get(u128::from_be_bytes(*id))?, see)
    }

    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()> {
        let entries = self.0.stream(entity);
        self.show(entries.iter().filter(|entry| u64::from(entry.clock) >= from), see)
    }

    fn query(&self, scope: &str, kind: u16, see: See<'_>) -> Result<()> {
        let kind = KindFilter::Exact(EventKind::custom(1, kind));
        self.show(&self.0.query(&Region::scope(scope).with_fact(kind)), see)
    }

    fn replay_owned(&self, see: See<'_>) -> Result<()> {
        self.show(&self.0.query(&Region::all()), see)
    }

    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()> {
        // A cursor can't be opened at a position, so this is what its poll does: all, filtered.
        let entries = self.0.query(&Region::scope(scope));
        self.show(entries.iter().filter(|entry| entry.global_sequence >= from), see)
    }

    fn project(&self, entity: &str, held: &mut Total) -> Result<()> {
        let state = self.0.project::<Totals>(entity, &Freshness::Consistent)?;
        *held = state.map_or(Total::default(), |state| state.0);
        Ok(())
    }

    fn listen(&self) -> Result<Box<dyn Listener>> {
        Ok(Box::new(Live(self.0.subscribe(&Region::all()))))
    }

    fn compact(&mut self) -> Result<()> {
        self.0.compact(&CompactionConfig::default())?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}

struct Live(Subscription);

impl Listener for Live {
    fn wait(&mut self) -> Result<u64> {
        self.0.recv().map(|_| 1).ok_or_else(|| "the store is closed".into())
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Totals(Total);

impl EventSourced<Value> for Totals {
    fn from_events(events: &[batpak01::event::Event<Value>]) -> Option<Self> {
        let mut state = Totals::default();
        events.iter().for_each(|event| state.apply_event(event));
        Some(state)
    }

    fn apply_event(&mut self, event: &batpak01::event::Event<Value>) {
        self.0.add(&text(&event.payload).unwrap_or_default());
    }

    fn relevant_event_kinds() -> &'static [EventKind] {
        &[]
    }
}

fn show(stored: &StoredEvent<Value>, see: See<'_>) -> Result<()> {
    see(&Seen {
        entity: stored.coordinate.entity(),
        scope: stored.coordinate.scope(),
        kind: stored.event.header.event_kind.type_id(),
        version: stored.event.header.position.sequence.into(),
        payload: &text(&stored.event.payload).ok_or("the payload is no text")?,
    });
    Ok(())
}

/// The text in a payload: it gives the bytes of its MessagePack as an array of numbers.
fn text(payload: &Value) -> Option<Vec<u8>> {
    let numbers = payload.as_array()?;
    let head = match numbers.first()?.as_u64()? {
        0xa0..=0xbf => 1,
        0xd9 => 2,
        0xda => 3,
        0xdb => 5,
        _ => return None,
    };
    let byte = |number: &Value| number.as_u64().and_then(|number| u8::try_from(number).ok());
    numbers.get(head..)?.iter().map(byte).collect()
}
