//! A log over OPFS: segments come and go, workers end, and nothing acknowledged is lost.

use annals_core::{
    Append, Coordinate, EventKind, Host, Log, LogConfig, Payload, Region, Sequence,
    StorageErrorKind, StoreError,
};
use annals_opfs::{OpfsStorage, OpfsUpkeep};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::impatient;
use crate::place::Place;

#[derive(Clone, Copy)]
struct Counting;

impl Host for Counting {
    fn now_us(&self) -> i64 {
        1_700_000_000_000_000
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        for byte in buffer {
            *byte = js_sys::Math::random().to_bits().to_le_bytes()[3];
        }
    }
}

type OpfsLog = Log<OpfsStorage, Counting>;

async fn open(place: &Place) -> (OpfsLog, OpfsUpkeep) {
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    let config = LogConfig::default().with_segment_max_bytes(4096);
    let log = loop {
        match Log::open(storage.clone(), Counting, config.clone()) {
            Ok(log) => break log,
            Err(StoreError::Storage(error)) if error.kind() == StorageErrorKind::NotReady => {
                upkeep.top_up().await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    };
    upkeep.top_up().await.unwrap();
    (log, upkeep)
}

async fn append(log: &mut OpfsLog, upkeep: &mut OpfsUpkeep, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let order = Coordinate::new(format!("order:{}", number % 7), "shop").unwrap();
        let payload = Payload::raw(number.to_le_bytes().repeat(40));
        let append = Append::new(order, EventKind::new(1, 1), payload);
        let receipt = match log.append(&append) {
            Err(StoreError::Storage(error)) if error.kind() == StorageErrorKind::NotReady => {
                upkeep.top_up().await.unwrap();
                log.append(&append).unwrap()
            }
            outcome => outcome.unwrap(),
        };
        assert_eq!(receipt.sequence, Sequence::new(number));
        assert!(receipt.durable);
    }
}

fn check(log: &OpfsLog, count: u64) {
    let reader = log.reader();
    assert_eq!(reader.end(), Sequence::new(count));
    for (number, event) in (0..).zip(reader.query(&Region::all())) {
        let event = event.unwrap();
        assert_eq!(event.sequence(), Sequence::new(number));
        assert_eq!(event.payload.bytes().unwrap()[..8], number.to_le_bytes());
    }
    let stream = reader.stream("order:3").count();
    assert_eq!(stream as u64, (count + 3) / 7);
}

#[wasm_bindgen_test]
async fn b12_events_of_many_segments_outlive_their_worker() {
    let place = Place::new("log").await;
    for (from, to) in [(0, 150), (150, 151), (151, 300)] {
        let (mut log, mut upkeep) = open(&place).await;
        check(&log, from);
        append(&mut log, &mut upkeep, from..to).await;
        check(&log, to);
        // Dropped without closing, as a worker that is ended.
        drop((log, upkeep));
    }
    let (log, _upkeep) = open(&place).await;
    check(&log, 300);
    assert!(log.stats().unwrap().segments.len() > 20, "there are more files than handles");
    log.close().unwrap();
}

#[wasm_bindgen_test]
async fn b34_opening_again_and_again_leaves_no_new_file() {
    let place = Place::new("reopened").await;
    let (mut log, mut upkeep) = open(&place).await;
    append(&mut log, &mut upkeep, 0..5).await;
    drop((log, upkeep));
    drop(open(&place).await);
    // The lock, the segment, and what is opened ahead and taken over by the next: a segment and a
    // meta log.
    let names = place.names().await;
    assert_eq!(names, ["0000000001.meta", "0000000001.seg", "0000000002.seg", "LOCK"]);
    for _ in 0..5 {
        drop(open(&place).await);
    }
    assert_eq!(place.names().await, names);
    let (mut log, mut upkeep) = open(&place).await;
    append(&mut log, &mut upkeep, 5..40).await;
    drop((log, upkeep));
    check(&open(&place).await.0, 40);
}
