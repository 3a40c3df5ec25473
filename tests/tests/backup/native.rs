//! Streams of the standard library: files, readers and writers that fail, progress that stops.

use annals::{
    BackupError, Coordinate, EventKind, ExportOptions, ImportOptions, Store, StoreConfig,
    TransferError, TransferProgress, TransferStep, check_backup, export, import,
};
use annals_tests::backup::assert_same;
use std::fs;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) fn go_on(_: TransferProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

pub(crate) fn config(dir: &Path) -> StoreConfig {
    StoreConfig::new(dir).with_segment_max_bytes(4096)
}

pub(crate) fn append_some(store: &Store, count: usize) {
    for n in 0..count {
        let at = Coordinate::new(format!("order:{}", n % 3), "shop").unwrap();
        store.append(&at, EventKind::new(1, 1), &format!("{n:0200}")).unwrap();
    }
}

#[test]
fn b38_a_backup_goes_through_a_file_into_another_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(config(&dir.path().join("store"))).unwrap();
    append_some(&store, 60);
    let path = dir.path().join("backup");
    let mut steps = Vec::new();
    let mut file = fs::File::create(&path).unwrap();
    let header = store
        .export(&mut file, &ExportOptions::default(), |now| {
            steps.push(now);
            ControlFlow::Continue(())
        })
        .unwrap();
    let last = steps.last().unwrap();
    assert_eq!((last.bytes_done, last.bytes), (header.stream_len, header.stream_len));
    assert_eq!(fs::metadata(&path).unwrap().len(), header.stream_len);
    assert_eq!(check_backup(&mut fs::File::open(&path).unwrap(), go_on).unwrap(), header);

    let copy = config(&dir.path().join("deep/copy"));
    let mut verified = false;
    let done =
        import(&mut fs::File::open(&path).unwrap(), &copy, &ImportOptions::default(), |now| {
            verified |= now.step == TransferStep::Verifying;
            ControlFlow::Continue(())
        });
    assert_eq!(done.unwrap().header, header);
    assert!(verified);
    let copied = Store::open(copy.clone()).unwrap();
    assert_same(&store.reader(), &copied.reader());
    drop(copied);

    append_some(&store, 5);
    let beside = Store::open_read_only(config(&dir.path().join("store"))).unwrap();
    let mut more = Vec::new();
    let options = ExportOptions::default().with_from(header.end_sequence);
    export(&beside, &mut more, &options, go_on).unwrap();
    import(&mut &more[..], &copy, &ImportOptions::default(), go_on).unwrap();
    assert_same(&store.reader(), &Store::open(copy).unwrap().reader());
}

#[test]
fn b38_an_import_that_is_stopped_or_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(config(&dir.path().join("store"))).unwrap();
    append_some(&store, 60);
    let mut whole = Vec::new();
    store.export(&mut whole, &ExportOptions::default(), go_on).unwrap();
    let copy = config(&dir.path().join("copy"));
    let files = || {
        let names = fs::read_dir(&copy.data_dir).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name != "LOCK").count()
    };
    for step in [TransferStep::Moving, TransferStep::Verifying] {
        let stopped = import(&mut &whole[..], &copy, &ImportOptions::default(), |now| {
            match now.step == step {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        });
        assert!(matches!(stopped, Err(TransferError::Stopped)), "{stopped:?}");
        assert_eq!(files(), 0);
    }
    struct Failing<'a>(&'a [u8]);
    impl Read for Failing<'_> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            match self.0.len() {
                0 => Err(io::Error::other("the line is dead")),
                _ => self.0.read(buf),
            }
        }
    }
    let mut failing = Failing(&whole[..whole.len() / 2]);
    let failed = import(&mut failing, &copy, &ImportOptions::default(), go_on);
    assert!(matches!(failed, Err(TransferError::Read(_))), "{failed:?}");
    let half = import(&mut &whole[..whole.len() / 2], &copy, &ImportOptions::default(), go_on);
    assert!(matches!(half, Err(TransferError::Backup(BackupError::Damaged { .. }))), "{half:?}");
    assert_eq!(files(), 0);
    import(&mut &whole[..], &copy, &ImportOptions::default(), go_on).unwrap();

    fs::create_dir(dir.path().join("other")).unwrap();
    fs::write(dir.path().join("other/letter"), "dear").unwrap();
    let other = config(&dir.path().join("other"));
    let refused = import(&mut &whole[..], &other, &ImportOptions::default(), go_on);
    assert!(matches!(refused, Err(TransferError::Occupied { .. })), "{refused:?}");
    let held = Store::open(copy.clone()).unwrap();
    let locked = import(&mut &whole[..], &copy, &ImportOptions::default(), go_on).unwrap_err();
    assert!(locked.to_string().contains("another writer"), "{locked}");
    drop(held);
}

#[test]
fn b38_an_export_tells_a_writer_that_fails_and_one_that_stops() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(config(dir.path())).unwrap();
    append_some(&store, 3);
    let failed = store.export(&mut Full, &ExportOptions::default(), go_on);
    assert!(matches!(failed, Err(TransferError::Write(_))), "{failed:?}");
    let stopped =
        store.export(&mut io::sink(), &ExportOptions::default(), |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(TransferError::Stopped)), "{stopped:?}");
}

#[test]
fn b38_exports_beside_appending_threads_are_prefixes() {
    let dir = tempfile::tempdir().unwrap();
    let store =
        Store::open(config(dir.path()).with_durability(annals::Durability::OnSync)).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    append_some(&store, 10);
                }
            });
        }
        for _ in 0..6 {
            let mut whole = Vec::new();
            let header = store.export(&mut whole, &ExportOptions::default(), go_on).unwrap();
            let place = tempfile::tempdir().unwrap();
            let copy = config(place.path());
            import(&mut &whole[..], &copy, &ImportOptions::default(), go_on).unwrap();
            let copy = Store::open(copy).unwrap();
            assert_eq!(copy.reader().end(), header.end_sequence);
            for event in copy.query(&annals::Region::all()) {
                let event = event.unwrap();
                assert!(store.get_at(event.sequence()).unwrap() == event);
            }
        }
        done.store(true, Ordering::Relaxed);
    });
}
