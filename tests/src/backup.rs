//! Moving a store through a backup: the stream as bytes, and a store that has all there can be.

use annals_core::{
    Append, AppendOptions, BackupError, Batch, CheckpointName, CompactionConfig,
    CompactionStrategy, Coordinate, Event, EventKind, Export, ExportOptions, Host, Import,
    ImportSummary, Log, MetaSync, Payload, Reader, Region, Sequence, Storage, VerifyOptions,
    verify,
};
use std::ops::ControlFlow;
use std::sync::Arc;

/// The kind of [`fill_with_everything`]'s events, named `backup.noted`.
pub const NOTED: EventKind = EventKind::new(1, 7);

/// Everything that an export gives, taken in pieces of `chunk_len` bytes.
///
/// # Errors
///
/// As [`Export::next_chunk`].
pub fn bytes_of<S: Storage>(
    export: &mut Export<S>,
    chunk_len: usize,
) -> Result<Vec<u8>, BackupError> {
    let (mut bytes, mut chunk) = (Vec::new(), vec![0; chunk_len]);
    loop {
        let len = export.next_chunk(&mut chunk)?;
        if len == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&chunk[..len]);
    }
}

/// A backup of a log.
///
/// # Panics
///
/// If it can't be made.
pub fn backup<S: Storage, H: Host>(log: &Log<S, H>, options: &ExportOptions) -> Vec<u8> {
    let mut export = log.export(options).expect("an export begins");
    let bytes = bytes_of(&mut export, 100_000).expect("an export is made");
    assert_eq!(bytes.len() as u64, export.len(), "the length is known from the start");
    assert_eq!(export.position(), export.len());
    bytes
}

/// Feeds all of these bytes in pieces of `chunk_len`.
///
/// # Errors
///
/// As [`Import::feed`].
pub fn feed<S: Storage, H: Host>(
    import: &mut Import<S, H>,
    bytes: &[u8],
    chunk_len: usize,
) -> Result<(), BackupError> {
    for mut piece in bytes.chunks(chunk_len) {
        while !piece.is_empty() {
            let taken = import.feed(piece)?;
            piece = &piece[taken..];
        }
    }
    Ok(())
}

/// Takes a backup in and publishes it.
///
/// # Errors
///
/// As [`Import::feed`] and [`Import::publish`].
pub fn restore<S: Storage, H: Host>(
    storage: S,
    host: H,
    bytes: &[u8],
    chunk_len: usize,
) -> Result<ImportSummary, BackupError> {
    let mut import = Import::new(storage, host);
    feed(&mut import, bytes, chunk_len)?;
    import.publish()
}

/// Fills a log of small segments with what a store can hold: batches, metadata, causes, events
/// erased and gone, sealed segments and an active one, a named kind, checkpoints.
///
/// # Panics
///
/// If the log refuses any of it.
pub fn fill_with_everything<S: Storage, H: Host>(log: &mut Log<S, H>) {
    log.name_kind(NOTED, "backup.noted").expect("a name");
    append_some(log, 40);
    let all = CompactionConfig::new(CompactionStrategy::Erase(Arc::new(|event| {
        event.sequence().get() % 5 == 0
    })));
    compact(log, &all.with_seal_active(true).with_output_max_bytes(8 * 1024));
    let old = CompactionConfig::new(CompactionStrategy::Retention(Arc::new(|event| {
        event.sequence().get() % 7 != 3
    })));
    compact(log, &old.with_output_max_bytes(8 * 1024));
    append_some(log, 25);
    let (consumer, projection) =
        (CheckpointName::consumer("mailer"), CheckpointName::projection(b"balance"));
    log.set_checkpoint(consumer, b"far", MetaSync::Now).expect("a checkpoint");
    log.set_checkpoint(projection, b"much", MetaSync::Now).expect("a checkpoint");
}

/// Appends so many batches of one to three events, with metadata and causes.
///
/// # Panics
///
/// If the log refuses them.
pub fn append_some<S: Storage, H: Host>(log: &mut Log<S, H>, batches: u64) {
    let first = log.reader().end().get();
    let mut cause = None;
    for number in first..first + batches {
        let batch: Batch = (0..number % 3 + 1)
            .map(|item| {
                let entity = format!("order:{}", (number + item) % 4);
                let at = Coordinate::new(entity, "shop").expect("a valid coordinate");
                let mut options = AppendOptions::default().with_metadata(number.to_le_bytes());
                if let Some(cause) = cause {
                    options = options.with_causation(cause);
                }
                let payload = format!("payload {number} {item} {:0>300}", "");
                Append::new(at, NOTED, Payload::raw(payload)).with_options(options)
            })
            .collect();
        let receipts = log.append_batch(&batch).expect("the batch is fine");
        cause = receipts.first().map(|receipt| receipt.id);
    }
}

fn compact<S: Storage, H: Host>(log: &mut Log<S, H>, config: &CompactionConfig) {
    let mut from = Sequence::ZERO;
    while let Some(next) = log.begin_compaction(config, from).expect("a compaction begins") {
        from = next.end();
        let done = next.run(|_| ControlFlow::Continue(())).expect("a compaction runs");
        if let Some(done) = done {
            log.finish_compaction(&done).expect("a compaction is taken in");
        }
    }
}

/// All events that a reader sees.
///
/// # Panics
///
/// If one can't be read.
pub fn events<S: Storage>(reader: &Reader<S>) -> Vec<Event> {
    reader.query(&Region::all()).map(|event| event.expect("a readable event")).collect()
}

/// Both have equal events with equal hashes, and nothing is wrong with the copy.
///
/// # Panics
///
/// Where they differ.
pub fn assert_same<A: Storage, B: Storage>(original: &Reader<A>, copy: &Reader<B>) {
    assert_same_from(original, copy, Sequence::ZERO);
}

/// As [`assert_same`], of the events from a sequence on.
///
/// # Panics
///
/// Where they differ.
pub fn assert_same_from<A: Storage, B: Storage>(
    original: &Reader<A>,
    copy: &Reader<B>,
    from: Sequence,
) {
    assert_eq!(copy.store_id(), original.store_id());
    assert_eq!(copy.end(), original.end());
    let later = |event: &Event| event.sequence() >= from;
    let expected: Vec<Event> = events(original).into_iter().filter(later).collect();
    let found: Vec<Event> = events(copy).into_iter().filter(later).collect();
    assert_eq!(found.len(), expected.len());
    for (one, other) in expected.iter().zip(&found) {
        assert!(one == other, "event {} differs", one.sequence());
        assert_eq!(one.event_hash(), other.event_hash());
        assert!(&copy.get(one.id()).expect("by id") == other);
    }
    let report = verify(copy, &VerifyOptions::default(), |_| ControlFlow::Continue(()));
    assert!(report.is_whole(), "{:?}", report.faults);
}
