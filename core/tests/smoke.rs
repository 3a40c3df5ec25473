#![allow(missing_docs)]
use annals_core::*;
struct Fixed(std::cell::Cell<u64>);
impl Host for Fixed {
    fn now_us(&self) -> i64 {
        1_700_000_000_000_000
    }
    fn fill_random(&self, buffer: &mut [u8]) {
        for b in buffer {
            let mut x = self.0.get();
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            self.0.set(x);
            *b = (x >> 32).to_le_bytes()[0];
        }
    }
}
fn host(n: u64) -> Fixed {
    Fixed(std::cell::Cell::new(n))
}
const KIND: EventKind = EventKind::new(1, 1);
#[test]
fn smoke() {
    let storage = MemoryStorage::new();
    let config =
        LogConfig::default().with_segment_max_bytes(40_000).with_seal_on_close_bytes(20_000);
    let mut ids = Vec::new();
    for round in 0..5u64 {
        let mut log = Log::open(storage.clone(), host(round + 1), config.clone()).unwrap();
        println!("{:?}", log.recovery());
        for id in &ids {
            log.reader().get(*id).unwrap();
        }
        for i in 0..500u64 {
            let at =
                Coordinate::new(format!("order:{}", i % 50), format!("shop{}", i % 3)).unwrap();
            let r = log
                .append(&Append::new(at, KIND, Payload::raw(format!("payload {round} {i}"))))
                .unwrap();
            assert_eq!(r.sequence.get(), round * 500 + i);
            assert_eq!(r.version.get(), round * 10 + i / 50);
            ids.push(r.id);
        }
        let reader = log.reader();
        assert_eq!(reader.query(&Region::all()).count() as u64, (round + 1) * 500);
        let all: Vec<_> =
            reader.query(&Region::all()).map(|e| e.unwrap().sequence().get()).collect();
        assert!(all.iter().enumerate().all(|(i, s)| i as u64 == *s));
        let back: Vec<_> =
            reader.query(&Region::all()).backward().map(|e| e.unwrap().sequence().get()).collect();
        assert!(back.iter().rev().eq(all.iter()));
        assert_eq!(reader.stream("order:7").count() as u64, (round + 1) * 10);
        let by_scope = reader.query(&Region::all().scope("shop1")).count();
        assert_eq!(by_scope, all.iter().filter(|s| (**s % 500) % 3 == 1).count());
        let walk = reader.walk_ancestors(*ids.last().unwrap(), 1000).unwrap();
        assert_eq!(walk.events.len() as u64, (round + 1) * 10);
        assert_eq!(walk.end, AncestorsEnd::Genesis);
        println!("{:?} {:?}", reader.stats().unwrap().segments.len(), reader.diagnostics());
        if round % 2 == 0 {
            log.close().unwrap();
        }
    }
}
