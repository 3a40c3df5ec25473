//! `annals export`: a backup in one file or on stdout, beside the store's writer.
//!
//! A file gets its name when it is whole and on the disk, and never takes the place of another.

use crate::args::ExportArgs;
use crate::failure::{Code, Failure};
use crate::open;
use crate::output::{Output, counted, said};
use crate::stop;
use crate::transfer::{BackupJson, Bar, failure};
use annals::{BackupHeader, ExportOptions, FsStorage, ReadOnlyLog, Sequence};
use indicatif::BinaryBytes;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

pub(crate) fn run(dir: &Path, args: &ExportArgs, out: &mut Output) -> Result<Code, Failure> {
    let from = Sequence::new(args.from.unwrap_or(0));
    let options = ExportOptions::default().with_from(from).with_consumers(!args.without_consumers);
    let log = open::for_reading(dir)?;
    stop::listen();
    if args.file == Path::new("-") {
        if args.json {
            return Err(Failure::usage("stdout can't have the backup and JSON")
                .hint("name a file for the backup"));
        }
        if io::stdout().is_terminal() {
            return Err(Failure::usage("a backup is no text for a terminal")
                .hint("name a file, or send stdout somewhere"));
        }
        let bar = Bar::new();
        let done = annals::export(&log, out.bytes(), &options, |now| bar.follow(now));
        bar.finish();
        let header = done.map_err(|error| failure(dir, error))?;
        said(told(&header));
        return Ok(Code::Done);
    }
    let header = into_file(dir, &log, &options, &args.file)?;
    if args.json {
        out.json(&BackupJson::new(&header))?;
        return Ok(Code::Done);
    }
    out.line(format_args!("{} in {}", told(&header), args.file.display()))?;
    Ok(Code::Done)
}

fn into_file(
    dir: &Path,
    log: &ReadOnlyLog<FsStorage>,
    options: &ExportOptions,
    path: &Path,
) -> Result<BackupHeader, Failure> {
    if path.exists() {
        let message = format!("{} is there already", path.display());
        return Err(Failure::usage(message).hint("name another file, or remove that one"));
    }
    let part = part_of(path);
    let unwritable = |error: io::Error| {
        Failure::usage(format!("can't write {}: {error}", part.display()))
            .hint("check the directory and the space on its disk")
    };
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part);
    let mut file = file.map_err(unwritable)?;
    let bar = Bar::new();
    let done = annals::export(log, &mut file, options, |now| bar.follow(now));
    bar.finish();
    let whole = done.map_err(|error| failure(dir, error)).and_then(|header| {
        file.sync_all().map_err(unwritable)?;
        fs::rename(&part, path).map_err(unwritable)?;
        Ok(header)
    });
    if whole.is_err() {
        let _ = fs::remove_file(&part);
    }
    whole
}

/// Where a backup is while it is being written.
fn part_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    PathBuf::from(name)
}

fn told(header: &BackupHeader) -> String {
    let (first, end) = (header.first_sequence, header.end_sequence);
    let count = counted(end.get() - first.get(), "sequence", "sequences");
    let next = match header.end_sequence {
        Sequence::ZERO => String::new(),
        end => format!("; go on with --from {end}"),
    };
    format!("{count} from {first} on, {}{next}", BinaryBytes(header.stream_len))
}
