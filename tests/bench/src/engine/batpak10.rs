//! batpak 0.10. Payloads are texts, as in batpak 0.1, and are read as the bytes that it stored.

use crate::engine::{Engine, Id, Kind, Listener, Result, See, Setup, Total};
use crate::events::{Event, Seen, next_id};
use batpak10::coordinate::{Coordinate, KindFilter, Region};
use batpak10::event::{
    EventKind, EventSourced, ProjectionEvent, ProjectionStateContract, RawMsgpackInput,
    StateExtent, StoredEvent,
};
use batpak10::id::{EntityIdType, EventId, IdempotencyKey};
use batpak10::store::{
    AppendOptions, BatchAppendItem, CausationRef, CompactionConfig, DurabilityGate, Freshness,
    IndexEntry, Store, StoreConfig, Subscription, SyncMode, WatermarkKind,
};
use std::path::Path;
use std::time::Duration;

pub const KIND: Kind = Kind {
    name: "batpak 0.10",
    open,
    groups_in_app: false,
    syncs_always: false,
    events_max: 100_000,
    note: "never synced / waits with its durability gate, groups of 256 at most; a batch takes no expected versions",
};

/// How many entries of the index a replay asks for at a time.
const PAGE: usize = 4_096;
/// How long an append may wait for its sync.
const GATE: Duration = Duration::from_secs(60);

/// The store, and whether each append is to be synced.
struct Batpak(Store, bool);

fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    let durable = setup.is_durable();
    let mut config = StoreConfig::new(dir.join("log"))
        .with_sync_mode(SyncMode::SyncData)
        .with_sync_every_n_events(if durable { 1 } else { u32::MAX })
        .with_group_commit_max_batch(if durable { 256 } else { 1 })
        .with_batch_max_size(4_096)
        .with_batch_max_bytes(16 << 20)
        .with_incremental_projection(true)
        .with_broadcast_capacity(16_384);
    if let Some(bytes) = setup.segment_bytes {
        config = config.with_segment_max_bytes(bytes);
    }
    Ok(Box::new(Batpak(Store::open_with_native_cache(config, dir.join("cache"))?, durable)))
}

impl Batpak {
    fn show<'e>(
        &self,
        found: impl IntoIterator<Item = &'e IndexEntry>,
        see: See<'_>,
    ) -> Result<()> {
        found.into_iter().try_for_each(|entry| show(&self.0.read_raw(entry.event_id())?, see))
    }

    fn page(&self, region: &Region, from: u64, see: See<'_>) -> Result<()> {
        let mut after = from.checked_sub(1);
        loop {
            let page = self.0.query_entries_after(region, after, PAGE);
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.global_sequence());
            self.show(page.iter().filter(|entry| !entry.event_kind().is_reserved()), see)?;
        }
    }
}

impl Engine for Batpak {
    fn append(&self, event: &Event<'_>) -> Result<Id> {
        let coordinate = Coordinate::new(event.entity, event.scope)?;
        let kind = EventKind::custom(1, event.kind);
        // Its versions begin at 0, and it expects 0 of an empty stream, too.
        let last = u32::try_from(event.version.saturating_sub(1))?;
        let mut options = AppendOptions::new().with_cas(last);
        if self.1 {
            // It groups only what has a key.
            let key = IdempotencyKey::from(u128::from_be_bytes(next_id()));
            options = options.with_idempotency(key);
            // It answers before it syncs, unless it is told to wait.
            options.gate = Some(DurabilityGate::new(WatermarkKind::Durable, GATE));
        }
        let payload = std::str::from_utf8(event.payload)?;
        let receipt = self.0.append_with_options(&coordinate, kind, &payload, options)?;
        Ok(receipt.event_id.as_u128().to_be_bytes())
    }

    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        let item = |event: &Event<'_>| -> Result<_> {
            let coordinate = Coordinate::new(event.entity, event.scope)?;
            let kind = EventKind::custom(1, event.kind);
            let payload = std::str::from_utf8(event.payload)?;
            let mut options = AppendOptions::new();
            if self.1 {
                let key = IdempotencyKey::from(u128::from_be_bytes(next_id()));
                options = options.with_idempotency(key);
            }
            Ok(BatchAppendItem::new(coordinate, kind, &payload, options, CausationRef::None)?)
        };
        let items = events.iter().map(item).collect::<Result<_>>()?;
        let receipts = self.0.append_batch(items)?;
        Ok(receipts.iter().map(|receipt| receipt.event_id.as_u128().to_be_bytes()).collect())
    }

    fn sync(&self) -> Result<()> {
        Ok(self.0.sync()?)
    }

    fn get(&self, id: &Id, see: See<'_>) -> Result<()> {
        show(&self.0.read_raw(EventId::from_u128(u128::from_be_bytes(*id)))?, see)
    }

    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()> {
        let entries = self.0.by_entity(entity);
        self.show(entries.iter().filter(|entry| u64::from(entry.clock()) >= from), see)
    }

    fn query(&self, scope: &str, kind: u16, see: See<'_>) -> Result<()> {
        let kind = KindFilter::Exact(EventKind::custom(1, kind));
        self.show(&self.0.query(&Region::scope(scope).with_fact(kind)), see)
    }

    fn replay_owned(&self, see: See<'_>) -> Result<()> {
        self.page(&Region::all(), 0, see)
    }

    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()> {
        self.page(&Region::scope(scope), from, see)
    }

    fn project(&self, entity: &str, held: &mut Total) -> Result<()> {
        let state = self.0.project::<Totals>(entity, &Freshness::Consistent)?;
        *held = state.map_or(Total::default(), |state| state.0);
        Ok(())
    }

    fn listen(&self) -> Result<Box<dyn Listener>> {
        Ok(Box::new(Live(self.0.subscribe_lossy(&Region::all()))))
    }

    fn verify(&mut self) -> Result<()> {
        let report = self.0.verify_chain()?;
        if report.is_intact() { Ok(()) } else { Err(format!("{report:?}").into()) }
    }

    fn compact(&mut self) -> Result<()> {
        self.0.compact(&CompactionConfig::default())?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.0.close()?;
        Ok(())
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

impl EventSourced for Totals {
    type Input = RawMsgpackInput;
    const STATE_CONTRACT: ProjectionStateContract =
        ProjectionStateContract::single_entity("total-of-entity");

    fn from_events(events: &[ProjectionEvent<Self>]) -> Option<Self> {
        let mut state = Totals::default();
        events.iter().for_each(|event| state.apply_event(event));
        Some(state)
    }

    fn apply_event(&mut self, event: &ProjectionEvent<Self>) {
        self.0.add(text(&event.payload).unwrap_or(&[]));
    }

    fn relevant_event_kinds() -> &'static [EventKind] {
        &[]
    }

    fn supports_incremental_apply() -> bool {
        true
    }

    fn state_extent(&self) -> StateExtent {
        StateExtent::single_entity()
    }
}

fn show(stored: &StoredEvent<Vec<u8>>, see: See<'_>) -> Result<()> {
    see(&Seen {
        entity: stored.coordinate.entity(),
        scope: stored.coordinate.scope(),
        kind: stored.event.header.event_kind.type_id(),
        version: stored.event.header.position.sequence().into(),
        payload: text(&stored.event.payload).ok_or("the payload is no text")?,
    });
    Ok(())
}

/// The bytes of a MessagePack text.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    match *bytes.first()? {
        0xa0..=0xbf => bytes.get(1..),
        0xd9 => bytes.get(2..),
        0xda => bytes.get(3..),
        0xdb => bytes.get(5..),
        _ => None,
    }
}
