//! The directory of the native adapter: lock, descriptors, spares, remembered failures.

use std::{
    error::Error as _,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use annals::{
    FileId, FsOpenError, FsOptions, FsStorage, Storage, StorageErrorKind, StorageFile as _,
};

#[test]
fn b35_the_second_writer_is_locked_out_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let clone = first.clone();
    for _ in 0..2 {
        let error = FsStorage::open(dir.path(), FsOptions::default()).unwrap_err();
        assert!(matches!(&error, FsOpenError::Locked { dir: locked } if locked == dir.path()));
        assert!(error.to_string().contains("locked by another writer"), "{error}");
    }
    drop(first);
    assert!(FsStorage::open(dir.path(), FsOptions::default()).is_err(), "a clone holds it");
    drop(clone);
    open(dir.path());
}

#[test]
fn b35_readers_open_beside_a_writer_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let writer = open(dir.path());
    let file = writer.create(FileId::segment(1)).unwrap();
    file.write_all_at(b"written", 0).unwrap();

    let reader = FsStorage::open_read_only(dir.path(), FsOptions::default()).unwrap();
    let also = FsStorage::open_read_only(dir.path(), FsOptions::default()).unwrap();
    assert_eq!(also.list().unwrap(), [FileId::segment(1)]);
    let read_only = reader.open(FileId::segment(1)).unwrap();
    assert_eq!(read(&read_only, 7), b"written");
    file.write_all_at(b"W", 0).unwrap();
    assert_eq!(read(&read_only, 7), b"Written", "a reader sees what the writer goes on to write");

    let denied = [
        reader.create(FileId::segment(2)).map(drop),
        reader.remove(FileId::segment(1)),
        reader.sync_dir(),
        read_only.write_all_at(b"x", 0),
        read_only.set_len(0),
        read_only.sync_data(),
    ];
    for outcome in denied {
        assert_eq!(outcome.unwrap_err().kind(), StorageErrorKind::PermissionDenied);
    }
    assert_eq!(read(&file, 7), b"Written");
    drop(writer);
    drop(file);
    open(dir.path());
}

#[test]
fn a_missing_directory_is_made_for_a_writer_only() {
    let dir = tempfile::tempdir().unwrap();
    let nested = dir.path().join("a/b/c");
    let error = FsStorage::open_read_only(&nested, FsOptions::default()).unwrap_err();
    let FsOpenError::Storage { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), StorageErrorKind::NotFound);
    assert!(!dir.path().join("a").exists());
    open(&nested).create(FileId::segment(1)).unwrap();
    assert!(nested.join("0000000001.seg").exists());
}

#[test]
fn a_file_in_place_of_the_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, b"not a directory").unwrap();
    for outcome in [
        FsStorage::open(&path, FsOptions::default()),
        FsStorage::open_read_only(&path, FsOptions::default()),
    ] {
        assert!(matches!(outcome.unwrap_err(), FsOpenError::Storage { .. }));
    }
    assert_eq!(fs::read(&path).unwrap(), b"not a directory");
}

#[test]
fn unknown_names_are_not_listed_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["README", "1.seg", "0000000001.seg.bak", "0000000002.SEG"] {
        fs::write(dir.path().join(name), b"mine").unwrap();
    }
    let storage = open(dir.path());
    storage.create(FileId::meta(3)).unwrap();
    assert_eq!(storage.list().unwrap(), [FileId::meta(3)]);
    drop(storage);
    assert_eq!(fs::read(dir.path().join("1.seg")).unwrap(), b"mine");
}

#[test]
fn fifty_files_work_with_two_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let options = FsOptions::default().with_fd_budget(2);
    let storage = FsStorage::open(dir.path(), options).unwrap();
    let files: Vec<_> =
        (0..50).map(|number| storage.create(FileId::segment(number)).unwrap()).collect();
    assert!(storage.descriptor_count() <= 2);
    for round in 0..3_u8 {
        for (number, file) in (0_u8..).zip(&files) {
            file.write_all_at(&[number, round], u64::from(round) * 2).unwrap();
            file.sync_data().unwrap();
            assert!(storage.descriptor_count() <= 2);
        }
    }
    for (number, file) in (0_u8..50).zip(&files).rev() {
        assert_eq!(read(file, 6), [number, 0, number, 1, number, 2]);
    }
    assert_open_segments(dir.path(), |count| count <= 2);
}

#[test]
fn unsynced_files_keep_their_descriptor_until_they_are_synced() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FsStorage::open(dir.path(), FsOptions::default().with_fd_budget(2)).unwrap();
    for number in 0..10 {
        let file = storage.create(FileId::segment(number)).unwrap();
        file.write_all_at(b"unsynced", 0).unwrap();
        // Not even a dropped handle gives up the descriptor that will learn of a failure.
    }
    assert_eq!(storage.descriptor_count(), 10);
    assert_open_segments(dir.path(), |count| count == 10);
    for number in 0..10 {
        storage.open(FileId::segment(number)).unwrap().sync_data().unwrap();
    }
    assert_eq!(storage.descriptor_count(), 0, "nobody holds a handle");
    assert_open_segments(dir.path(), |count| count == 0);
}

#[test]
fn removed_files_stay_readable_beyond_the_budget() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FsStorage::open(dir.path(), FsOptions::default().with_fd_budget(1)).unwrap();
    let files: Vec<_> = (0..5)
        .map(|number| {
            let file = storage.create(FileId::segment(number)).unwrap();
            file.write_all_at(&[u8::try_from(number).unwrap(); 3], 0).unwrap();
            file.sync_data().unwrap();
            file
        })
        .collect();
    for number in 0..5 {
        storage.remove(FileId::segment(number)).unwrap();
        let again = storage.create(FileId::segment(number)).unwrap();
        again.write_all_at(b"another", 0).unwrap();
        again.sync_data().unwrap();
    }
    for (number, file) in (0_u8..).zip(&files) {
        assert_eq!(read(file, 3), [number; 3]);
    }
    drop(files);
    assert_eq!(storage.descriptor_count(), 0);
}

#[test]
fn threads_read_many_files_with_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FsStorage::open(dir.path(), FsOptions::default().with_fd_budget(3)).unwrap();
    let files: Vec<_> = (0..16)
        .map(|number| {
            let file = storage.create(FileId::segment(number)).unwrap();
            file.write_all_at(&number.to_le_bytes(), 0).unwrap();
            file.sync_data().unwrap();
            file
        })
        .collect();
    thread::scope(|scope| {
        for start in 0..4 {
            let (files, storage) = (&files, &storage);
            scope.spawn(move || {
                for step in 0..2_000 {
                    let number = (start * 5 + step * 7) % 16;
                    assert_eq!(read(&files[number], 8), number.to_le_bytes());
                    let other = u64::try_from((number + 1) % 16).unwrap();
                    let again = storage.open(FileId::segment(other)).unwrap();
                    assert_eq!(read(&again, 8), other.to_le_bytes());
                }
            });
        }
    });
    assert!(storage.descriptor_count() <= 3);
}

#[test]
fn files_outlive_the_storage_for_reading_only() {
    let dir = tempfile::tempdir().unwrap();
    let storage = FsStorage::open(dir.path(), FsOptions::default().with_fd_budget(1)).unwrap();
    let file = storage.create(FileId::segment(1)).unwrap();
    file.write_all_at(b"kept", 0).unwrap();
    file.sync_data().unwrap();
    storage.create(FileId::segment(2)).unwrap();
    drop(storage);

    let next = open(dir.path());
    assert_eq!(read(&file, 4), b"kept");
    let error = file.write_all_at(b"late", 0).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::PermissionDenied);
    assert_eq!(read(&next.open(FileId::segment(1)).unwrap(), 4), b"kept");
}

#[test]
fn a_create_takes_over_the_spare_and_the_next_one_grows() {
    let dir = tempfile::tempdir().unwrap();
    let options = FsOptions::default().with_segment_preallocate_len(3 << 20);
    let storage = FsStorage::open(dir.path(), options).unwrap();
    assert_eq!(storage.create(FileId::segment(1)).unwrap().len().unwrap(), 0, "not asked for");

    wait_for_spare(&storage, &[FileId::segment(2)]);
    assert_eq!(storage.create(FileId::meta(1)).unwrap().len().unwrap(), 0, "only for segments");
    assert_eq!(
        storage.create(FileId::segment(1)).unwrap_err().kind(),
        StorageErrorKind::AlreadyExists,
        "a spare never replaces a file"
    );
    let file = storage.create(FileId::segment(2)).unwrap();
    assert_eq!(read(&file, 3 << 20), vec![0; 3 << 20]);
    assert!(!dir.path().join("segment.spare").exists());
    file.write_all_at(b"frame", 1000).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.len().unwrap(), 3 << 20);
    assert_eq!(storage.create(FileId::segment(3)).unwrap().len().unwrap(), 0, "one a request");
    assert_eq!(
        storage.list().unwrap(),
        [FileId::segment(1), FileId::segment(2), FileId::segment(3), FileId::meta(1)]
    );
}

#[test]
#[cfg(unix)]
fn a_spare_has_blocks_and_not_only_a_length() {
    use std::os::unix::fs::MetadataExt as _;

    let dir = tempfile::tempdir().unwrap();
    let options = FsOptions::default().with_segment_preallocate_len(1 << 20);
    let storage = FsStorage::open(dir.path(), options).unwrap();
    wait_for_spare(&storage, &[FileId::segment(1)]);
    storage.create(FileId::segment(1)).unwrap();
    let metadata = fs::metadata(dir.path().join("0000000001.seg")).unwrap();
    assert!(metadata.blocks() * 512 >= 1 << 20);
}

#[test]
fn b34_no_spare_is_left_behind() {
    let dir = tempfile::tempdir().unwrap();
    let options = FsOptions::default().with_segment_preallocate_len(64 << 20);
    for round in 0..5 {
        fs::write(dir.path().join("segment.spare"), b"left by a killed process").unwrap();
        let storage = FsStorage::open(dir.path(), options).unwrap();
        assert_eq!(names(dir.path()), ["LOCK"]);
        storage.prepare(&[FileId::segment(1)]);
        if round == 0 {
            wait_for_spare(&storage, &[FileId::segment(1)]);
        }
        if round >= 2 {
            // The thread is stopped in the middle of filling it.
            wait_until("no spare was begun", || dir.path().join("segment.spare").exists());
        }
        if round == 3 {
            storage.prepare(&[]);
            wait_until("the spare is still there", || names(dir.path()) == ["LOCK"]);
        }
        drop(storage);
        assert_eq!(names(dir.path()), ["LOCK"], "in round {round}");
    }
}

#[test]
fn no_space_for_a_spare_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    // No file can be this long, so preparing it fails before a byte is written.
    let options = FsOptions::default().with_segment_preallocate_len(u64::MAX / 2 + 1);
    let storage = FsStorage::open(dir.path(), options).unwrap();
    for number in 0..3 {
        storage.prepare(&[FileId::segment(number)]);
        thread::sleep(Duration::from_millis(5));
        assert_eq!(storage.create(FileId::segment(number)).unwrap().len().unwrap(), 0);
    }
    drop(storage);
    assert!(!dir.path().join("segment.spare").exists());
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_no_space_with_the_cause() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("0000000001.seg")).unwrap();
    let storage = open(dir.path());
    let file = storage.open(FileId::segment(1)).unwrap();
    let error = file.write_all_at(b"does not fit", 0).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::NoSpace);
    assert_eq!(error.file(), Some(FileId::segment(1)));
    let source = error.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}

#[test]
#[cfg(target_os = "linux")]
fn a_failed_sync_is_remembered_through_every_later_handle() {
    for has_unsynced_writes in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        // A device can't be synced, so the first sync fails.
        let name = dir.path().join("0000000001.seg");
        std::os::unix::fs::symlink("/dev/null", &name).unwrap();
        let storage = FsStorage::open(dir.path(), FsOptions::default().with_fd_budget(1)).unwrap();
        let file = storage.open(FileId::segment(1)).unwrap();
        if has_unsynced_writes {
            file.write_all_at(b"lost", 0).unwrap();
        }
        file.sync_data().unwrap_err();

        // From here on a sync would succeed, if it were tried on a new descriptor.
        fs::remove_file(&name).unwrap();
        fs::write(&name, b"").unwrap();
        for error in [
            file.sync_data().unwrap_err(),
            storage.open(FileId::segment(1)).unwrap().sync_data().unwrap_err(),
        ] {
            assert!(error.detail().unwrap().contains("an earlier sync failed"), "{error}");
        }
        drop(file);
        storage.create(FileId::segment(2)).unwrap();
        assert!(storage.open(FileId::segment(1)).unwrap().sync_data().is_err());
        drop(storage);
        assert!(open(dir.path()).open(FileId::segment(1)).unwrap().sync_data().is_ok());
    }
}

/// Asks for a spare and waits until it is whole, if a segment is among the files.
pub(crate) fn wait_for_spare(storage: &FsStorage, upcoming: &[FileId]) {
    storage.prepare(upcoming);
    if !upcoming.iter().any(|id| id.kind == annals::FileKind::Segment) {
        return;
    }
    wait_until("no spare was made", || storage.has_spare());
}

fn wait_until(otherwise: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{otherwise}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn open(dir: &Path) -> FsStorage {
    FsStorage::open(dir, FsOptions::default()).unwrap()
}

fn read(file: &annals::FsFile, count: usize) -> Vec<u8> {
    let mut bytes = vec![0x55; count];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Counts what the operating system says is open, where it can be asked.
fn assert_open_segments(dir: &Path, expected: impl Fn(usize) -> bool) {
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        let count = descriptors
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| target.starts_with(dir) && target.extension().is_some())
            .count();
        assert!(expected(count), "{count} descriptors are open");
    }
}
