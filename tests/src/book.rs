//! The pages of the book in `docs/`, so that the examples in them are compiled and run.
//!
//! A page with an example that is missing here fails `tests/book.rs`.

#[doc = include_str!("../../docs/introduction.md")]
mod introduction {}

#[doc = include_str!("../../docs/concepts/events.md")]
mod events {}

#[doc = include_str!("../../docs/concepts/streams.md")]
mod streams {}

#[doc = include_str!("../../docs/concepts/regions.md")]
mod regions {}

#[doc = include_str!("../../docs/concepts/chain.md")]
mod chain {}

#[doc = include_str!("../../docs/concepts/causes.md")]
mod causes {}

#[doc = include_str!("../../docs/concepts/segments.md")]
mod segments {}

#[doc = include_str!("../../docs/guides/read-models.md")]
mod read_models {}

#[doc = include_str!("../../docs/guides/workers.md")]
mod workers {}

#[doc = include_str!("../../docs/guides/sagas.md")]
mod sagas {}

#[doc = include_str!("../../docs/guides/gates-and-states.md")]
mod gates_and_states {}

#[doc = include_str!("../../docs/guides/schema-evolution.md")]
mod schema_evolution {}

#[doc = include_str!("../../docs/guides/erasure.md")]
mod erasure {}

#[doc = include_str!("../../docs/guides/backups.md")]
mod backups {}

#[doc = include_str!("../../docs/guides/browser-and-server.md")]
mod browser_and_server {}

#[doc = include_str!("../../docs/guides/tuning.md")]
mod tuning {}

#[doc = include_str!("../../docs/guides/testing.md")]
mod testing {}
