//! An embedded event store: what happened, in order, in plain files beside your program.
//!
//! [`Store`] is the way in. It opens a directory, takes events from any number of threads, and has
//! each on disk when its append returns, unless you ask for less ([`Durability`]). Concurrent
//! appends share one write and one sync.
//!
//! ```
//! use annals::{
//!     AppendOptions, Coordinate, EventKind, EventPayload, ExpectedVersion, Region, Store,
//!     StoreConfig, StoreError,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct ItemAdded {
//!     item: String,
//!     cents: u64,
//! }
//!
//! impl EventPayload for ItemAdded {
//!     const KIND: EventKind = EventKind::new(1, 1);
//! }
//!
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let store = Store::open(StoreConfig::new(path))?;
//! let order = Coordinate::new("order:5", "shop")?;
//! let tea = ItemAdded { item: "tea".into(), cents: 450 };
//! let first = store.append_typed(&order, &tea)?;
//! store.append_typed(&order, &ItemAdded { item: "bread".into(), cents: 380 })?;
//!
//! // Decided on what was read? Say which version that was.
//! let seen = AppendOptions::default().with_expected_version(ExpectedVersion::Exact(first.version));
//! let late = store.append_typed_with_options(&order, &tea, seen);
//! assert!(matches!(late, Err(StoreError::VersionConflict { .. })));
//!
//! let cents: u64 = store
//!     .query(&Region::entity("order:5").kind(ItemAdded::KIND))
//!     .map(|event| Ok(event?.decode::<ItemAdded>()?.cents))
//!     .sum::<Result<u64, StoreError>>()?;
//! assert_eq!(cents, 830);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The words
//!
//! An event happens to an *entity* in a *scope*; both are its [`Coordinate`]. The events of one
//! entity are its *stream*, and an event's place there is its [`Version`]; its place in the store
//! is its [`Sequence`]. Its [`EventKind`] is a number that the application chooses. A [`Region`] is
//! a predicate over all of these: for queries, cursors and append conditions.
//!
//! # What to use when
//!
//! | you want | use |
//! | --- | --- |
//! | one event on disk | [`Store::append_typed`], [`Store::append`] |
//! | several, all or none | [`Store::append_batch`] |
//! | not to wait | [`Store::submit`], which gives a [`Ticket`], a future too |
//! | nobody else to have written meanwhile | [`ExpectedVersion`], [`AppendCondition`] |
//! | to repeat an append safely | [`AppendOptions::idempotency_key`] |
//! | to read beside a writer | [`Store::open_read_only`] |
//! | an event back | [`Store::get`], [`Store::get_at`] |
//! | the events of something | [`Store::stream`], [`Store::query`] |
//! | the newest version of a stream | [`Store::head`] |
//! | a state from events | [`EventSourced`], [`Store::project`], [`Store::project_region`] |
//! | not to make a state anew each time | [`Store::open_with_cache`], [`CheckpointCache`] |
//! | a state only if it has changed | [`Store::project_if_changed`] |
//! | a state that follows the log | [`Store::watch`] |
//! | to read what an older program wrote | [`Upcasts`], [`StoreConfig::with_upcasts`] |
//! | to go on where you stopped | [`Store::cursor`] |
//! | all events, those to come too | [`Store::follow`] |
//! | the newest events as they come, some lost if you are slow | [`Store::subscribe`] |
//! | a worker that goes on after a crash | [`Store::consumer`] |
//! | to answer events with events | [`Store::react_loop`] |
//! | what caused an event, and what it caused | [`Store::causes`], [`Store::effects`] |
//! | to know that nothing is damaged | [`Store::verify`] |
//! | fewer files, or without events that are too old | [`Store::compact`] |
//! | that beside other work, slowly | [`Store::compact_in_background`], [`Cancel`] |
//! | payloads that must go for good | [`Store::erase`] |
//! | what is whole in a damaged store | [`salvage`], or the command `annals repair` |
//! | a copy beside the running store | [`Store::snapshot`] |
//! | a backup in one file, or one that continues it | [`Store::export`], [`import`] |
//! | rules before writing, and a trace of them | [`Pipeline`], [`Store::guarded_by`] |
//! | a life with states | [`define_state_machine!`], [`Store::apply_transition`] |
//! | a store for a test | [`Store::in_memory`] |
//!
//! # Features
//!
//! None is on by default, and none changes a byte on disk.
//!
//! | feature | what |
//! | --- | --- |
//! | `derive` | `#[derive(EventPayload)]` |
//! | `redb` | `RedbCache`, a cache of projections in a `redb` database: pages with checksums |
//! | `heed` | `HeedCache`, one in LMDB: the fastest to read |
//!
//! With `derive`, a type says in one line what it is, and a second type of the same kind or name in
//! the crate does not compile:
//!
#![cfg_attr(feature = "derive", doc = "```")]
#![cfg_attr(not(feature = "derive"), doc = "```ignore")]
//! use annals::{EventKind, EventPayload};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, EventPayload)]
//! #[event(category = 1, type_id = 2, version = 3, name = "order.placed", format = "json")]
//! struct OrderPlaced {
//!     cents: u64,
//! }
//!
//! assert_eq!(OrderPlaced::KIND, EventKind::new(1, 2));
//! assert_eq!(OrderPlaced::NAME, Some("order.placed"));
//! ```
//!
//! # When something goes wrong
//!
//! Every call says what it can fail with, and [`StoreError`] tells apart what you would handle
//! differently. A failed write leaves the store as it was. After a failed sync no append is taken
//! until the store is opened again, while reading goes on. Opening repairs what a crash leaves and
//! reports it ([`Store::recovery`]); damage to what was promised durable is an error with file and
//! offset, never skipped and never returned as data.
//!
//! The rules are those of `annals-core`, which this crate re-exports whole.

#[cfg(any(feature = "redb", feature = "heed"))]
mod cache;
mod cancel;
mod config;
mod fs_storage;
mod host;
mod parallel;
mod store;
mod transfer;

// The native durability has an interval besides what the core knows.
pub use annals_core::*;
#[cfg(feature = "derive")]
pub use annals_derive::EventPayload;
#[cfg(any(feature = "redb", feature = "heed"))]
pub use cache::*;
pub use cancel::Cancel;
pub use config::{Clock, Durability, RestartPolicy, StoreConfig};
pub use fs_storage::{FsFile, FsOpenError, FsOptions, FsStorage, SyncMode};
pub use host::SystemHost;
pub use parallel::verify_parallel;
pub use store::{
    BackgroundCompaction, BatchTicket, CommitMode, Consumer, ConsumerConfig, ConsumerError,
    ConsumerStatus, Follow, FollowError, GuardedStore, PolicyError, ReactConfig, ReactError,
    ReactSource, ReactSummary, Reactor, RegionChange, StartAt, StateCheck, Store, Subscription,
    Ticket, TransitionOptions, Watch,
};
pub use transfer::{
    ImportOptions, SnapshotSummary, TransferError, TransferProgress, TransferStep, check_backup,
    export, import, snapshot,
};
