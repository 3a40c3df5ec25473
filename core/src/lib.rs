//! The core of Annals: an event store without a host.
//!
//! An event store keeps what happened, in order, and never changes it. This crate owns every rule
//! of one: what an event is, which bytes it becomes, how it is found again, and what is left after
//! a crash. It is `no_std` and has no clock, no randomness, no threads and no files of its own;
//! those come from the program around it, through two small traits. Programs on a server or a
//! laptop want the crate `annals`, whose `Store` is this core with files and threads. This crate is
//! for those who build such a thing for another host, and for those who want to know how it works.
//!
//! # What an event is
//!
//! An event happens to an *entity* in a *scope*: together they are its [`Coordinate`], written
//! `order:5@shop`. It has a [`EventKind`], a number that the application chooses, and a
//! [`Payload`], bytes in postcard, JSON or a form of the application's own. The store adds an
//! [`EventId`], a [`Sequence`] (its place in the store), a [`Version`] (its place in the *stream*,
//! which is all events of one entity), the time, a logical clock that never goes back, the ids of
//! what it belongs to and what caused it, and the hash of the event before it in its stream.
//! That last one makes each stream a chain: no event can change unnoticed.
//!
//! # Writing
//!
//! [`Log`] is the single writer, which `&mut self` makes sure of. A [`Batch`] is appended whole or
//! not at all. [`AppendOptions`] say under which conditions: a version that the stream must have, a
//! key that makes a repeated append harmless, a region in which nothing may have happened
//! meanwhile.
//!
//! ```
//! use annals_core::{
//!     Append, AppendOptions, Coordinate, EventKind, ExpectedVersion, Host, Log, LogConfig,
//!     MemoryStorage, Payload, Region, StoreError,
//! };
//!
//! struct Fixed;
//! impl Host for Fixed {
//!     fn now_us(&self) -> i64 {
//!         1_700_000_000_000_000
//!     }
//!     fn fill_random(&self, buffer: &mut [u8]) {
//!         buffer.fill(7); // A real host takes it from the system.
//!     }
//! }
//!
//! const PLACED: EventKind = EventKind::new(1, 1);
//! let mut log = Log::open(MemoryStorage::new(), Fixed, LogConfig::default())?;
//! let order = Coordinate::new("order:5", "shop")?;
//! let options = AppendOptions::default().with_expected_version(ExpectedVersion::NoStream);
//! let placed = Append::new(order, PLACED, Payload::json("two apples")?).with_options(options);
//! log.append(&placed)?;
//! assert!(matches!(log.append(&placed), Err(StoreError::VersionConflict { .. })));
//!
//! let reader = log.reader();
//! let mut shop = reader.query(&Region::all().scope("shop"));
//! let event = shop.next().expect("one event")?;
//! assert_eq!(event.decode::<String>()?, "two apples");
//! assert!(shop.next().is_none());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Reading
//!
//! A [`Reader`] sees one prefix of the log for as long as it is held, and is cheap to clone. It
//! gives an event by its id or sequence, and the events of a [`Region`], the one predicate for
//! queries, cursors and conditions, in either direction and lazily. A [`Cursor`] goes on where its
//! last poll ended. A projection ([`EventSourced`]) is the state that events make. [`verify`]
//! holds every byte of a store against every other.
//!
//! # Bytes
//!
//! Events are records in frames, one frame a batch, in numbered segments. A full segment is sealed
//! with an index of its own, so memory does not grow with the log. [`Storage`] says what a place for
//! the files must promise; [`MemoryStorage`] is one. Opening is recovery, always: a torn tail is cut
//! and told ([`Recovery`]), and damage to what was promised durable is [`StoreError::Corruption`]
//! with file and offset. The bytes are documented to the last in `docs/FORMAT.md` of the
//! repository.
//!
//! # Elsewhere
//!
//! [`Log::export`] gives a store as one stream of bytes, or what was appended since another one, and
//! [`Import`] takes it in, whole or not at all. The id of the store and all its events stay the
//! same, so a store can follow another that is written to.
//!
//! # Policy
//!
//! Gates judge a [`Proposal`], and a [`Receipt`] proves that they let it pass; the log keeps their
//! names with the event. [`define_state_machine!`] declares states and edges, and a [`Transition`]
//! along any other edge does not compile. All of it is pure and knows no storage.
//!
//! # Where to look
//!
//! The folders of the source are the layers, and each uses only those before it: `model`, `policy`,
//! `format`, `storage`, `index`, `log`, then what people do with a log, each on the reader alone. Every
//! public name is here, once; only the bytes have a module of their own, [`format`](mod@format).
//!
//! # Features
//!
//! `std`: locks that park instead of spin, checksums by the processor's own instructions, gates that
//! panic counted as denials. It changes no byte.
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backup;
mod cursor;
pub mod format;
mod graph;
mod index;
mod log;
mod model;
mod order;
mod policy;
mod projection;
mod storage;
mod sync;
mod verify;

pub use backup::*;
pub use cursor::*;
pub use format::backup::{BackupHeader, Border};
pub use format::segment::StoreId;
pub use graph::*;
pub use log::*;
pub use model::*;
pub use policy::*;
pub use projection::*;
pub use storage::*;
pub use verify::*;
