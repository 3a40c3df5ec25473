//! Export, import and snapshot. The floor copies the same files into one and syncs it.

use crate::bench::Bench;
use crate::engine::Result;
use crate::measure::{nanos_each, timed};
use crate::sheet::{FLOOR, OURS, Unit};
use crate::workload::own;
use annals::{ExportOptions, ImportOptions, StoreConfig, TransferProgress, import};
use std::fs::File;
use std::ops::ControlFlow;

const NAME: &str = "backup";

pub fn run(bench: &mut Bench, count: usize) {
    for _ in 0..bench.rounds {
        if let Err(error) = round(bench, count) {
            bench.sheet.fail(NAME, OURS, &error);
        }
    }
}

fn round(bench: &mut Bench, count: usize) -> Result<()> {
    let dir = bench.temp()?;
    let (live, backup) = (dir.path().join("store"), dir.path().join("backup"));
    let store = own::filled(bench, &live, count)?;
    let floor = nanos_each(own::plain_copy(&live, &dir.path().join("plain"))?, count);
    let mut put = |name: &str, time| {
        bench.put(name, Unit::Time, 0, OURS, nanos_each(time, count));
        bench.put(name, Unit::Time, 0, FLOOR, floor);
    };
    let (exported, time) = timed(|| -> Result<()> {
        let mut file = File::create(&backup)?;
        store.export(&mut file, &ExportOptions::default(), go_on)?;
        Ok(file.sync_all()?)
    });
    exported?;
    put("export to a file, synced, an event", time);
    for (name, verify) in
        [("import, not verified, an event", false), ("import, verified, an event", true)]
    {
        let config = StoreConfig::new(dir.path().join(format!("copy-{verify}")));
        let options = ImportOptions::default().with_verify(verify);
        let mut file = File::open(&backup)?;
        let (imported, time) = timed(|| import(&mut file, &config, &options, go_on));
        imported?;
        put(name, time);
    }
    let (taken, time) = timed(|| store.snapshot(dir.path().join("snapshot"), go_on));
    taken?;
    put("snapshot, an event", time);
    Ok(store.close()?)
}

fn go_on(_: TransferProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
