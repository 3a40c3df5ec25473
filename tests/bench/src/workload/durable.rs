//! Appends on stable storage before they are acknowledged, of 1, 8 and 64 producers.
//!
//! An engine without a group commit of its own is shown as it is, and once more with one in the
//! application: a thread that takes all that wait, 256 at most, into one transaction.

use crate::bench::Bench;
use crate::engine::{Class, Engine, Kind, Result};
use crate::events::{Event, Events};
use crate::measure::{nanos_each, percentile};
use crate::sheet::{FLOOR, OURS, Unit};
use crate::workload::floor;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const PRODUCERS: [usize; 3] = [1, 8, 64];
const GROUP_MAX: usize = 256;
/// How long one engine appends at a time: a slow disk must not make a run take hours.
const TURN: Duration = Duration::from_millis(400);
/// Appends of a producer, at least.
const TURN_MIN: usize = 3;

pub fn run(bench: &mut Bench, appends: usize) {
    for producers in PRODUCERS {
        let each = (appends / producers).max(10).min(appends / 2);
        let all = (0..producers).map(|at| Events::new(&format!("p{at}"), each, bench.payload));
        let all: Vec<Events> = all.collect();
        let what = format!("durable, {}", people(producers));
        bench.rounds(&what, bench.rounds, |bench, kind| {
            let own = appends_of(bench, kind, &all, false)?;
            put(bench, producers, kind.name, own);
            if kind.groups_in_app && producers > 1 {
                let grouped = appends_of(bench, kind, &all, true)?;
                put(bench, producers, grouped_name(kind.name), grouped);
            }
            if kind.name == OURS && producers == 1 {
                let dir = bench.temp()?;
                let len = floor::event_len(bench.payload);
                let times = floor::synced_writes(dir.path(), each, len, TURN)?;
                let sum = times.iter().sum();
                put(bench, producers, FLOOR, (times, sum));
            }
            Ok(())
        });
    }
}

/// The column of an engine with a group commit in the application.
pub fn grouped_name(engine: &str) -> &'static str {
    match engine {
        "sqlite" => "sqlite + group",
        "redb" => "redb + group",
        "lmdb" => "lmdb + group",
        _ => "fjall + group",
    }
}

type Times = (Vec<Duration>, Duration);

fn appends_of(bench: &Bench, kind: Kind, all: &[Events], grouped: bool) -> Result<Times> {
    let (_dir, engine) = bench.fresh(kind, Class::Durable)?;
    // The first appends make files, and their zeros.
    let warm = Events::new("warm", 20, bench.payload);
    (0..20).try_for_each(|at| engine.append(&warm.at(at)).map(drop))?;
    let times = if grouped { grouped_times(&*engine, all) } else { plain_times(&*engine, all) }?;
    engine.close()?;
    Ok(times)
}

fn plain_times(engine: &dyn Engine, all: &[Events]) -> Result<Times> {
    produce(all, |_| |event: &Event<'_>| engine.append(event).map(drop))
}

fn grouped_times(engine: &dyn Engine, all: &[Events]) -> Result<Times> {
    std::thread::scope(|scope| {
        let (queue, queued) = channel();
        let writer = scope.spawn(move || commit_groups(engine, &queued));
        let times = produce(all, |_| {
            let (queue, (answer, answered)) = (queue.clone(), channel());
            move |event: &Event<'_>| {
                queue.send((to_owned(event), answer.clone()))?;
                Ok(answered.recv()?)
            }
        });
        drop(queue);
        writer.join().map_err(|_| "the writer panicked")??;
        times
    })
}

/// An event that can go to another thread: what an application would put into its queue.
type Queued = ((String, String, u16, u64, Vec<u8>), Sender<()>);

fn to_owned(event: &Event<'_>) -> (String, String, u16, u64, Vec<u8>) {
    let (entity, scope) = (event.entity.to_owned(), event.scope.to_owned());
    (entity, scope, event.kind, event.version, event.payload.to_vec())
}

fn commit_groups(engine: &dyn Engine, queued: &Receiver<Queued>) -> Result<()> {
    while let Ok(first) = queued.recv() {
        let group: Vec<Queued> =
            std::iter::once(first).chain(queued.try_iter().take(GROUP_MAX - 1)).collect();
        let events: Vec<Event<'_>> = group
            .iter()
            .map(|((entity, scope, kind, version, payload), _)| Event {
                entity,
                scope,
                kind: *kind,
                version: *version,
                payload,
            })
            .collect();
        engine.append_batch(&events)?;
        for (_, answer) in &group {
            answer.send(())?;
        }
    }
    Ok(())
}

/// Runs one thread for each of `all`, with an append of its own; the time of each append, and of
/// all together.
fn produce<A>(all: &[Events], append: impl Fn(usize) -> A) -> Result<Times>
where
    A: FnMut(&Event<'_>) -> Result<()> + Send,
{
    let start = Instant::now();
    let times = std::thread::scope(|scope| {
        let one = |(number, events)| {
            scope.spawn({
                let append = append(number);
                move || appends(events, append)
            })
        };
        let threads: Vec<_> = all.iter().enumerate().map(one).collect();
        let joined =
            threads.into_iter().map(|thread| thread.join().map_err(|_| "a producer panicked")?);
        joined.collect::<Result<Vec<_>>>()
    })?;
    Ok((times.concat(), start.elapsed()))
}

fn appends(
    events: &Events,
    mut append: impl FnMut(&Event<'_>) -> Result<()>,
) -> Result<Vec<Duration>> {
    let mut times = Vec::with_capacity(events.count);
    let begun = Instant::now();
    for at in 0..events.count {
        let start = Instant::now();
        if start - begun > TURN && times.len() >= TURN_MIN {
            break;
        }
        append(&events.at(at))?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn put(bench: &mut Bench, producers: usize, engine: &'static str, (times, all): Times) {
    let mut nanos: Vec<f64> = times.iter().map(|time| time.as_nanos() as f64).collect();
    let what = format!("durable, {}", people(producers));
    bench.put(&format!("{what}, an append"), Unit::Time, 0, engine, nanos_each(all, nanos.len()));
    bench.put(&format!("{what}, p50"), Unit::Time, 0, engine, percentile(&mut nanos, 50));
    bench.put(&format!("{what}, p99"), Unit::Time, 0, engine, percentile(&mut nanos, 99));
}

fn people(producers: usize) -> String {
    if producers == 1 { "1 producer".into() } else { format!("{producers} producers") }
}
