//! What every storage must do, as steps that run on any adapter.
//!
//! Needs no threads, no files and no clock, so the same steps run in a browser's worker. A
//! host that must open files ahead of time runs them one by one and makes each step's
//! [`upcoming`](ContractStep::upcoming) files ready in between; all others call
//! [`storage_contract`]. Steps use files of their own and may run in any order on one
//! storage. What a crash may keep is the simulated disk's business, not this suite's.

use annals_core::{FileId, FileKind, Storage, StorageError, StorageErrorKind, StorageFile};

/// One rule of the contract, as a check that panics when it is broken.
#[derive(Clone, Copy, Debug)]
pub struct ContractStep<S> {
    /// The rule, as a sentence.
    pub name: &'static str,
    /// The files that it creates.
    pub upcoming: &'static [FileId],
    /// The check.
    pub run: fn(&S),
}

impl<S: Storage> ContractStep<S> {
    /// Announces the files and checks the rule.
    ///
    /// # Panics
    ///
    /// If the storage breaks the rule.
    pub fn check(&self, storage: &S) {
        let _name = NameOnPanic(self.name);
        storage.prepare(self.upcoming);
        (self.run)(storage);
    }
}

/// Checks the whole contract on a storage without files.
///
/// # Panics
///
/// If the storage breaks a rule; the message says which.
pub fn storage_contract<S: Storage>(storage: &S) {
    assert_eq!(ok("list", storage.list()), [], "the suite starts on an empty storage");
    for step in contract_steps::<S>() {
        step.check(storage);
    }
}

/// Every rule, for a host that must wait between them.
#[must_use]
pub fn contract_steps<S: Storage>() -> Vec<ContractStep<S>> {
    vec![
        step("a fresh file reads as zero", &[SEG_1, META_1], fresh_file_reads_as_zero),
        step("create refuses a taken number", &[SEG_2], create_refuses_a_taken_number),
        step("kinds have their own numbers", &[SEG_3, META_3], kinds_have_their_own_numbers),
        step("a missing file is not found", &[], missing_file_is_not_found),
        step("list is ascending and complete", &[SEG_4, SEG_5, META_4], list_is_complete),
        step("written bytes are read back", &[META_5], written_bytes_are_read_back),
        step("only the written range changes", &[META_6], only_the_written_range_changes),
        step("a gap reads as zero", &[META_7], gap_reads_as_zero),
        step("cut bytes do not come back", &[META_8], cut_bytes_do_not_come_back),
        step("a read past the end is out of bounds", &[META_9], read_past_the_end),
        step("empty reads and writes do nothing", &[META_10], empty_reads_and_writes),
        step("handles see each other's writes", &[META_11], handles_see_each_other),
        step("bytes outlive their handle", &[META_12], bytes_outlive_their_handle),
        step("a removed file is gone", &[META_13], removed_file_is_gone),
        step("handles of a removed file still read", &[META_14], removed_file_still_reads),
        step("a removed number is new again", &[META_15], removed_number_is_new_again),
        step("syncing succeeds at any time", &[META_16], syncing_succeeds_at_any_time),
        step("large writes arrive whole", &[META_17], large_writes_arrive_whole),
        step("hints may be wrong", &[], hints_may_be_wrong),
    ]
}

struct NameOnPanic(&'static str);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("broken rule of the storage contract: {}", self.0);
        }
    }
}

fn step<S>(name: &'static str, upcoming: &'static [FileId], run: fn(&S)) -> ContractStep<S> {
    ContractStep { name, upcoming, run }
}

const SEG_1: FileId = FileId::segment(1);
const SEG_2: FileId = FileId::segment(2);
const SEG_3: FileId = FileId::segment(3);
const SEG_4: FileId = FileId::segment(4);
const SEG_5: FileId = FileId::segment(12_345_678_901);
const META_1: FileId = FileId::meta(1);
const META_3: FileId = FileId::meta(3);
const META_4: FileId = FileId::meta(4);
const META_5: FileId = FileId::meta(5);
const META_6: FileId = FileId::meta(6);
const META_7: FileId = FileId::meta(7);
const META_8: FileId = FileId::meta(8);
const META_9: FileId = FileId::meta(9);
const META_10: FileId = FileId::meta(10);
const META_11: FileId = FileId::meta(11);
const META_12: FileId = FileId::meta(12);
const META_13: FileId = FileId::meta(13);
const META_14: FileId = FileId::meta(14);
const META_15: FileId = FileId::meta(15);
const META_16: FileId = FileId::meta(16);
const META_17: FileId = FileId::meta(17);
const NEVER_MADE: FileId = FileId::segment(99);

fn fresh_file_reads_as_zero<S: Storage>(storage: &S) {
    let segment = create(storage, SEG_1);
    assert!(read_all(&segment).iter().all(|byte| *byte == 0), "preallocated bytes are zero");
    let meta = create(storage, META_1);
    assert_eq!(len(&meta), 0, "only segments may be preallocated");
}

fn create_refuses_a_taken_number<S: Storage>(storage: &S) {
    let file = create(storage, SEG_2);
    write(&file, b"first", 0);
    let len_before = len(&file);
    for _ in 0..2 {
        assert_kind(storage.create(SEG_2), StorageErrorKind::AlreadyExists);
        drop(open(storage, SEG_2));
    }
    drop(file);
    assert_kind(storage.create(SEG_2), StorageErrorKind::AlreadyExists);
    let file = open(storage, SEG_2);
    assert_eq!(len(&file), len_before, "the existing file keeps its length");
    assert_eq!(read(&file, 5, 0), b"first", "the existing file keeps its bytes");
}

fn kinds_have_their_own_numbers<S: Storage>(storage: &S) {
    write(&create(storage, SEG_3), b"segment", 0);
    write(&create(storage, META_3), b"meta log", 0);
    assert_eq!(read(&open(storage, SEG_3), 7, 0), b"segment");
    assert_eq!(read_all(&open(storage, META_3)), b"meta log");
    ok("remove", storage.remove(META_3));
    assert_eq!(read(&open(storage, SEG_3), 7, 0), b"segment");
}

fn missing_file_is_not_found<S: Storage>(storage: &S) {
    assert_kind(storage.open(NEVER_MADE), StorageErrorKind::NotFound);
    assert_kind(storage.remove(NEVER_MADE), StorageErrorKind::NotFound);
    let error = storage.remove(NEVER_MADE).expect_err("there is nothing to remove");
    assert_eq!(error.file(), Some(NEVER_MADE), "the error names the file");
}

fn list_is_complete<S: Storage>(storage: &S) {
    let before = ok("list", storage.list());
    let made = [META_4, SEG_5, SEG_4];
    for id in made {
        drop(create(storage, id));
    }
    let mut expected = before;
    expected.extend(made);
    expected.sort();
    assert_eq!(ok("list", storage.list()), expected);
    ok("sync_dir", storage.sync_dir());
    assert_eq!(ok("list", storage.list()), expected);
}

fn written_bytes_are_read_back<S: Storage>(storage: &S) {
    let file = create(storage, META_5);
    write(&file, b"hello", 0);
    assert_eq!(len(&file), 5);
    write(&file, b" world", 5);
    assert_eq!(len(&file), 11);
    assert_eq!(read_all(&file), b"hello world");
    assert_eq!(read(&file, 5, 3), b"lo wo");
    assert_eq!(read(&file, 1, 10), b"d");
}

fn only_the_written_range_changes<S: Storage>(storage: &S) {
    let file = create(storage, META_6);
    write(&file, &[7; 20_000], 0);
    write(&file, &[9; 5_000], 4_095);
    let mut expected = vec![7; 20_000];
    expected[4_095..9_095].fill(9);
    assert!(read_all(&file) == expected, "bytes outside the written range never change");
    write(&file, &[1, 2, 3], 19_999);
    expected.truncate(19_999);
    expected.extend([1, 2, 3]);
    assert!(read_all(&file) == expected, "a write may straddle the end");
}

fn gap_reads_as_zero<S: Storage>(storage: &S) {
    let file = create(storage, META_7);
    write(&file, b"end", 10_000);
    assert_eq!(len(&file), 10_003);
    assert!(read(&file, 10_000, 0).iter().all(|byte| *byte == 0));
    ok("set_len", file.set_len(30_000));
    assert_eq!(len(&file), 30_000);
    assert_eq!(read(&file, 3, 10_000), b"end");
    assert!(read(&file, 19_997, 10_003).iter().all(|byte| *byte == 0));
}

fn cut_bytes_do_not_come_back<S: Storage>(storage: &S) {
    let file = create(storage, META_8);
    write(&file, &[0xAA; 10_000], 0);
    ok("set_len", file.set_len(4_100));
    assert_eq!(len(&file), 4_100);
    ok("set_len", file.set_len(8_000));
    write(&file, b"x", 12_000);
    let bytes = read_all(&file);
    assert!(bytes[..4_100].iter().all(|byte| *byte == 0xAA));
    assert!(bytes[4_100..12_000].iter().all(|byte| *byte == 0), "growth reads as zero");
    ok("set_len", file.set_len(0));
    assert_eq!(len(&file), 0);
    ok("set_len", file.set_len(10));
    assert_eq!(read_all(&file), [0; 10]);
}

fn read_past_the_end<S: Storage>(storage: &S) {
    let file = create(storage, META_9);
    write(&file, b"0123456789", 0);
    for (count, offset) in [(1, 10), (11, 0), (2, 9), (1, 1_000_000), (1, u64::MAX), (9, u64::MAX)]
    {
        let outcome = file.read_exact_at(&mut vec![0; count], offset);
        assert_kind(outcome, StorageErrorKind::OutOfBounds);
    }
    assert_eq!(read_all(&file), b"0123456789");
}

fn empty_reads_and_writes<S: Storage>(storage: &S) {
    let file = create(storage, META_10);
    write(&file, b"", 0);
    write(&file, b"", 100);
    assert_eq!(len(&file), 0, "an empty write does not grow the file");
    assert_eq!(read(&file, 0, 0), b"");
    write(&file, b"abc", 0);
    assert_eq!(read(&file, 0, 1), b"");
    assert_eq!(read(&file, 0, 3), b"");
}

fn handles_see_each_other<S: Storage>(storage: &S) {
    let first = create(storage, META_11);
    let second = open(storage, META_11);
    write(&first, b"one", 0);
    assert_eq!(read_all(&second), b"one");
    write(&second, b"two", 3);
    assert_eq!(read_all(&first), b"onetwo");
    ok("set_len", first.set_len(1));
    assert_eq!(read_all(&second), b"o");
}

fn bytes_outlive_their_handle<S: Storage>(storage: &S) {
    let file = create(storage, META_12);
    write(&file, b"unsynced", 0);
    drop(file);
    let file = open(storage, META_12);
    assert_eq!(read_all(&file), b"unsynced");
    ok("sync_data", file.sync_data());
}

fn removed_file_is_gone<S: Storage>(storage: &S) {
    write(&create(storage, META_13), b"bytes", 0);
    ok("remove", storage.remove(META_13));
    assert!(!ok("list", storage.list()).contains(&META_13));
    assert_kind(storage.open(META_13), StorageErrorKind::NotFound);
    assert_kind(storage.remove(META_13), StorageErrorKind::NotFound);
    ok("sync_dir", storage.sync_dir());
    assert!(!ok("list", storage.list()).contains(&META_13));
}

fn removed_file_still_reads<S: Storage>(storage: &S) {
    let first = create(storage, META_14);
    write(&first, b"still here", 0);
    let second = open(storage, META_14);
    ok("remove", storage.remove(META_14));
    ok("sync_dir", storage.sync_dir());
    assert_kind(storage.open(META_14), StorageErrorKind::NotFound);
    assert_eq!(read_all(&first), b"still here");
    drop(first);
    assert_eq!(read_all(&second), b"still here");
}

fn removed_number_is_new_again<S: Storage>(storage: &S) {
    let old = create(storage, META_15);
    write(&old, b"old bytes", 0);
    ok("remove", storage.remove(META_15));
    let new = match storage.create(META_15) {
        Ok(new) => new,
        // A host that opens files ahead may need the old one closed first.
        Err(error) if error.kind() == StorageErrorKind::NotReady => return,
        Err(error) => panic!("create: {error}"),
    };
    assert_eq!(len(&new), 0, "the new file has nothing of the old one");
    write(&new, b"new", 0);
    assert_eq!(read_all(&old), b"old bytes", "a handle never changes to another file");
    drop(old);
    assert_eq!(read_all(&new), b"new");
    assert_eq!(read_all(&open(storage, META_15)), b"new");
}

fn syncing_succeeds_at_any_time<S: Storage>(storage: &S) {
    let file = create(storage, META_16);
    ok("sync_data", file.sync_data());
    ok("sync_dir", storage.sync_dir());
    ok("sync_dir", storage.sync_dir());
    write(&file, b"a", 0);
    ok("sync_data", file.sync_data());
    ok("sync_data", file.sync_data());
    ok("set_len", file.set_len(0));
    ok("sync_data", file.sync_data());
    write(&file, b"b", 0);
    ok("sync_data", open(storage, META_16).sync_data());
    assert_eq!(read_all(&file), b"b");
}

fn large_writes_arrive_whole<S: Storage>(storage: &S) {
    let file = create(storage, META_17);
    let bytes: Vec<u8> = (0..=250).cycle().take(3_000_001).collect();
    write(&file, &bytes, 17);
    assert!(read(&file, bytes.len(), 17) == bytes);
    ok("sync_data", file.sync_data());
    assert_eq!(len(&file), 3_000_018);
}

fn hints_may_be_wrong<S: Storage>(storage: &S) {
    let before = ok("list", storage.list());
    storage.prepare(&[NEVER_MADE, FileId { kind: FileKind::Meta, number: 99 }]);
    assert_eq!(ok("list", storage.list()), before, "what is only prepared is not listed");
    assert_kind(storage.open(NEVER_MADE), StorageErrorKind::NotFound);
    storage.prepare(&[]);
    assert_eq!(ok("list", storage.list()), before);
}

fn create<S: Storage>(storage: &S, id: FileId) -> S::File {
    ok("create", storage.create(id))
}

fn open<S: Storage>(storage: &S, id: FileId) -> S::File {
    ok("open", storage.open(id))
}

fn len(file: &impl StorageFile) -> u64 {
    ok("len", file.len())
}

fn write(file: &impl StorageFile, bytes: &[u8], offset: u64) {
    ok("write_all_at", file.write_all_at(bytes, offset));
}

fn read(file: &impl StorageFile, count: usize, offset: u64) -> Vec<u8> {
    let mut bytes = vec![0x55; count];
    ok("read_exact_at", file.read_exact_at(&mut bytes, offset));
    bytes
}

fn read_all(file: &impl StorageFile) -> Vec<u8> {
    read(file, usize::try_from(len(file)).expect("the suite's files are small"), 0)
}

fn ok<T>(operation: &str, outcome: Result<T, StorageError>) -> T {
    outcome.unwrap_or_else(|error| panic!("{operation} must succeed: {error}"))
}

fn assert_kind<T>(outcome: Result<T, StorageError>, expected: StorageErrorKind) {
    match outcome {
        Ok(_) => panic!("expected an error: {expected}"),
        Err(error) => assert_eq!(error.kind(), expected, "{error}"),
    }
}
