//! Linearizability of a store, checked against the one total order that a log has.
//!
//! A [`History`] notes when each call was made and answered, by a clock that only counts. With
//! the log at hand no search is needed: each acknowledged event has its place, so what is left is
//! to give every event a moment within its calls' spans, in the order of the log, and to find
//! for every refusal and every read a length of the log, possible within its span, at which
//! a naive model of the rules gives that very answer.

use annals_core::{
    Append, AppendCondition, AppendReceipt, Batch, Event, EventId, ExpectedVersion, Hash, Sequence,
    StoreError, Version,
};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The calls of all threads, with their spans.
#[derive(Debug, Default)]
pub struct History {
    clock: AtomicU64,
    calls: Mutex<Vec<Call>>,
}

/// One call: what was asked, what was answered, and when.
#[derive(Debug)]
struct Call {
    invoked: u64,
    answered: u64,
    asked: Asked,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most calls are appends")]
enum Asked {
    Append { batch: Batch, answer: Result<Vec<AppendReceipt>, StoreError> },
    Read { end: Sequence },
}

/// What the check has seen, so that a test can say that it was not trivial.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Batches that were written.
    pub written: u64,
    /// Answers that repeated an earlier one, by their idempotency key.
    pub replayed: u64,
    /// Batches refused for a version, a key or a condition.
    pub refused: u64,
    /// Batches that failed for another reason: they may or may not have been written.
    pub failed: u64,
    /// Reads.
    pub reads: u64,
}

impl History {
    /// Makes a call that appends `batch`, and notes it.
    pub fn append(
        &self,
        batch: Batch,
        act: impl FnOnce(Batch) -> Result<Vec<AppendReceipt>, StoreError>,
    ) -> Result<Vec<AppendReceipt>, StoreError> {
        let invoked = self.tick();
        let answer = act(batch.clone());
        let answered = self.tick();
        let asked = Asked::Append { batch, answer: answer.clone() };
        self.note(Call { invoked, answered, asked });
        answer
    }

    /// Makes a call that reads, and notes the end of what it sees.
    pub fn read(&self, act: impl FnOnce() -> Sequence) {
        let invoked = self.tick();
        let end = act();
        let answered = self.tick();
        self.note(Call { invoked, answered, asked: Asked::Read { end } });
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn note(&self, call: Call) {
        self.calls.lock().expect("no check panics under it").push(call);
    }

    /// Checks the calls against the whole log.
    ///
    /// # Panics
    ///
    /// If they are not linearizable, or if the log itself breaks a rule.
    #[must_use]
    pub fn check(self, log: &[Event]) -> Seen {
        check_log(log);
        let mut calls = self.calls.into_inner().expect("no check panics under it");
        calls.sort_by_key(|call| call.invoked);
        let model = Model::new(log);
        let mut seen = Seen::default();
        let spans = spans_of_events(&calls, log, &mut seen);
        let lengths = Lengths::new(&spans);
        check_answers(&calls, &model, &lengths, &mut seen);
        seen
    }
}

/// Sequences and versions without gaps, a clock that rises, an unbroken chain.
///
/// # Panics
///
/// If the log breaks one of these rules.
pub fn check_log(log: &[Event]) {
    let mut heads: HashMap<&str, (Version, Hash)> = HashMap::new();
    let mut hlc = None;
    let mut ids = std::collections::HashSet::new();
    for (at, event) in log.iter().enumerate() {
        assert_eq!(event.sequence().get(), at as u64, "sequences have no gap");
        let head = heads.get(event.coordinate.entity());
        let version = head.map_or(Version::ZERO, |(version, _)| version.next());
        assert_eq!(event.version(), version, "versions of {} have no gap", event.coordinate);
        let hash = head.map_or(Hash::ZERO, |(_, hash)| *hash);
        assert_eq!(event.header.prev_hash, hash, "the chain of {} holds", event.coordinate);
        assert!(hlc < Some(event.header.position.hlc), "the clock rises at {at}");
        hlc = Some(event.header.position.hlc);
        assert!(ids.insert(event.id()), "the id {} is there twice", event.id());
        heads.insert(event.coordinate.entity(), (event.version(), event.event_hash()));
    }
}

/// When each event can have been committed: after the first call that may have written it was
/// made, before the first call that acknowledged it was answered.
fn spans_of_events(calls: &[Call], log: &[Event], seen: &mut Seen) -> Vec<(u64, u64)> {
    let mut spans = vec![(u64::MAX, u64::MAX); log.len()];
    let mut claims: HashMap<EventId, Vec<&AppendReceipt>> = HashMap::new();
    let mut may_be_anywhere = u64::MAX;
    for call in calls {
        let Asked::Append { batch, answer } = &call.asked else { continue };
        match answer {
            Ok(receipts) => {
                assert_eq!(receipts.len(), batch.items().len(), "a receipt for each event");
                for (append, receipt) in batch.items().iter().zip(receipts) {
                    let place = usize::try_from(receipt.sequence.get()).expect("fits");
                    let event = log.get(place).expect("an acknowledged event is in the log");
                    check_receipt(append, receipt, event);
                    let span = &mut spans[place];
                    *span = (span.0.min(call.invoked), span.1.min(call.answered));
                    claims.entry(receipt.id).or_default().push(receipt);
                }
                let first = receipts.first().map_or(0, |receipt| receipt.sequence.get());
                for (receipt, place) in receipts.iter().zip(first..) {
                    assert_eq!(receipt.sequence.get(), place, "a batch stands together");
                }
            }
            Err(error) if is_refusal(error) => {}
            Err(_) => {
                seen.failed += 1;
                may_be_anywhere = may_be_anywhere.min(call.invoked);
            }
        }
    }
    for (id, receipts) in claims {
        for receipt in &receipts {
            let (first, again) = (receipts[0], receipt);
            let equal = (first.sequence, first.version, first.event_hash, first.hlc)
                == (again.sequence, again.version, again.event_hash, again.hlc);
            assert!(equal, "every answer to the key {id} is the same");
        }
    }
    for (place, span) in spans.iter_mut().enumerate() {
        if span.0 == u64::MAX {
            assert!(may_be_anywhere < u64::MAX, "nobody appended event {place}");
            span.0 = may_be_anywhere;
        }
    }
    spans
}

fn check_receipt(append: &Append, receipt: &AppendReceipt, event: &Event) {
    assert_eq!(event.id(), receipt.id);
    assert_eq!(event.version(), receipt.version);
    assert_eq!(event.event_hash(), receipt.event_hash);
    assert_eq!(event.header.timestamp_us, receipt.timestamp_us);
    assert_eq!(event.header.position.hlc, receipt.hlc);
    assert_eq!(event.coordinate, append.coordinate);
    assert_eq!(event.kind(), append.kind);
    assert_eq!(event.payload, append.payload);
}

fn is_refusal(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::VersionConflict { .. }
            | StoreError::IdempotencyConflict { .. }
            | StoreError::ConditionFailed { .. }
    )
}

/// How long the log can have been at each moment.
struct Lengths {
    /// The earliest moment at which each event can be there, the order of the log kept.
    earliest: Vec<u64>,
    /// The latest at which it can have come.
    latest: Vec<u64>,
}

impl Lengths {
    fn new(spans: &[(u64, u64)]) -> Self {
        let mut earliest = Vec::with_capacity(spans.len());
        let mut moment = 0;
        for (place, (from, to)) in spans.iter().enumerate() {
            moment = moment.max(*from);
            assert!(
                moment <= *to,
                "event {place} was acknowledged before an event that precedes it was asked for"
            );
            earliest.push(moment);
        }
        let mut latest: Vec<u64> = spans.iter().map(|(_, to)| *to).collect();
        for place in (1..latest.len()).rev() {
            latest[place - 1] = latest[place - 1].min(latest[place]);
        }
        Lengths { earliest, latest }
    }

    /// The least and the greatest length within a span.
    fn within(&self, invoked: u64, answered: u64) -> (usize, usize) {
        let least = self.latest.partition_point(|latest| *latest < invoked);
        let greatest = self.earliest.partition_point(|earliest| *earliest < answered);
        (least, greatest)
    }
}

fn check_answers(calls: &[Call], model: &Model<'_>, lengths: &Lengths, seen: &mut Seen) {
    // The lengths that answers stood for, by when they were given: what comes later may not have
    // seen less.
    let mut stood_for: Vec<(u64, usize)> = Vec::new();
    for call in calls {
        let (least, greatest) = lengths.within(call.invoked, call.answered);
        let before = stood_for.iter().filter(|(answered, _)| *answered < call.invoked);
        let least = before.map(|(_, length)| *length).fold(least, usize::max);
        let length = match &call.asked {
            Asked::Read { end } => {
                seen.reads += 1;
                let end = usize::try_from(end.get()).expect("fits");
                assert!(
                    (least..=greatest).contains(&end),
                    "a read saw {end} events where there can be {least} to {greatest}"
                );
                end
            }
            Asked::Append { batch, answer: Ok(receipts) } => {
                let Some(first) = receipts.first() else { continue };
                let first = usize::try_from(first.sequence.get()).expect("fits");
                let end = first + receipts.len();
                match model.answer(batch, first) {
                    Ok(()) if first >= least => seen.written += 1,
                    written => {
                        let known = batch.items()[0].options.idempotency_key;
                        let at = known.map(|_| end.max(least));
                        let again = at.map(|at| model.answer(batch, at));
                        let replayed = Ok::<_, String>(());
                        assert!(
                            again.as_ref() == Some(&replayed),
                            "{batch:?} was written at {first}, but there it is {written:?}"
                        );
                        seen.replayed += 1;
                    }
                }
                end
            }
            Asked::Append { batch, answer: Err(error) } if is_refusal(error) => {
                seen.refused += 1;
                let refused = Err(format!("{error:?}"));
                let at = (least..=greatest).find(|at| model.answer(batch, *at) == refused);
                at.unwrap_or_else(|| {
                    panic!("{batch:?} was refused with {error:?}, which no state of the log from {least} to {greatest} explains")
                })
            }
            Asked::Append { .. } => continue,
        };
        stood_for.push((call.answered, length));
    }
}

/// The rules of an append, as naive as can be.
struct Model<'a> {
    log: &'a [Event],
    streams: HashMap<&'a str, Vec<usize>>,
    ids: HashMap<EventId, usize>,
}

impl<'a> Model<'a> {
    fn new(log: &'a [Event]) -> Self {
        let mut streams: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, event) in log.iter().enumerate() {
            streams.entry(event.coordinate.entity()).or_default().push(place);
        }
        let ids = log.iter().enumerate().map(|(place, event)| (event.id(), place)).collect();
        Model { log, streams, ids }
    }

    /// Whether the batch is taken when the log has `length` events; else why not.
    fn answer(&self, batch: &Batch, length: usize) -> Result<(), String> {
        let refuse = |error: StoreError| Err(format!("{error:?}"));
        if let [append] = batch.items()
            && let Some(id) = append.options.idempotency_key
            && let Some(place) = self.ids.get(&id).filter(|place| **place < length)
        {
            let event = &self.log[*place];
            let same = event.coordinate == append.coordinate
                && event.kind() == append.kind
                && event.payload == append.payload;
            let sequence = event.sequence();
            return if same {
                Ok(())
            } else {
                refuse(StoreError::IdempotencyConflict { id, sequence })
            };
        }
        let own = batch.items().iter().filter_map(|append| append.options.condition.as_ref());
        for AppendCondition { region, after } in batch.condition().into_iter().chain(own) {
            let first = after.map_or(0, |after| usize::try_from(after.get()).expect("fits") + 1);
            let events = self.log[..length].iter().skip(first);
            if let Some(event) = events.into_iter().find(|event| region.matches(event)) {
                return refuse(StoreError::ConditionFailed { sequence: event.sequence() });
            }
        }
        let mut grown: HashMap<&str, u64> = HashMap::new();
        for append in batch.items() {
            let entity = append.coordinate.entity();
            let count = grown.entry(entity).or_insert_with(|| self.stream_len(entity, length));
            let actual = count.checked_sub(1).map(Version::new);
            let expected = append.options.expected_version;
            let holds = match expected {
                ExpectedVersion::Any => true,
                ExpectedVersion::NoStream => actual.is_none(),
                ExpectedVersion::StreamExists => actual.is_some(),
                ExpectedVersion::Exact(version) => actual == Some(version),
            };
            if !holds {
                let entity = entity.to_owned();
                return refuse(StoreError::VersionConflict { entity, expected, actual });
            }
            *count += 1;
        }
        Ok(())
    }

    fn stream_len(&self, entity: &str, length: usize) -> u64 {
        let places = self.streams.get(entity).map(Vec::as_slice).unwrap_or_default();
        places.partition_point(|place| *place < length) as u64
    }
}
