//! Backups beside plainly reading and writing the same bytes.

use crate::Args;
use crate::measure::{batch, coordinates, median, timed};
use annals::{
    Durability, ExportOptions, ImportOptions, Store, StoreConfig, TransferProgress, import,
};
use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

const EVENTS: usize = 1_000_000;
const BATCH: usize = 1_000;
const STEP: usize = 1024 * 1024;

pub fn table(args: &Args) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir_in(&args.dir)?;
    let store = filled(args, &dir.path().join("store"))?;
    let backup = dir.path().join("backup");
    let mut times: [Vec<f64>; 7] = Default::default();
    let mut bytes = 0.0;
    for round in 0..args.rounds {
        let (copied, read, written) = plain(dir.path())?;
        bytes = copied as f64 / 1e6;
        let (exported, export_null) = timed(|| {
            store.export(&mut std::io::sink(), &ExportOptions::default(), go_on)
        });
        exported?;
        let (exported, export) = timed(|| -> Result<(), Box<dyn Error>> {
            let mut file = File::create(&backup)?;
            store.export(&mut file, &ExportOptions::default(), go_on)?;
            Ok(file.sync_all()?)
        });
        exported?;
        let imported = |verify: bool| -> Result<Duration, Box<dyn Error>> {
            let config = StoreConfig::new(dir.path().join(format!("copy-{round}-{verify}")));
            let options = ImportOptions::default().with_verify(verify);
            let mut file = File::open(&backup)?;
            let (done, time) = timed(|| import(&mut file, &config, &options, go_on));
            done?;
            fs::remove_dir_all(&config.data_dir)?;
            Ok(time)
        };
        let (quick, whole) = (imported(false)?, imported(true)?);
        let dest = dir.path().join(format!("snap-{round}"));
        let (done, snapshot) = timed(|| store.snapshot(&dest, go_on));
        done?;
        fs::remove_dir_all(&dest)?;
        let all = [read, written, export_null, export, quick, whole, snapshot];
        for (times, time) in times.iter_mut().zip(all) {
            times.push(time.as_secs_f64());
        }
    }
    println!("\nbackup of {bytes:.0} MB, {EVENTS} events");
    let names = [
        "read the files",
        "read, write and sync them",
        "export to nowhere",
        "export to a file, synced",
        "import, not verified",
        "import, verified",
        "snapshot",
    ];
    for (name, times) in names.iter().zip(&mut times) {
        let time = median(times);
        println!("  {name:<26} {:>8.1} ms {:>8.0} MB/s", time * 1e3, bytes / time);
    }
    Ok(())
}

fn go_on(_: TransferProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn filled(args: &Args, dir: &Path) -> Result<Store, Box<dyn Error>> {
    let store = Store::open(StoreConfig::new(dir).with_durability(Durability::OnSync))?;
    let (coordinates, payload) = (coordinates(EVENTS), vec![7; args.payload]);
    for at in 0..EVENTS / BATCH {
        store.append_batch(batch(&coordinates, at * BATCH, BATCH, &payload))?;
    }
    store.sync()?;
    Ok(store)
}

/// Reads all segments, then copies them into one file and syncs it.
fn plain(dir: &Path) -> Result<(u64, Duration, Duration), Box<dyn Error>> {
    let mut files: Vec<_> = Vec::new();
    for entry in fs::read_dir(dir.join("store"))? {
        let path = entry?.path();
        files.extend(path.extension().is_some_and(|end| end == "seg").then_some(path));
    }
    let mut chunk = vec![0; STEP];
    let mut pass = |mut out: Option<&mut File>| -> Result<u64, Box<dyn Error>> {
        let mut bytes = 0;
        for path in &files {
            let mut file = File::open(path)?;
            loop {
                let len = file.read(&mut chunk)?;
                if len == 0 {
                    break;
                }
                bytes += len as u64;
                if let Some(out) = &mut out {
                    out.write_all(&chunk[..len])?;
                }
            }
        }
        if let Some(out) = out {
            out.sync_all()?;
        }
        Ok(bytes)
    };
    let (bytes, read) = timed(|| pass(None));
    let mut out = File::create(dir.join("plain"))?;
    let (copied, written) = timed(|| pass(Some(&mut out)));
    copied?;
    Ok((bytes?, read, written))
}
