//! Receiving without a runtime: a thread that parks is executor enough.

use crate::{PAID, PLACED, put, small_segments};
use annals::{FollowError, Region};
use annals_tests::process::without_hanging;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn b30_a_task_receives_what_other_threads_append_and_learns_of_the_close() {
    without_hanging(|| {
        let store = small_segments(|config| config);
        let mut follow = store.follow(&Region::all().kind(PAID), None);
        let mut live = store.subscribe(&Region::all().kind(PAID)).map(|event| event.sequence());
        let writer = std::thread::spawn(move || {
            for number in 0..300 {
                put(&store, "order:1", if number % 3 == 0 { PAID } else { PLACED });
            }
        });
        block_on(async {
            for expected in (0..300).step_by(3) {
                assert_eq!(follow.recv_async().await.unwrap().sequence().get(), expected);
                assert_eq!(live.recv_async().await.unwrap().get(), expected);
            }
            assert!(matches!(follow.recv_async().await, Err(FollowError::Closed)));
            assert!(matches!(live.recv_async().await, Err(FollowError::Closed)));
        });
        writer.join().unwrap();
    });
}

#[test]
fn b30_a_future_that_is_dropped_has_taken_nothing() {
    let store = small_segments(|config| config);
    let mut live = store.subscribe(&Region::all());
    let counted = Arc::new(Counted::default());
    let waker = Waker::from(Arc::clone(&counted));
    let mut context = Context::from_waker(&waker);
    let mut waiting = live.recv_async();
    assert!(pin!(&mut waiting).poll(&mut context).is_pending());
    let first = put(&store, "order:1", PLACED);
    assert_eq!(counted.0.load(Ordering::SeqCst), 1);
    drop(waiting);
    assert_eq!(live.recv().unwrap().sequence(), first);

    let mut waiting = live.recv_async();
    assert!(pin!(&mut waiting).poll(&mut context).is_pending());
    drop(waiting);
    let second = put(&store, "order:1", PLACED);
    assert_eq!(counted.0.load(Ordering::SeqCst), 1, "nobody waits any more");
    assert_eq!(live.recv().unwrap().sequence(), second);
}

#[test]
fn b29_a_consumer_is_received_from_by_a_task() {
    without_hanging(|| {
        let store = Arc::new(small_segments(|config| config));
        let mut worker = store.consumer("worker", &Region::all()).unwrap();
        let writer = {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                for _ in 0..50 {
                    put(&store, "order:1", PAID);
                }
            })
        };
        block_on(async {
            for expected in 0..50 {
                assert_eq!(worker.recv_async().await.unwrap().sequence().get(), expected);
                worker.commit().unwrap();
            }
        });
        writer.join().unwrap();
        assert_eq!(store.consumers().unwrap()[0].lag, 0);
    });
}
