//! `annals import-backup`: a whole backup into an empty place, or one that continues a store.

use crate::args::ImportBackupArgs;
use crate::failure::{Code, Failure};
use crate::open;
use crate::output::{Output, counted};
use crate::stop;
use crate::transfer::{BackupJson, Bar, failure};
use annals::{BackupHeader, ImportOptions, Sequence, StoreConfig, TransferError};
use indicatif::BinaryBytes;
use serde::Serialize;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

/// What is told with `--json`.
#[derive(Debug, Serialize)]
struct ImportBackupJson {
    dry_run: bool,
    #[serde(flatten)]
    backup: BackupJson,
}

pub(crate) fn run(dir: &Path, args: &ImportBackupArgs, out: &mut Output) -> Result<Code, Failure> {
    if args.file == Path::new("-") && io::stdin().is_terminal() {
        return Err(Failure::usage("a backup is nothing to type")
            .hint("name the file, or send it to stdin"));
    }
    let mut input: Box<dyn Read> = if args.file == Path::new("-") {
        let stdin = stop::stdin();
        Box::new(stdin.map_err(|error| Failure::unreadable("stdin", &error))?)
    } else {
        let unreadable = |error: io::Error| Failure::unreadable(args.file.display(), &error);
        Box::new(File::open(&args.file).map_err(unreadable)?)
    };
    stop::listen();
    let bar = Bar::new();
    let header = match args.dry_run {
        true => annals::check_backup(&mut input, |now| bar.follow(now)),
        false => {
            let (config, options) = (StoreConfig::new(dir), ImportOptions::default());
            annals::import(&mut input, &config, &options, |now| bar.follow(now))
                .map(|done| done.header)
        }
    };
    bar.finish();
    let header = header.map_err(|error| failure(dir, error))?;
    if args.dry_run {
        would_fit(dir, &header)?;
    }
    if args.json {
        out.json(&ImportBackupJson { dry_run: args.dry_run, backup: BackupJson::new(&header) })?;
        return Ok(Code::Done);
    }
    let done = if args.dry_run { "would import" } else { "imported" };
    let count = header.end_sequence.get() - header.first_sequence.get();
    out.line(format_args!(
        "{done} {} from {} on, {}, into {}",
        counted(count, "sequence", "sequences"),
        header.first_sequence,
        BinaryBytes(header.stream_len),
        dir.display(),
    ))?;
    Ok(Code::Done)
}

/// Whether the place would take in a backup that is whole.
fn would_fit(dir: &Path, header: &BackupHeader) -> Result<(), Failure> {
    if header.first_sequence == Sequence::ZERO {
        return open::check_empty(dir);
    }
    let log = open::for_reading(dir)?;
    let fits = header.check_continues(&log.reader());
    fits.map_err(|error| failure(dir, TransferError::from(error)))
}
