//! A program of appends and questions made of any bytes; the model must answer the same.

use annals_core::{
    Append, AppendOptions, Coordinate, EventId, EventKind, LogConfig, MemoryStorage, Payload,
    Region, Sequence,
};

use crate::fixture::{MemoryLog, open_with};
use crate::model::{EntityWish, Fact, KindWish, Question};
use crate::sim_disk::Random;

const EVENTS_MAX: usize = 200;
const QUESTIONS_MAX: usize = 24;

/// A program to begin with.
pub(super) fn program(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 400];
    Random::new(seed).fill(&mut bytes);
    bytes
}

/// The bytes as choices; zeros behind the end.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, end: u8) -> u8 {
        self.byte() % end
    }

    fn maybe<T>(&mut self, choose: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) == 0).then(|| choose(self))
    }

    /// Names that begin alike, and colons where one may not expect them.
    fn name(&mut self) -> String {
        let parts = ["o", "or", "order", ":", "::", "order:1", "order:10", "1", "é"];
        let count = 1 + self.below(3);
        (0..count).map(|_| parts[usize::from(self.byte()) % parts.len()]).collect()
    }

    fn scope(&mut self) -> String {
        ["shop", "shop:2", "s"][usize::from(self.byte()) % 3].to_owned()
    }

    fn kind(&mut self) -> EventKind {
        let category = [1, 2, 0xE, 0xF][usize::from(self.byte()) % 4];
        EventKind::new(category, u16::from(self.below(3)))
    }

    fn id(&mut self) -> EventId {
        EventId::from_bytes([self.below(4); 16])
    }

    fn range(&mut self) -> (u64, u64) {
        (u64::from(self.byte()), u64::from(self.byte()))
    }

    fn question(&mut self) -> Question {
        Question {
            entity: self.maybe(|choices| match choices.below(3) {
                0 => EntityWish::Exact(choices.name()),
                1 => EntityWish::Namespace(choices.name()),
                _ => EntityWish::Prefix(choices.name()),
            }),
            scope: self.maybe(Self::scope),
            kinds: self.maybe(|choices| match choices.below(3) {
                0 => KindWish::Category([1, 2, 3, 0xF][usize::from(choices.byte()) % 4]),
                count => KindWish::AnyOf((0..count).map(|_| choices.kind()).collect()),
            }),
            versions: self.maybe(Self::range),
            sequences: self.maybe(Self::range),
            times_us: self.maybe(|choices| {
                let (first, last) = choices.range();
                let time =
                    |ticks: u64| 1_700_000_000_000_000 + i64::try_from(ticks).unwrap_or(0) * 1_000;
                (time(first), time(last))
            }),
            correlation: self.maybe(Self::id),
            causation: self.maybe(Self::id),
        }
    }
}

pub(super) fn region(data: &[u8]) {
    let mut choices = Choices(data);
    let storage = MemoryStorage::new();
    let config = LogConfig::default().with_segment_max_bytes(4 * 1024);
    let mut log = open_with(&storage, 1, config);
    let count = usize::from(choices.byte()) % EVENTS_MAX;
    for _ in 0..count {
        if choices.below(16) == 0 {
            log.seal().expect("memory does not fail");
        }
        let at = Coordinate::new(choices.name(), choices.scope()).expect("valid");
        let options = AppendOptions {
            correlation: choices.maybe(Choices::id),
            causation: choices.maybe(Choices::id),
            ..AppendOptions::default()
        };
        let append = Append::new(at, choices.kind(), Payload::raw([choices.byte()]));
        log.append(&append.with_options(options)).expect("nothing speaks against it");
    }
    let all = log.reader().query(&Region::all()).map(|event| Fact::from(&event.expect("whole")));
    let facts: Vec<Fact> = all.collect();
    assert_eq!(facts.len(), count);
    for _ in 0..QUESTIONS_MAX {
        if choices.0.is_empty() {
            break;
        }
        let question = choices.question();
        ask(&log, &facts, &question, &mut choices);
    }
}

fn ask(log: &MemoryLog, facts: &[Fact], question: &Question, choices: &mut Choices<'_>) {
    let region = question.region();
    let reader = log.reader();
    let expected: Vec<u64> =
        facts.iter().filter(|fact| question.takes(fact)).map(|fact| fact.sequence).collect();
    let sequences = |query: annals_core::Query<MemoryStorage>| -> Vec<u64> {
        query.map(|event| event.expect("whole").sequence().get()).collect()
    };
    assert_eq!(sequences(reader.query(&region)), expected, "{question:?}");
    let mut backward = sequences(reader.query(&region).backward());
    backward.reverse();
    assert_eq!(backward, expected, "backward: {question:?}");
    let (start, limit) = (u64::from(choices.byte()), choices.byte());
    let some: Vec<u64> = expected.iter().copied().filter(|sequence| *sequence >= start).collect();
    let some = &some[..some.len().min(usize::from(limit))];
    let query = reader.query(&region).starting_at(Sequence::new(start)).limit(u64::from(limit));
    assert_eq!(sequences(query), some, "from {start}, {limit} at most: {question:?}");
}
