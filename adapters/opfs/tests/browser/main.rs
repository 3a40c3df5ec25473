//! The contract of every storage, and what only files in a browser have, in a dedicated worker.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "all of this is tests, which the lint can't tell")]

mod conformance;
mod faults;
mod log;
mod place;

use annals_core::{FileId, Storage, StorageErrorKind, StorageFile};
use annals_opfs::{OpfsError, OpfsFile, OpfsOptions, OpfsStorage};
use annals_tests::storage_contract::contract_steps;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

use crate::faults::{Faults, Plan};
use crate::place::Place;

wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn impatient() -> OpfsOptions {
    OpfsOptions::default().with_busy_timeout_ms(300)
}

#[wasm_bindgen_test]
async fn the_storage_keeps_its_contract() {
    let place = Place::new("contract").await;
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    for step in contract_steps::<OpfsStorage>() {
        storage.prepare(step.upcoming);
        upkeep.top_up().await.unwrap();
        step.check(&storage);
    }
    assert!(storage.open_handles() <= 8, "{} handles", storage.open_handles());
}

#[wasm_bindgen_test]
async fn bytes_names_and_lengths_are_there_after_reopening() {
    let place = Place::new("reopening").await;
    let ids = [FileId::segment(1), FileId::segment(2), FileId::meta(1)];
    {
        let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
        storage.prepare(&ids);
        upkeep.top_up().await.unwrap();
        for id in ids {
            let file = storage.create(id).unwrap();
            file.write_all_at(id.name().as_bytes(), 3).unwrap();
            file.sync_data().unwrap();
        }
        storage.remove(ids[1]).unwrap();
        storage.prepare(&[]);
        upkeep.top_up().await.unwrap();
    }
    assert_eq!(place.names().await, ["0000000001.meta", "0000000001.seg", "LOCK"]);
    let (storage, _upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    assert_eq!(storage.list().unwrap(), [ids[0], ids[2]]);
    for id in [ids[0], ids[2]] {
        let file = storage.open(id).unwrap();
        let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes, [b"\0\0\0", id.name().as_bytes()].concat());
    }
}

#[wasm_bindgen_test]
async fn b35_a_directory_has_one_owner() {
    let place = Place::new("owner").await;
    let (storage, upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    let second = OpfsStorage::open(place.dir(), impatient()).await;
    match second {
        Err(OpfsError::Busy { file, waited_ms }) => {
            assert_eq!(file, "LOCK");
            assert!(waited_ms >= 300);
        }
        other => panic!("{other:?}"),
    }
    upkeep.close();
    let error = storage.create(FileId::segment(1)).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::NotReady);
    OpfsStorage::open(place.dir(), impatient()).await.unwrap();
}

#[wasm_bindgen_test]
async fn a_file_that_is_not_prepared_is_not_ready_and_then_is() {
    let place = Place::new("prepared").await;
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    let id = FileId::segment(7);
    assert_eq!(storage.create(id).unwrap_err().kind(), StorageErrorKind::NotReady);
    upkeep.top_up().await.unwrap();
    assert_eq!(storage.list().unwrap(), [], "it is not listed before it is created");
    storage.create(id).unwrap();
    assert_eq!(storage.list().unwrap(), [id]);
}

#[wasm_bindgen_test]
async fn what_is_no_longer_expected_is_given_back() {
    let place = Place::new("unexpected").await;
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    storage.prepare(&[FileId::segment(1), FileId::segment(2)]);
    upkeep.top_up().await.unwrap();
    assert_eq!(place.names().await, ["0000000001.seg", "0000000002.seg", "LOCK"]);
    storage.prepare(&[FileId::segment(2)]);
    upkeep.top_up().await.unwrap();
    assert_eq!(place.names().await, ["0000000002.seg", "LOCK"]);
    assert_eq!(storage.open_handles(), 2);
}

#[wasm_bindgen_test]
async fn what_was_opened_ahead_is_there_for_the_next_worker() {
    let place = Place::new("ahead").await;
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    let upcoming = [FileId::segment(1), FileId::meta(1)];
    storage.prepare(&upcoming);
    upkeep.top_up().await.unwrap();
    drop((storage, upkeep));
    let (storage, _upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    assert_eq!(storage.list().unwrap(), []);
    for id in upcoming {
        assert_eq!(storage.create(id).unwrap().len().unwrap(), 0);
    }
}

#[wasm_bindgen_test]
async fn more_empty_files_than_are_opened_ahead_are_listed() {
    let place = Place::new("empties").await;
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    for number in 1..=12 {
        storage.prepare(&[FileId::segment(number)]);
        upkeep.top_up().await.unwrap();
        storage.create(FileId::segment(number)).unwrap();
    }
    drop((storage, upkeep));
    let (storage, _upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    let listed: Vec<FileId> = (1..=10).map(FileId::segment).collect();
    assert_eq!(storage.list().unwrap(), listed);
    assert!(storage.open_handles() <= 8, "{} handles", storage.open_handles());
}

#[wasm_bindgen_test]
async fn a_held_file_leaves_no_other_occupied() {
    let place = Place::new("occupied").await;
    let ids = [FileId::segment(1), FileId::segment(2), FileId::meta(1)];
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    storage.prepare(&ids);
    upkeep.top_up().await.unwrap();
    for id in ids {
        storage.create(id).unwrap().write_all_at(b"x", 0).unwrap();
    }
    drop((storage, upkeep));
    let held = place.hold("0000000002.seg").await;
    let error = OpfsStorage::open(place.dir(), impatient()).await.unwrap_err();
    assert!(matches!(&error, OpfsError::Busy { file, .. } if file == "0000000002.seg"), "{error}");
    held.close();
    let at_once = OpfsOptions::default().with_busy_timeout_ms(0);
    let (storage, _upkeep) = OpfsStorage::open(place.dir(), at_once).await.unwrap();
    assert_eq!(storage.list().unwrap(), [ids[0], ids[1], ids[2]]);
}

#[wasm_bindgen_test]
async fn many_files_share_a_few_handles() {
    let place = Place::new("budget").await;
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    let mut files = Vec::new();
    for number in 1..=20 {
        storage.prepare(&[FileId::segment(number)]);
        upkeep.top_up().await.unwrap();
        let file = storage.create(FileId::segment(number)).unwrap();
        file.write_all_at(&number.to_le_bytes(), 100).unwrap();
        files.push((number, file));
        assert!(storage.open_handles() <= 8, "{} handles", storage.open_handles());
    }
    check_numbers(&files);

    let first = &files[0].1;
    let refused = first.write_all_at(b"late", 0).unwrap_err();
    assert_eq!(refused.kind(), StorageErrorKind::NotReady, "a closed file is only read");
    upkeep.top_up().await.unwrap();
    first.write_all_at(b"late", 0).unwrap();
    first.sync_data().unwrap();
    assert!(storage.open_handles() <= 8, "{} handles", storage.open_handles());
    check_numbers(&files);
    drop(files);
    drop((storage, upkeep));

    let (storage, _upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    assert!(storage.open_handles() <= 6, "room for new files is left");
    let files: Vec<_> =
        (1..=20).map(|number| (number, storage.open(FileId::segment(number)).unwrap())).collect();
    check_numbers(&files);
}

fn check_numbers(files: &[(u64, impl StorageFile)]) {
    for (number, file) in files {
        let mut bytes = [0; 8];
        file.read_exact_at(&mut bytes, 100).unwrap();
        assert_eq!(u64::from_le_bytes(bytes), *number);
        let error = file.read_exact_at(&mut bytes, 101).unwrap_err();
        assert_eq!(error.kind(), StorageErrorKind::OutOfBounds);
    }
}

#[wasm_bindgen_test]
async fn a_removed_file_is_read_to_its_end_and_then_deleted() {
    let place = Place::new("removal").await;
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    let id = FileId::segment(1);
    storage.prepare(&[id]);
    upkeep.top_up().await.unwrap();
    let file = storage.create(id).unwrap();
    file.write_all_at(b"still here", 0).unwrap();
    storage.remove(id).unwrap();
    storage.prepare(&[id]);
    upkeep.top_up().await.unwrap();
    let mut bytes = [0; 10];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"still here");
    assert!(file.write_all_at(b"x", 0).is_err());
    assert_eq!(storage.create(id).unwrap_err().kind(), StorageErrorKind::NotReady);

    drop(file);
    upkeep.top_up().await.unwrap();
    let new = storage.create(id).unwrap();
    assert_eq!(new.len().unwrap(), 0);
}

#[wasm_bindgen_test]
async fn a_removed_file_loses_its_bytes_before_its_name() {
    let place = Place::new("emptied").await;
    let (storage, mut upkeep) = OpfsStorage::open(place.dir(), impatient()).await.unwrap();
    let id = FileId::segment(1);
    storage.prepare(&[id]);
    upkeep.top_up().await.unwrap();
    storage.create(id).unwrap().write_all_at(b"secret", 0).unwrap();
    storage.remove(id).unwrap();
    drop((storage, upkeep));
    assert_eq!(place.names().await, ["0000000001.seg", "LOCK"]);
    assert_eq!(place.len_of("0000000001.seg").await, 0.0);
}

#[wasm_bindgen_test]
async fn short_reads_and_writes_are_carried_on() {
    let place = Place::new("short").await;
    let faults = Faults::new(&Plan { bytes_max: 7.0, ..Plan::default() });
    let dir = faults.around(&place.dir());
    let (storage, mut upkeep) = OpfsStorage::open(dir, impatient()).await.unwrap();
    storage.prepare(&[FileId::segment(1)]);
    upkeep.top_up().await.unwrap();
    let file = storage.create(FileId::segment(1)).unwrap();
    let bytes: Vec<u8> = (0..=255).collect();
    file.write_all_at(&bytes, 11).unwrap();
    let mut read = vec![0; 256];
    file.read_exact_at(&mut read, 11).unwrap();
    assert_eq!(read, bytes);
}

#[wasm_bindgen_test]
async fn a_read_or_write_of_nothing_is_an_error_and_no_endless_loop() {
    let place = Place::new("nothing").await;
    let faults = Faults::new(&Plan { bytes_max: 0.0, ..Plan::default() });
    let dir = faults.around(&place.dir());
    let (storage, mut upkeep) = OpfsStorage::open(dir, impatient()).await.unwrap();
    storage.prepare(&[FileId::segment(1)]);
    upkeep.top_up().await.unwrap();
    let file = storage.create(FileId::segment(1)).unwrap();
    file.set_len(10).unwrap();
    assert_eq!(file.write_all_at(b"x", 0).unwrap_err().kind(), StorageErrorKind::NoSpace);
    let error = file.read_exact_at(&mut [0; 4], 0).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Other);
}

#[wasm_bindgen_test]
async fn committed_bytes_are_read_from_memory_until_they_change() {
    let place = Place::new("kept").await;
    let faults = Faults::new(&Plan::default());
    let dir = faults.around(&place.dir());
    let (storage, mut upkeep) = OpfsStorage::open(dir, impatient()).await.unwrap();
    let ids = [FileId::segment(1), FileId::segment(2)];
    storage.prepare(&ids);
    upkeep.top_up().await.unwrap();
    let files = ids.map(|id| storage.create(id).unwrap());
    let read = |file: &OpfsFile| {
        let mut bytes = [0; 5];
        file.read_committed_at(&mut bytes, 3).map(|()| bytes)
    };
    for (file, bytes) in [(&files[0], b"...first"), (&files[1], b"..second")] {
        file.write_all_at(bytes, 0).unwrap();
        for _ in 0..3 {
            assert_eq!(read(file).unwrap(), bytes[3..]);
        }
    }
    files[0].write_all_at(b"behind", 8).unwrap();

    faults.spoil();
    assert_eq!(read(&files[0]).unwrap(), *b"first");
    assert_eq!(read(&files[1]).unwrap(), *b"econd");
    let mut bytes = [0; 5];
    assert!(files[0].read_exact_at(&mut bytes, 3).is_err(), "it reads the file");
    assert!(files[0].read_committed_at(&mut bytes, 4).is_err(), "nothing is kept of there");
    faults.heal();

    files[0].write_all_at(b"th", 6).unwrap();
    assert_eq!(read(&files[0]).unwrap(), *b"firth");
    assert_eq!(read(&files[0]).unwrap(), *b"firth");
    files[0].set_len(7).unwrap();
    assert_eq!(read(&files[0]).unwrap_err().kind(), StorageErrorKind::OutOfBounds);
    files[0].write_all_at(b"e", 7).unwrap();
    assert_eq!(read(&files[0]).unwrap(), *b"firte");

    storage.remove(ids[1]).unwrap();
    faults.spoil();
    assert!(read(&files[1]).is_err(), "nothing is kept of what was removed");
    faults.heal();
    assert_eq!(read(&files[1]).unwrap(), *b"econd", "who has it open reads on");
    assert_eq!(read(&files[0]).unwrap(), *b"firte");
    upkeep.close();
    assert!(read(&files[0]).is_err() && read(&files[1]).is_err());
}

#[wasm_bindgen_test]
async fn a_held_file_is_waited_for_and_nothing_else_is() {
    let place = Place::new("held").await;
    let faults = Faults::new(&Plan { held_times: 4, ..Plan::default() });
    OpfsStorage::open(faults.around(&place.dir()), impatient()).await.unwrap();

    let how = Plan { held_times: 1, held_name: "InvalidStateError".into(), ..Plan::default() };
    let dir = Faults::new(&how).around(&place.dir());
    let error = OpfsStorage::open(dir, impatient()).await.unwrap_err();
    assert!(matches!(error, OpfsError::Storage(_)), "{error}");
}

#[wasm_bindgen_test]
async fn a_full_quota_is_no_space_and_the_length_stays_true() {
    let place = Place::new("quota").await;
    let faults = Faults::new(&Plan { len_max: 100.0, ..Plan::default() });
    let dir = faults.around(&place.dir());
    let (storage, mut upkeep) = OpfsStorage::open(dir, impatient()).await.unwrap();
    storage.prepare(&[FileId::segment(1)]);
    upkeep.top_up().await.unwrap();
    let file = storage.create(FileId::segment(1)).unwrap();
    file.write_all_at(&[1; 90], 0).unwrap();
    let error = file.write_all_at(&[1; 20], 90).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::NoSpace, "{error}");
    assert_eq!(file.set_len(101).unwrap_err().kind(), StorageErrorKind::NoSpace);
    assert_eq!(file.len().unwrap(), 90);
    file.write_all_at(&[2; 10], 90).unwrap();
    assert_eq!(file.len().unwrap(), 100);
}

#[wasm_bindgen_test]
async fn b11_a_failed_sync_is_never_forgotten() {
    let place = Place::new("flush").await;
    let faults = Faults::new(&Plan { flush_fails: true, ..Plan::default() });
    let dir = faults.around(&place.dir());
    let (storage, mut upkeep) = OpfsStorage::open(dir, impatient()).await.unwrap();
    storage.prepare(&[FileId::segment(1)]);
    upkeep.top_up().await.unwrap();
    let file = storage.create(FileId::segment(1)).unwrap();
    file.write_all_at(b"x", 0).unwrap();
    assert!(file.sync_data().is_err());
    faults.heal();
    assert!(file.sync_data().is_err(), "it is not retried");
    assert!(storage.open(FileId::segment(1)).unwrap().sync_data().is_err());
}
