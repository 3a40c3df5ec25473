//! What the writer and all readers of one store share.

use crate::format::segment::StoreId;
use crate::index::{KeyHasher, PageCache};
use crate::log::hashes::Hashes;
use crate::log::heads::Heads;
use crate::log::names::KindNames;
use crate::log::segments::View;
use crate::log::stats::IndexDamage;
use crate::model::Sequence;
use crate::storage::Storage;
use crate::sync::{Mutex, RwLock};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The newest state that readers may see.
pub(crate) struct Published<S: Storage> {
    pub(crate) view: Arc<View<S>>,
    /// The first sequence that is not visible.
    pub(crate) end: Sequence,
    /// The first sequence that is not known to be on stable storage.
    pub(crate) durable_end: Sequence,
}

impl<S: Storage> Clone for Published<S> {
    fn clone(&self) -> Self {
        let Published { view, end, durable_end } = self;
        Published { view: Arc::clone(view), end: *end, durable_end: *durable_end }
    }
}

/// See the module.
pub(crate) struct Shared<S: Storage> {
    pub(crate) store_id: StoreId,
    pub(crate) hasher: KeyHasher,
    pub(crate) cache: PageCache,
    pub(crate) heads: Heads,
    pub(crate) hashes: Hashes,
    pub(crate) names: RwLock<KindNames>,
    published: RwLock<Published<S>>,
    damages: Mutex<Vec<IndexDamage>>,
}

/// One part in so many of the index cache is for heads of streams.
const HEADS_SHARE: usize = 8;

/// How many reports of damaged index blocks are kept.
const DAMAGES_MAX: usize = 256;

impl<S: Storage> Shared<S> {
    pub(crate) fn new(store_id: StoreId, cache_bytes: usize, published: Published<S>) -> Self {
        Shared {
            store_id,
            hasher: KeyHasher::new(&store_id),
            cache: PageCache::new(cache_bytes - cache_bytes / HEADS_SHARE),
            heads: Heads::new(cache_bytes / HEADS_SHARE),
            hashes: Hashes::default(),
            names: RwLock::default(),
            published: RwLock::new(published),
            damages: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn published(&self) -> Published<S> {
        self.published.read().clone()
    }

    /// The end of what is visible, and of what is on stable storage.
    pub(crate) fn ends(&self) -> (Sequence, Sequence) {
        let published = self.published.read();
        (published.end, published.durable_end)
    }

    /// Changes what readers that come from now on see.
    pub(crate) fn publish(&self, change: impl FnOnce(&mut Published<S>)) {
        change(&mut self.published.write());
    }

    pub(crate) fn report(&self, damage: IndexDamage) {
        let mut damages = self.damages.lock();
        if damages.len() < DAMAGES_MAX {
            damages.push(damage);
        }
    }

    pub(crate) fn damages(&self) -> Vec<IndexDamage> {
        self.damages.lock().clone()
    }
}
