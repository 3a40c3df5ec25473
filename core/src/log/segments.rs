//! The segments of an open store, as the writer and the readers share them.
//!
//! A segment is immutable but for the active one, which only grows. Whoever holds a view keeps
//! its segments readable; one that a compaction has replaced is removed with its last view.

use crate::format::Fault;
use crate::format::index_block::{Directory, PAGE_LEN, page_payload, stream_len};
use crate::format::segment::{SegmentFooter, SegmentHeader};
use crate::index::{
    GrowingIndex, IndexError, KeyHasher, Page, PageCache, PageSource, SealedIndex, SegmentFilter,
    sealed_directory,
};
use crate::log::fetch::Place;
use crate::log::recovery::index_frames;
use crate::log::shared::Shared;
use crate::log::stats::IndexDamage;
use crate::log::{Corruption, StoreError};
use crate::model::Sequence;
use crate::storage::{FileId, Storage, StorageError, StorageFile};
use crate::sync::RwLock;
use alloc::sync::{Arc, Weak};
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};

/// A segment's file on its storage: removed with the last who sees it, once it is retired. The
/// segment is sealed meanwhile, and readers from before see it as the active one. It does not hold
/// the storage: readers must not keep a store's lock from being let go.
pub(crate) struct Life<S: Storage> {
    id: FileId,
    storage: Weak<S>,
    retired: AtomicBool,
}

impl<S: Storage> Life<S> {
    pub(crate) fn new(number: u64, storage: &Arc<S>) -> Arc<Self> {
        let (id, storage) = (FileId::segment(number), Arc::downgrade(storage));
        Arc::new(Life { id, storage, retired: AtomicBool::new(false) })
    }
}

impl<S: Storage> Drop for Life<S> {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Acquire)
            && let Some(storage) = self.storage.upgrade()
        {
            // A file that stays is removed when the store opens: its successor names it.
            let _ = storage.remove(self.id);
        }
    }
}

/// The segment that is written to.
pub(crate) struct ActiveSegment<S: Storage> {
    pub(crate) header: SegmentHeader,
    pub(crate) file: Arc<S::File>,
    pub(crate) life: Arc<Life<S>>,
    pub(crate) index: RwLock<GrowingIndex>,
}

/// A segment that no longer changes.
pub(crate) struct SealedSegment<S: Storage> {
    pub(crate) header: SegmentHeader,
    pub(crate) footer: SegmentFooter,
    pub(crate) file: Arc<S::File>,
    life: Arc<Life<S>>,
    parts: RwLock<Parts>,
}

/// A question to a sealed index.
type Ask<'a, S> = dyn FnMut(&mut SealedIndex<'_, Pages<'_, S>>) -> Result<(), IndexError> + 'a;

/// What of a sealed index is held in memory besides cached pages.
#[derive(Default)]
struct Parts {
    directory: Option<Arc<Directory>>,
    filter: Option<Option<Arc<SegmentFilter>>>,
    /// The whole block, rebuilt from the frames because the one in the file is damaged.
    rebuilt: Option<Arc<Vec<u8>>>,
}

impl<S: Storage> SealedSegment<S> {
    pub(crate) fn new(
        header: SegmentHeader,
        footer: SegmentFooter,
        file: Arc<S::File>,
        life: Arc<Life<S>>,
    ) -> Self {
        SealedSegment { header, footer, file, life, parts: RwLock::new(Parts::default()) }
    }

    /// Has the file removed when the last view of it is dropped.
    pub(crate) fn retire(&self) {
        self.life.retired.store(true, Ordering::Release);
    }

    /// Writes the index block anew where a crash has torn it: the footer is written in one go with
    /// it, and may be there alone.
    pub(crate) fn mend_index(&self, hasher: KeyHasher) -> Result<(), StoreError> {
        mend_index(&*self.file, &self.header, &self.footer, hasher)
    }

    pub(crate) fn file_id(&self) -> FileId {
        FileId::segment(self.header.number)
    }

    /// The number of the newest output of a compaction that dropped or erased events which this
    /// segment stands for; 0 where none did. An output that does not say counts as one.
    pub(crate) fn newest_loss(&self) -> u64 {
        let of_output = || self.footer.newest_loss.unwrap_or(self.header.number);
        if self.header.replaces.is_empty() { 0 } else { of_output() }
    }

    /// Runs `ask` on the segment's index. A damaged index block is rebuilt from the frames, in
    /// memory, reported, and asked again.
    pub(crate) fn with_index<T>(
        &self,
        shared: &Shared<S>,
        mut ask: impl FnMut(&mut SealedIndex<'_, Pages<'_, S>>) -> Result<T, IndexError>,
    ) -> Result<T, StoreError> {
        let mut answer = None;
        self.ask_index(shared, &mut |index| {
            answer = Some(ask(index)?);
            Ok(())
        })?;
        Ok(answer.expect("whoever was asked without an error has answered"))
    }

    /// What is the same for every question, compiled once.
    fn ask_index(&self, shared: &Shared<S>, ask: &mut Ask<'_, S>) -> Result<(), StoreError> {
        let (offset, what) = match self.try_index(shared, ask) {
            Ok(()) => return Ok(()),
            Err(IndexError::Storage(error)) => return Err(error.into()),
            Err(IndexError::Damaged { offset, what }) => (offset, what),
        };
        self.rebuild(shared, self.footer.frames_end + offset, what)?;
        match self.try_index(shared, ask) {
            Ok(()) => Ok(()),
            Err(IndexError::Storage(error)) => Err(error.into()),
            Err(IndexError::Damaged { what, .. }) => {
                let found = "frames that contradict their own index";
                Err(Corruption::new(self.file_id(), self.footer.frames_end, what, found).into())
            }
        }
    }

    /// Whether the segment may hold the key of an id or an entity. Never wrongly no.
    pub(crate) fn may_contain(&self, shared: &Shared<S>, key: u64) -> Result<bool, StoreError> {
        if let Some(filter) = &self.parts.read().filter {
            return Ok(filter.as_ref().is_none_or(|filter| filter.may_contain(key)));
        }
        let filter = self.with_index(shared, |index| index.filter())?.map(Arc::new);
        let may = filter.as_ref().is_none_or(|filter| filter.may_contain(key));
        self.parts.write().filter = Some(filter);
        Ok(may)
    }

    /// Roughly the bytes of memory held for this segment alone.
    pub(crate) fn memory_bytes(&self) -> usize {
        let parts = self.parts.read();
        let filter = parts.filter.iter().flatten().map(|filter| filter.memory_bytes());
        let rebuilt = parts.rebuilt.as_ref().map_or(0, |block| block.len());
        let directory = parts.directory.as_ref().map_or(0, |_| size_of::<Directory>());
        size_of::<Self>() + filter.sum::<usize>() + rebuilt + directory
    }

    fn try_index(&self, shared: &Shared<S>, ask: &mut Ask<'_, S>) -> Result<(), IndexError> {
        let (directory, rebuilt) = {
            let parts = self.parts.read();
            (parts.directory.clone(), parts.rebuilt.clone())
        };
        let pages = Pages { segment: self, cache: &shared.cache, rebuilt };
        let directory = match directory {
            Some(directory) => directory,
            None => {
                let directory = Arc::new(sealed_directory(&pages)?);
                if u64::from(directory.ordinals) != self.footer.event_count {
                    return Err(IndexError::Damaged {
                        offset: 8,
                        what: "the footer's event count",
                    });
                }
                self.parts.write().directory = Some(Arc::clone(&directory));
                directory
            }
        };
        ask(&mut SealedIndex::new(&pages, &directory, shared.hasher))
    }

    fn rebuild(
        &self,
        shared: &Shared<S>,
        offset: u64,
        what: &'static str,
    ) -> Result<(), StoreError> {
        if self.parts.read().rebuilt.is_some() {
            return Ok(());
        }
        let index = self.index_from_frames(shared.hasher)?;
        let block = Arc::new(index.encode(self.header.salt));
        let mut parts = self.parts.write();
        *parts = Parts { rebuilt: Some(block), ..Parts::default() };
        drop(parts);
        shared.report(IndexDamage { file: self.file_id(), offset, expected: what });
        Ok(())
    }

    /// Makes the segment's index anew, from its frames alone.
    pub(crate) fn index_from_frames(&self, hasher: KeyHasher) -> Result<GrowingIndex, StoreError> {
        let end = self.footer.frames_end;
        let scanned = index_frames(&*self.file, &self.header, end, hasher)?;
        match scanned.end.fault {
            Some(fault) => Err(StoreError::corruption(self.file_id(), 0, fault)),
            None => Ok(scanned.index),
        }
    }
}

/// See [`SealedSegment::mend_index`].
pub(crate) fn mend_index<F: StorageFile>(
    file: &F,
    header: &SegmentHeader,
    footer: &SegmentFooter,
    hasher: KeyHasher,
) -> Result<(), StoreError> {
    let mut block = vec![0; usize::try_from(footer.index_len).unwrap_or(usize::MAX)];
    file.read_exact_at(&mut block, footer.frames_end)?;
    if block.chunks(PAGE_LEN).all(|page| page_payload(page, header.salt).is_some()) {
        return Ok(());
    }
    let scanned = index_frames(file, header, footer.frames_end, hasher)?;
    let made = scanned.index.encode(header.salt);
    // Frames that are damaged are for verification to tell, and for readers not to trust.
    if scanned.end.fault.is_none() && made.len() == block.len() {
        file.write_all_at(&made, footer.frames_end)?;
    }
    Ok(())
}

/// The pages of one sealed segment's index block.
pub(crate) struct Pages<'a, S: Storage> {
    segment: &'a SealedSegment<S>,
    cache: &'a PageCache,
    rebuilt: Option<Arc<Vec<u8>>>,
}

impl<S: Storage> Pages<'_, S> {
    fn block_len(&self) -> u64 {
        self.rebuilt.as_ref().map_or(self.segment.footer.index_len, |block| block.len() as u64)
    }

    /// Bytes of a page, its CRC included.
    fn page_len(&self, number: u32) -> Result<usize, IndexError> {
        let left = self.block_len().checked_sub(page_at(number)).filter(|left| *left > 4);
        let what = "a page behind the index block's end";
        let left = left.ok_or(IndexError::Damaged { offset: page_at(number), what })?;
        Ok(usize::try_from(left).unwrap_or(usize::MAX).min(PAGE_LEN))
    }

    /// Fills `page` with a page and its CRC, which is checked.
    fn read_page(&self, number: u32, page: &mut [u8]) -> Result<(), IndexError> {
        let at = page_at(number);
        match &self.rebuilt {
            Some(block) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                page.copy_from_slice(&block[from..][..page.len()]);
            }
            None => self.segment.file.read_exact_at(page, self.segment.footer.frames_end + at)?,
        }
        let checked = page_payload(page, self.segment.header.salt).map(|_| ());
        checked.ok_or(IndexError::Damaged { offset: at, what: "a page of the index block" })
    }
}

impl<S: Storage> PageSource for Pages<'_, S> {
    fn page(&self, number: u32) -> Result<Page, IndexError> {
        if self.rebuilt.is_some() {
            return self.page_once(number);
        }
        let len = self.page_len(number)?;
        let segment = self.segment.header.number;
        self.cache.page(segment, number, len, |page| self.read_page(number, page))
    }

    fn page_once(&self, number: u32) -> Result<Page, IndexError> {
        Page::load(self.page_len(number)?, |page| self.read_page(number, page))
    }

    fn stream_len(&self) -> u64 {
        stream_len(self.block_len())
    }

    fn is_rebuilt(&self) -> bool {
        self.rebuilt.is_some()
    }
}

/// Where a page starts in its block.
fn page_at(number: u32) -> u64 {
    u64::from(number) * PAGE_LEN as u64
}

/// The segments of one moment, in the order of their sequences.
pub(crate) struct View<S: Storage> {
    pub(crate) sealed: Vec<Arc<SealedSegment<S>>>,
    pub(crate) active: Option<Arc<ActiveSegment<S>>>,
}

impl<S: Storage> Clone for View<S> {
    fn clone(&self) -> Self {
        View { sealed: self.sealed.clone(), active: self.active.clone() }
    }
}

impl<S: Storage> View<S> {
    /// How many segments there are.
    pub(crate) fn len(&self) -> usize {
        self.sealed.len() + usize::from(self.active.is_some())
    }

    /// The place of the segment that stands for a sequence, or that comes next.
    pub(crate) fn place_of(&self, sequence: Sequence) -> usize {
        self.sealed.partition_point(|segment| segment.footer.end_sequence <= sequence)
    }

    pub(crate) fn at(&self, place: usize) -> Option<Segment<'_, S>> {
        match self.sealed.get(place) {
            Some(sealed) => Some(Segment::Sealed(sealed)),
            None if place == self.sealed.len() => self.active.as_deref().map(Segment::Active),
            None => None,
        }
    }
}

/// One of a view's segments.
pub(crate) enum Segment<'a, S: Storage> {
    Sealed(&'a SealedSegment<S>),
    Active(&'a ActiveSegment<S>),
}

impl<S: Storage> Segment<'_, S> {
    pub(crate) fn file(&self) -> &S::File {
        match self {
            Segment::Sealed(sealed) => &sealed.file,
            Segment::Active(active) => &active.file,
        }
    }

    pub(crate) fn header(&self) -> &SegmentHeader {
        match self {
            Segment::Sealed(sealed) => &sealed.header,
            Segment::Active(active) => &active.header,
        }
    }

    pub(crate) fn file_id(&self) -> FileId {
        FileId::segment(self.header().number)
    }

    /// Where its records may stand. Of the active one the index is in memory, and never lies.
    pub(crate) fn record_bytes(&self) -> Range<u64> {
        let start = self.header().encoded_len() as u64;
        match self {
            Segment::Sealed(sealed) => start..sealed.footer.frames_end,
            Segment::Active(_) => start..u64::MAX,
        }
    }

    /// Fills `buf` with bytes of records that somebody sees, which the storage may have kept.
    pub(crate) fn read_records(&self, buf: &mut [u8], offset: u64) -> Result<(), StorageError> {
        match self {
            Segment::Sealed(sealed) => sealed.file.read_sealed_at(buf, offset),
            Segment::Active(active) => active.file.read_committed_at(buf, offset),
        }
    }

    /// What is wrong with the record at a place.
    #[cold]
    pub(crate) fn corruption(&self, place: &Place, fault: Fault) -> StoreError {
        StoreError::corruption(self.file_id(), place.offset, fault)
    }
}
