//! Random operations on a store and the model at once.

use annals_core::{
    Append, AppendOptions, AppendReceipt, Coordinate, Durability, Event, EventFlags, EventId,
    EventKind, ExpectedVersion, Log, LogConfig, Payload, PayloadFormat, PositionHint, Sequence,
    StoreError, Version,
};
use std::num::NonZeroU32;

use super::{
    Answer, Condition, EntityWish, Fact, Item, KindWish, Model, Question, Trial, check_log,
};
use crate::conformance::{Backend, TestHost};
use crate::sim_disk::Random;

const ENTITIES: [&str; 9] =
    ["order", "order:1", "order:10", "order:1:line:1", "order:1:line:2", "user:1", "u", "us", "z"];
const SCOPES: [&str; 3] = ["shop", "shop:2", "market"];
const KINDS: [EventKind; 6] = [
    EventKind::new(1, 1),
    EventKind::new(1, 2),
    EventKind::new(1, 0xFFF),
    EventKind::new(2, 1),
    EventKind::new(0xE, 0),
    EventKind::new(0xF, 0xFFF),
];

/// Runs `steps` random operations, decided by the seed, on a backend without files; every answer
/// is held against the model's.
///
/// # Panics
///
/// Where the store and the model disagree.
pub fn run<B: Backend>(backend: &B, seed: u64, steps: usize) {
    let mut random = Random::new(seed);
    let host = TestHost::new(random.next_u64());
    let config = config(&mut random);
    let log = open(backend, &host, &config);
    let mut run =
        Run { backend, random, host, config, log: Some(log), model: Model::default(), now_us: 0 };
    for _ in 0..steps {
        run.step();
    }
    run.reopen(true);
    run.compare_all();
    run.reopen(false);
    run.compare_all();
}

struct Run<'a, B: Backend> {
    backend: &'a B,
    random: Random,
    host: TestHost,
    config: LogConfig,
    /// Always there, but while it is opened again.
    log: Option<Log<B::Storage, TestHost>>,
    model: Model,
    now_us: i64,
}

fn open<B: Backend>(backend: &B, host: &TestHost, config: &LogConfig) -> Log<B::Storage, TestHost> {
    Log::open(backend.storage(), host.clone(), config.clone()).expect("the store opens")
}

/// Small segments, a cache of a few pages, any durability, sealing at close or not.
fn config(random: &mut Random) -> LogConfig {
    let durability = match random.below(3) {
        0 => Durability::Durable,
        1 => Durability::EveryN(NonZeroU32::new(3).expect("three")),
        _ => Durability::OnSync,
    };
    let seal_on_close_bytes = if random.one_in(2) { 1 } else { u64::MAX };
    LogConfig::default()
        .with_segment_max_bytes(4096 * (1 + random.below(4)))
        .with_index_cache_bytes([0, 20_000, 1_000_000][random.index(3)])
        .with_durability(durability)
        .with_seal_on_close_bytes(seal_on_close_bytes)
        .with_zeros_ahead_bytes([0, 1000, 10_000][random.index(3)])
}

impl<B: Backend> Run<'_, B> {
    fn step(&mut self) {
        self.move_clock();
        match self.random.below(100) {
            0..55 => self.append(),
            55..60 => self.replay(),
            60..80 => self.ask(),
            80..90 => self.look_up(),
            90..93 => self.walk(),
            93..95 => {
                let end = self.log().sync().expect("the sync works");
                assert_eq!(end.get(), self.model.facts().len() as u64);
            }
            95 => self.log().seal().expect("it can be sealed"),
            96 => self.reopen(true),
            97 => self.reopen(false),
            98 => self.log().close_in_place().expect("it can be closed"),
            _ => self.compare_all(),
        }
    }

    fn log(&mut self) -> &mut Log<B::Storage, TestHost> {
        self.log.as_mut().expect("open between the steps")
    }

    /// The clock jumps, stands still and goes back.
    fn move_clock(&mut self) {
        match self.random.below(12) {
            0 => self.now_us -= 5_000_000,
            1 => self.now_us = -1,
            2..5 => {}
            _ => self.now_us += i64::try_from(self.random.below(3_000)).expect("small"),
        }
        self.host.set_now_us(self.now_us);
    }

    fn reopen(&mut self, close: bool) {
        let mut log = self.log.take().expect("open between the steps");
        if close {
            log.close_in_place().expect("it closes");
        }
        drop(log);
        self.config = config(&mut self.random);
        self.log = Some(open(self.backend, &self.host, &self.config));
    }

    fn append(&mut self) {
        let trial = self.trial();
        self.attempt(&trial);
    }

    /// An earlier keyed append again, sometimes changed.
    fn replay(&mut self) {
        let Some(fact) = self.any_fact().cloned() else { return };
        let options = AppendOptions::default().with_idempotency_key(fact.id);
        let mut append =
            Append::new(fact.coordinate, fact.kind, fact.payload).with_options(options);
        match self.random.below(6) {
            0 => append.kind = KINDS[self.random.index(KINDS.len())],
            1 => append.coordinate = self.coordinate(),
            2 => append.options.expected_version = ExpectedVersion::Exact(Version::new(1 << 40)),
            _ => {}
        }
        let mut trial = Trial { items: vec![Item { append, condition: None }], condition: None };
        if self.random.one_in(4) {
            let more = self.item(1);
            trial.items.insert(self.random.index(2), more);
        }
        self.attempt(&trial);
    }

    fn attempt(&mut self, trial: &Trial) {
        let expected = self.model.answer(trial);
        let batch = trial.to_batch();
        let answer = match batch.items() {
            [single] if batch.condition().is_none() && self.random.one_in(2) => {
                self.log().append(single).map(|receipt| vec![receipt])
            }
            _ => self.log().append_batch(&batch),
        };
        match (answer, &expected) {
            (Ok(receipts), Answer::New) => self.model.apply(trial, &receipts),
            (Ok(receipts), Answer::Known { first }) => self.compare_receipts(&receipts, *first),
            (Ok(receipts), _) => panic!("{expected:?} expected, but appended: {receipts:?}"),
            (Err(error), _) => assert_eq!(Answer::from_error(&error), expected, "{error}"),
        }
        let end = self.log().reader().end();
        assert_eq!(end.get(), self.model.facts().len() as u64);
    }

    fn compare_receipts(&mut self, receipts: &[AppendReceipt], first: usize) {
        let facts = &self.model.facts()[first..first + receipts.len()];
        for (receipt, fact) in receipts.iter().zip(facts) {
            assert_eq!((receipt.id, receipt.event_hash), (fact.id, fact.event_hash));
            assert_eq!(receipt.sequence.get(), fact.sequence);
            assert_eq!(receipt.version.get(), fact.version);
            assert_eq!((receipt.timestamp_us, receipt.hlc), (fact.timestamp_us, fact.hlc));
        }
    }

    /// Asks a random question, in a random direction, with a random limit.
    fn ask(&mut self) {
        let question = self.question();
        let backward = self.random.one_in(2);
        let limit = if self.random.one_in(3) { self.random.below(6) } else { u64::MAX };
        let mut expected: Vec<&Fact> =
            self.model.facts().iter().filter(|fact| question.takes(fact)).collect();
        if backward {
            expected.reverse();
        }
        expected.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let reader = self.log.as_ref().expect("open between the steps").reader();
        let query = match &question.entity {
            Some(EntityWish::Exact(name)) if question == Question::stream(name) => {
                reader.stream(name)
            }
            _ => reader.query(&question.region()),
        };
        let query = if backward { query.backward() } else { query };
        let found: Result<Vec<Event>, StoreError> = query.limit(limit).collect();
        let found: Vec<Fact> = found.expect("readable").iter().map(Fact::from).collect();
        assert!(found.iter().eq(expected), "{question:?}, limit {limit}, backward {backward}");
    }

    fn look_up(&mut self) {
        let reader = self.log().reader();
        let entity = ENTITIES[self.random.index(ENTITIES.len())];
        let head = reader.head(entity).expect("an index");
        let head = head.map(|head| (head.version.get(), head.sequence.get()));
        let expected = self.model.head(entity).map(|fact| (fact.version, fact.sequence));
        assert_eq!(head, expected);
        let end = self.model.facts().len() as u64;
        for missing in [end, end + self.random.below(1000), u64::MAX] {
            assert!(matches!(
                reader.get_at(Sequence::new(missing)),
                Err(StoreError::SequenceNotFound(sequence)) if sequence.get() == missing
            ));
        }
        let unknown = EventId::from_bytes([self.random.next_u64().to_le_bytes()[0]; 16]);
        assert!(matches!(reader.get(unknown), Err(StoreError::NotFound(id)) if id == unknown));
        let Some(fact) = self.any_fact().cloned() else { return };
        assert_eq!(Fact::from(&reader.get(fact.id).expect("by id")), fact);
        let by_sequence = reader.get_at(Sequence::new(fact.sequence)).expect("by sequence");
        assert_eq!(Fact::from(&by_sequence), fact);
    }

    fn walk(&mut self) {
        let Some(fact) = self.any_fact().cloned() else { return };
        let limit = self.random.index(12);
        let reader = self.log().reader();
        let walk = reader.walk_ancestors(fact.id, limit).expect("the chain is whole");
        let entity = fact.coordinate.entity();
        let facts = self.model.facts()[..=usize::try_from(fact.sequence).expect("small")].iter();
        let expected = facts.rev().filter(|other| other.coordinate.entity() == entity).take(limit);
        let found: Vec<Fact> = walk.events.iter().map(Fact::from).collect();
        assert!(found.iter().eq(expected));
        let is_genesis = walk.end == annals_core::AncestorsEnd::Genesis;
        assert_eq!(is_genesis, limit as u64 > fact.version);
    }

    fn compare_all(&mut self) {
        let events = check_log(&self.log().reader()).expect("readable");
        let found: Vec<Fact> = events.iter().map(Fact::from).collect();
        assert_eq!(found, self.model.facts());
        let stats = self.log().stats().expect("numbers");
        let distinct = |name: fn(&Fact) -> &str| {
            let names: std::collections::BTreeSet<_> = found.iter().map(name).collect();
            names.len() as u64
        };
        assert_eq!(stats.events, found.len() as u64);
        assert_eq!(stats.entities, distinct(|fact| fact.coordinate.entity()));
        assert_eq!(stats.scopes, distinct(|fact| fact.coordinate.scope()));
        for (kind, count) in stats.kinds {
            assert_eq!(found.iter().filter(|fact| fact.kind == kind).count() as u64, count);
        }
        assert!(self.log().reader().diagnostics().index_damages.is_empty());
    }
}

/// What is tried and asked.
impl<B: Backend> Run<'_, B> {
    fn any_fact(&mut self) -> Option<&Fact> {
        let len = self.model.facts().len();
        if len == 0 {
            return None;
        }
        let at = self.random.index(len);
        self.model.facts().get(at)
    }

    fn trial(&mut self) -> Trial {
        let count = match self.random.below(12) {
            0..8 => 1,
            8 => 0,
            9 => 30,
            _ => 1 + self.random.index(5),
        };
        let items = (0..count).map(|place| self.item(place)).collect();
        let condition = self.random.one_in(8).then(|| self.condition());
        Trial { items, condition }
    }

    fn item(&mut self, place: usize) -> Item {
        let kind = KINDS[self.random.index(KINDS.len())];
        let mut append = Append::new(self.coordinate(), kind, self.payload());
        append.options = self.options(append.coordinate.entity());
        if self.random.one_in(5) {
            // Now and then a later item, which is refused.
            append = append.caused_by_item(self.random.index(place + 1));
        }
        let condition = self.random.one_in(12).then(|| self.condition());
        Item { append, condition }
    }

    fn coordinate(&mut self) -> Coordinate {
        let entity = ENTITIES[self.random.index(ENTITIES.len())];
        let scope = SCOPES[self.random.index(SCOPES.len())];
        Coordinate::new(entity, scope).expect("valid")
    }

    fn payload(&mut self) -> Payload {
        let len = match self.random.below(20) {
            0 => 9_000,
            1..4 => 900,
            _ => self.random.index(60),
        };
        let mut bytes = vec![0; len];
        self.random.fill(&mut bytes);
        let format = [PayloadFormat::Raw, PayloadFormat::Json, PayloadFormat::Postcard];
        let version = u16::try_from(self.random.below(3)).expect("small");
        Payload::from_parts(format[self.random.index(3)], version, bytes)
    }

    fn options(&mut self, entity: &str) -> AppendOptions {
        let mut options = AppendOptions::default();
        let actual = self.model.head(entity).map(|fact| Version::new(fact.version));
        options.expected_version = match self.random.below(12) {
            0 => ExpectedVersion::NoStream,
            1 => ExpectedVersion::StreamExists,
            2 => ExpectedVersion::Exact(Version::new(self.random.below(4))),
            3..6 => actual.map_or(ExpectedVersion::NoStream, ExpectedVersion::Exact),
            _ => ExpectedVersion::Any,
        };
        if self.random.one_in(6) {
            options.idempotency_key = Some(self.small_id());
        }
        if self.random.one_in(4) {
            options.correlation = Some(self.small_id());
        }
        if self.random.one_in(4) {
            options.causation = Some(self.small_id());
        }
        if self.random.one_in(4) {
            options.flags =
                EventFlags::from_bits(u16::from(self.random.next_u64().to_le_bytes()[0]));
        }
        if self.random.one_in(4) {
            options.metadata = Some(vec![7; self.random.index(40)]);
        }
        if self.random.one_in(6) {
            options.position = Some(PositionHint { lane: 2, depth: u32::MAX });
        }
        options
    }

    /// One of few ids, so that they meet.
    fn small_id(&mut self) -> EventId {
        EventId::from_key(&self.random.below(24).to_string())
    }

    fn condition(&mut self) -> Condition {
        let question = self.question();
        let end = self.model.facts().len() as u64;
        let after = match self.random.below(4) {
            0 => None,
            1 => Some(u64::MAX - 1),
            2 => end.checked_sub(1),
            _ => end.checked_sub(1 + self.random.below(8)),
        };
        Condition { question, after }
    }

    fn question(&mut self) -> Question {
        let mut question = Question::default();
        let name = ENTITIES[self.random.index(ENTITIES.len())].to_owned();
        question.entity = match self.random.below(8) {
            0 | 1 => Some(EntityWish::Exact(name)),
            2 => Some(EntityWish::Namespace(name)),
            3 => Some(EntityWish::Prefix(name[..self.random.index(name.len() + 1)].to_owned())),
            4 => return Question::stream(&name),
            _ => None,
        };
        if self.random.one_in(4) {
            question.scope = Some(SCOPES[self.random.index(SCOPES.len())].to_owned());
        }
        question.kinds = match self.random.below(6) {
            0 => Some(KindWish::Category([1, 2, 3, 0xF][self.random.index(4)])),
            1 => {
                let count = self.random.index(4);
                let kinds = (0..count).map(|_| KINDS[self.random.index(KINDS.len())]);
                Some(KindWish::AnyOf(kinds.collect()))
            }
            _ => None,
        };
        let end = self.model.facts().len() as u64 + 2;
        if self.random.one_in(5) {
            question.versions = Some((self.random.below(20), self.random.below(20)));
        }
        if self.random.one_in(4) {
            question.sequences = Some((self.random.below(end), self.random.below(end)));
        }
        if self.random.one_in(6) {
            let from = self.any_fact().map_or(0, |fact| fact.timestamp_us);
            let to = self.any_fact().map_or(0, |fact| fact.timestamp_us);
            question.times_us = Some((from.min(to), from.max(to)));
        }
        if self.random.one_in(6) {
            question.correlation = Some(self.small_id());
        }
        if self.random.one_in(8) {
            question.causation = Some(self.small_id());
        }
        question
    }
}

impl Question {
    /// All events of one entity, as `stream` asks for them.
    fn stream(entity: &str) -> Self {
        Question { entity: Some(EntityWish::Exact(entity.to_owned())), ..Question::default() }
    }
}
