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
