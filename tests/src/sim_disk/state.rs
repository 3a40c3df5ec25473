//! The disk behind the handles: names, inodes, and what each operation does to them.

use std::{collections::BTreeMap, sync::Arc};

use annals_core::{FileId, StorageErrorKind};

use super::{
    Checkpoint, Fault, Operation, Random,
    fault::{Faults, Injected},
    inode::Inode,
    power_cut::{self, Pattern, Survival},
};

/// Everything there is. An inode stays until the next power cut, as handles may need it.
#[derive(Clone)]
pub(super) struct State {
    pub(super) seed: u64,
    pub(super) cut_seeds: Vec<u64>,
    /// Handles of an earlier epoch are dead.
    pub(super) epoch: u64,
    pub(super) powered: bool,
    pub(super) operation_count: u64,
    pub(super) trace: Vec<Operation>,
    pub(super) checkpoints: Option<Vec<Checkpoint>>,
    pub(super) faults: Faults,
    pub(super) space_max: Option<u64>,
    pub(super) retried_sync_count: u64,
    pub(super) names: BTreeMap<FileId, u64>,
    stable_names: BTreeMap<FileId, u64>,
    pending_names: Vec<NameChange>,
    dir_sync_failed: bool,
    inodes: BTreeMap<u64, Arc<Inode>>,
    next_inode: u64,
    random: Random,
}

/// A name that no sync of the directory has covered.
#[derive(Clone, Copy)]
enum NameChange {
    Link(FileId, u64),
    Unlink(FileId),
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<FileId, u64>) {
        match self {
            Self::Link(id, inode) => names.insert(id, inode),
            Self::Unlink(id) => names.remove(&id),
        };
    }
}

impl State {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            cut_seeds: Vec::new(),
            epoch: 0,
            powered: true,
            operation_count: 0,
            trace: Vec::new(),
            checkpoints: None,
            faults: Faults::default(),
            space_max: None,
            retried_sync_count: 0,
            names: BTreeMap::new(),
            stable_names: BTreeMap::new(),
            pending_names: Vec::new(),
            dir_sync_failed: false,
            inodes: BTreeMap::new(),
            next_inode: 0,
            random: Random::new(seed),
        }
    }

    /// A copy without the history. The history is put aside first, not copied and dropped.
    pub(super) fn fork(&mut self) -> Self {
        let trace = std::mem::take(&mut self.trace);
        let checkpoints = self.checkpoints.take();
        let fork = self.clone();
        self.trace = trace;
        self.checkpoints = checkpoints;
        fork
    }

    pub(super) fn power_cut(&mut self, seed: u64) {
        let mut random = Random::new(seed);
        let pattern = Pattern::draw(&mut random, self.pending_names.len());
        let pending_names = std::mem::take(&mut self.pending_names);
        for (index, change) in pending_names.iter().enumerate() {
            let survival = pattern.survival(index, pending_names.len(), &mut random);
            // Half a name is no name: a torn one is there or not.
            let kept =
                survival == Survival::Whole || survival == Survival::Torn && random.one_in(2);
            if kept {
                change.apply(&mut self.stable_names);
            }
        }
        self.names = self.stable_names.clone();
        let names = &self.names;
        self.inodes.retain(|number, _| names.values().any(|named| named == number));
        for inode in self.inodes.values_mut() {
            let inode = Arc::make_mut(inode);
            let pending = std::mem::take(&mut inode.pending);
            power_cut::apply_some(&mut inode.stable, &pending, &mut random);
            inode.reload();
        }
        self.cut_seeds.push(seed);
        self.powered = true;
        self.restart_process();
    }

    pub(super) fn restart_process(&mut self) {
        self.epoch += 1;
        self.dir_sync_failed = false;
        for inode in self.inodes.values_mut().filter(|inode| inode.sync_failed) {
            Arc::make_mut(inode).sync_failed = false;
        }
    }

    pub(super) fn drop_caches(&mut self) {
        for inode in self.inodes.values_mut() {
            Arc::make_mut(inode).reload();
        }
    }

    pub(super) fn rot(&mut self, id: FileId, offset: u64, mask: u8) {
        assert!(mask != 0, "a mask of 0 flips no bit");
        let number = *self.names.get(&id).expect("the file to rot exists");
        let inode = self.inode_mut(number);
        assert!(inode.cached.contains(offset, 1), "the byte to rot exists");
        for pages in [&mut inode.stable, &mut inode.cached] {
            if pages.contains(offset, 1) {
                let mut byte = [0];
                pages.read(&mut byte, offset);
                pages.write(&[byte[0] ^ mask], offset);
            }
        }
    }

    pub(super) fn rot_anywhere(&mut self, id: FileId, seed: u64) -> Option<(u64, u8)> {
        let len = self.inode(*self.names.get(&id)?).len();
        if len == 0 {
            return None;
        }
        let mut random = Random::new(seed);
        let (offset, mask) = (random.below(len), 1 << random.below(8));
        self.rot(id, offset, mask);
        Some((offset, mask))
    }

    pub(super) fn peek(&self, id: FileId) -> Option<Vec<u8>> {
        Some(self.inode(*self.names.get(&id)?).cached.to_vec())
    }

    /// Draws the operation's fault; a loss of power takes effect here.
    pub(super) fn inject(&mut self, operation: &Operation) -> Option<Injected> {
        match self.faults.draw(operation.number, operation.kind, &mut self.random)? {
            Fault::Io => Some(Injected::Io),
            Fault::NoSpace => Some(Injected::NoSpace),
            Fault::Panic => Some(Injected::Panic),
            Fault::Slow => Some(Injected::Slow),
            Fault::PowerLoss => {
                self.powered = false;
                Some(Injected::Io)
            }
        }
    }

    /// Fails an operation that does nothing when it fails.
    pub(super) fn refuse(&self, fault: Option<Injected>) -> Result<(), StorageErrorKind> {
        fault.map_or(Ok(()), |fault| Err(fault.error_kind()))
    }

    pub(super) fn create(&mut self, id: FileId) -> Result<u64, StorageErrorKind> {
        if self.names.contains_key(&id) {
            return Err(StorageErrorKind::AlreadyExists);
        }
        if self.free() == 0 {
            return Err(StorageErrorKind::NoSpace);
        }
        let number = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(number, Arc::default());
        self.change_names(NameChange::Link(id, number));
        Ok(number)
    }

    pub(super) fn remove(&mut self, id: FileId) -> Result<(), StorageErrorKind> {
        if !self.names.contains_key(&id) {
            return Err(StorageErrorKind::NotFound);
        }
        self.change_names(NameChange::Unlink(id));
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, fault: Option<Injected>) -> Result<(), StorageErrorKind> {
        if self.dir_sync_failed {
            self.retried_sync_count += 1;
            return Err(StorageErrorKind::Other);
        }
        let failed = self.refuse(fault);
        self.dir_sync_failed = failed.is_err();
        for change in std::mem::take(&mut self.pending_names) {
            if failed.is_ok() || self.random.one_in(2) {
                change.apply(&mut self.stable_names);
            }
        }
        failed
    }

    pub(super) fn set_len(
        &mut self,
        number: u64,
        len: u64,
        fault: Option<Injected>,
    ) -> Result<(), StorageErrorKind> {
        let growth = len.saturating_sub(self.inode(number).len());
        if growth > 0 && growth > self.free() {
            return Err(StorageErrorKind::NoSpace);
        }
        if fault.is_none() || self.random.one_in(2) {
            self.inode_mut(number).set_len(len);
        }
        self.refuse(fault)
    }

    pub(super) fn read(
        &mut self,
        number: u64,
        buf: &mut [u8],
        offset: u64,
        fault: Option<Injected>,
    ) -> Result<(), StorageErrorKind> {
        if !self.inode(number).cached.contains(offset, buf.len()) {
            return Err(StorageErrorKind::OutOfBounds);
        }
        self.inode(number).cached.read(buf, offset);
        if fault.is_some() {
            let kept = self.random.index(buf.len() + 1);
            self.random.fill(&mut buf[kept..]);
        }
        self.refuse(fault)
    }

    pub(super) fn write(
        &mut self,
        number: u64,
        bytes: &[u8],
        offset: u64,
        fault: Option<Injected>,
    ) -> Result<(), StorageErrorKind> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(StorageErrorKind::NoSpace)?;
        let len = self.inode(number).len();
        if bytes.is_empty() {
            return self.refuse(fault);
        }
        let free = self.free();
        if end.saturating_sub(len) > free {
            let room = len.saturating_add(free).saturating_sub(offset);
            let fitting = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
            self.write_part(number, &bytes[..fitting], offset);
            return Err(StorageErrorKind::NoSpace);
        }
        match fault {
            None => self.inode_mut(number).write(bytes, offset),
            Some(_) => self.write_part(number, bytes, offset),
        }
        self.refuse(fault)
    }

    pub(super) fn sync_data(
        &mut self,
        number: u64,
        fault: Option<Injected>,
    ) -> Result<(), StorageErrorKind> {
        if self.inode(number).sync_failed {
            self.retried_sync_count += 1;
            return Err(StorageErrorKind::Other);
        }
        let failed = self.refuse(fault);
        let mut random = Random::new(self.random.next_u64());
        let inode = self.inode_mut(number);
        if failed.is_ok() {
            inode.sync();
        } else {
            inode.sync_failed = true;
            let pending = std::mem::take(&mut inode.pending);
            power_cut::apply_some(&mut inode.stable, &pending, &mut random);
        }
        failed
    }

    pub(super) fn inode(&self, number: u64) -> &Inode {
        self.inodes.get(&number).expect("an inode lives as long as the epoch of its handles")
    }

    fn inode_mut(&mut self, number: u64) -> &mut Inode {
        let inode = self.inodes.get_mut(&number);
        Arc::make_mut(inode.expect("an inode lives as long as the epoch of its handles"))
    }

    /// A write that failed: any part of its range has changed.
    fn write_part(&mut self, number: u64, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        let start = self.random.index(bytes.len());
        let end = start + self.random.index(bytes.len() - start + 1);
        // Most often a failed write has written a prefix.
        let start = if self.random.one_in(4) { start } else { 0 };
        self.inode_mut(number).write(&bytes[start..end], offset + start as u64);
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending_names.push(change);
    }

    fn free(&self) -> u64 {
        let Some(space_max) = self.space_max else { return u64::MAX };
        let used = self.names.values().map(|number| self.inode(*number).len()).sum();
        space_max.saturating_sub(used)
    }
}

impl Injected {
    const fn error_kind(self) -> StorageErrorKind {
        match self {
            Self::NoSpace => StorageErrorKind::NoSpace,
            Self::Io | Self::Panic | Self::Slow => StorageErrorKind::Other,
        }
    }
}
