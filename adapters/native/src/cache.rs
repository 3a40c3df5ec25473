//! Caches of projections in databases of their own, each behind a feature.

#[cfg(feature = "redb")]
mod redb;

#[cfg(feature = "heed")]
pub use annals_cache_heed::HeedCache;
#[cfg(feature = "redb")]
pub use redb::RedbCache;
