//! Annals, with all that it always does: ids, hash chain, logical clock, index.

use crate::engine::{Class, Engine, Id, Kind, Listener, Result, See, Setup, Total};
use crate::events::{Event, Seen};
use annals::{
    Append, AppendOptions, Batch, CodecError, CompactionConfig, CompactionStrategy, Coordinate,
    Cursor, Durability, EventId, EventKind, EventRef, EventSourced, ExpectedVersion, FollowError,
    Freshness, MemoryCache, Payload, Query, Region, Sequence, SourceEvent, Storage, Store,
    StoreConfig, Subscription, VerifyOptions, Version,
};
use std::ops::ControlFlow;
use std::path::Path;

pub const KIND: Kind = Kind {
    name: "annals",
    open,
    groups_in_app: false,
    syncs_always: false,
    events_max: usize::MAX,
    note: "`OnSync` / `Durable`; BLAKE3 chain, ids, logical clock and index included",
};

struct Annals(Store);

fn open(dir: &Path, setup: &Setup) -> Result<Box<dyn Engine>> {
    let durability = match setup.class {
        Class::Written => Durability::OnSync,
        Class::Durable => Durability::Durable,
    };
    let mut config =
        StoreConfig::new(dir).with_durability(durability).with_subscription_capacity(16_384);
    if let Some(bytes) = setup.segment_bytes {
        config = config.with_segment_max_bytes(bytes);
    }
    Ok(Box::new(Annals(Store::open_with_cache(config, MemoryCache::new(64 << 20))?)))
}

impl Engine for Annals {
    fn append(&self, event: &Event<'_>) -> Result<Id> {
        let coordinate = Coordinate::new(event.entity, event.scope)?;
        let payload = Payload::raw(event.payload);
        let receipt =
            self.0.append_with_options(&coordinate, kind(event.kind), payload, options(event))?;
        Ok(receipt.id.to_bytes())
    }

    fn append_batch(&self, events: &[Event<'_>]) -> Result<Vec<Id>> {
        let mut batch = Batch::new();
        for event in events {
            let coordinate = Coordinate::new(event.entity, event.scope)?;
            let append = Append::new(coordinate, kind(event.kind), Payload::raw(event.payload));
            batch = batch.push(append.with_options(options(event)));
        }
        Ok(self.0.append_batch(batch)?.iter().map(|receipt| receipt.id.to_bytes()).collect())
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()?;
        Ok(())
    }

    fn get(&self, id: &Id, see: See<'_>) -> Result<()> {
        show_owned(&self.0.get(EventId::from_bytes(*id))?, see);
        Ok(())
    }

    fn stream(&self, entity: &str, from: u64, see: See<'_>) -> Result<()> {
        if from == 0 {
            return show_all(self.0.stream(entity), see);
        }
        show_all(self.0.query(&Region::stream(entity).versions(Version::new(from)..)), see)
    }

    fn query(&self, scope: &str, number: u16, see: See<'_>) -> Result<()> {
        show_all(self.0.query(&Region::all().scope(scope).kind(kind(number))), see)
    }

    fn replay_borrowed(&self, see: See<'_>) -> Result<()> {
        show_all(self.0.query(&Region::all()), see)
    }

    fn replay_owned(&self, see: See<'_>) -> Result<()> {
        for event in self.0.query(&Region::all()) {
            show_owned(&event?, see);
        }
        Ok(())
    }

    fn poll(&self, scope: &str, from: u64, see: See<'_>) -> Result<()> {
        let after = from.checked_sub(1).map(Sequence::new);
        let mut cursor = Cursor::at(Region::all().scope(scope), after);
        cursor.poll_with(&self.0.reader(), usize::MAX, |event| {
            show(event, see);
            Ok::<_, annals::StoreError>(())
        })?;
        Ok(())
    }

    fn project(&self, entity: &str, held: &mut Total) -> Result<()> {
        let state = self.0.project::<Totals>(entity, Freshness::Consistent)?;
        *held = state.map_or(Total::default(), |projected| projected.state.0);
        Ok(())
    }

    fn listen(&self) -> Result<Box<dyn Listener>> {
        Ok(Box::new(Live(self.0.subscribe(&Region::all()))))
    }

    fn verify(&mut self) -> Result<()> {
        let report = self.0.verify(&VerifyOptions::default(), |_| ControlFlow::Continue(()));
        if report.is_whole() { Ok(()) } else { Err(format!("{:?}", report.faults).into()) }
    }

    fn compact(&mut self) -> Result<()> {
        let config = CompactionConfig::new(CompactionStrategy::Merge).with_seal_active(true);
        self.0.compact(&config, |_| ControlFlow::Continue(()))?;
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.0.close()?)
    }
}

struct Live(Subscription);

impl Listener for Live {
    fn wait(&mut self) -> Result<u64> {
        match self.0.recv() {
            Ok(_) => Ok(1),
            Err(FollowError::Lagged(lost)) => Ok(lost),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Totals(Total);

impl EventSourced for Totals {
    const NAME: &'static str = "totals";

    fn apply(&mut self, event: &SourceEvent<'_>) -> std::result::Result<(), CodecError> {
        self.0.add(event.payload().unwrap_or(&[]));
        Ok(())
    }
}

fn kind(number: u16) -> EventKind {
    EventKind::new(1, number)
}

fn options(event: &Event<'_>) -> AppendOptions {
    let expected = match event.version.checked_sub(1) {
        None => ExpectedVersion::NoStream,
        Some(last) => ExpectedVersion::Exact(Version::new(last)),
    };
    AppendOptions::default().with_expected_version(expected)
}

fn show_all<S: Storage>(mut query: Query<S>, see: See<'_>) -> Result<()> {
    while query.next_with(|event| show(event, see))?.is_some() {}
    Ok(())
}

fn show(event: &EventRef<'_>, see: See<'_>) {
    let header = event.header();
    see(&Seen {
        entity: header.entity(),
        scope: header.scope(),
        kind: header.kind().type_id(),
        version: header.version().get(),
        payload: event.payload().unwrap_or(&[]),
    });
}

fn show_owned(event: &annals::Event, see: See<'_>) {
    see(&Seen {
        entity: event.coordinate.entity(),
        scope: event.coordinate.scope(),
        kind: event.kind().type_id(),
        version: event.version().get(),
        payload: event.payload.bytes().unwrap_or(&[]),
    });
}
