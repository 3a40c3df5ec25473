//! Where rows come from: a file or stdin, in a format that is said or that the name says.

use crate::args::{ImportArgs, InputFormat};
use crate::failure::Failure;
use crate::import::csv_source::CsvSource;
use crate::import::json_source::JsonSource;
use crate::import::row::{RowPlan, Source};
use crate::output::note;
use crate::progress;
use crate::stop;
use indicatif::ProgressBar;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Read};
use std::path::Path;

/// Bytes read in one go.
const BUFFER_LEN: usize = 256 * 1024;

/// See the module.
pub(super) struct Input {
    /// What it is called in messages.
    pub(super) name: String,
    pub(super) source: Box<dyn Source>,
    pub(super) progress: ProgressBar,
}

impl Input {
    /// Opens the input and, where it has a header, checks that the planned columns are there.
    pub(super) fn open(args: &ImportArgs, plan: &RowPlan) -> Result<Self, Failure> {
        let format = format_of(args)?;
        let is_stdin = args.file == Path::new("-");
        let name = if is_stdin { "stdin".into() } else { args.file.display().to_string() };
        let (reader, len): (Box<dyn Read>, Option<u64>) = if is_stdin {
            if io::stdin().is_terminal() {
                note("reading rows from the terminal: end them with Ctrl-D");
            }
            (Box::new(stop::stdin().map_err(|error| Failure::unreadable(&name, &error))?), None)
        } else {
            let unreadable = |error: io::Error| Failure::unreadable(&name, &error);
            let file = File::open(&args.file).map_err(unreadable)?;
            let metadata = file.metadata().map_err(unreadable)?;
            if metadata.is_dir() {
                return Err(Failure::usage(format!("{name} is a directory")));
            }
            (Box::new(file), metadata.is_file().then_some(metadata.len()))
        };
        let progress = progress::of_bytes(len);
        let reader = BufReader::with_capacity(BUFFER_LEN, progress.wrap_read(reader));
        let source: Box<dyn Source> = match format {
            InputFormat::Csv => Box::new(
                CsvSource::open(reader, args.delimiter.unwrap_or(b','), plan)
                    .map_err(|failure| failure.during(&name))?,
            ),
            InputFormat::Jsonl if args.delimiter.is_some() => {
                return Err(Failure::usage("--delimiter is for CSV"));
            }
            InputFormat::Jsonl => Box::new(JsonSource::new(reader)),
        };
        Ok(Input { name, source, progress })
    }
}

fn format_of(args: &ImportArgs) -> Result<InputFormat, Failure> {
    if let Some(format) = args.format {
        return Ok(format);
    }
    let extension = args.file.extension().and_then(OsStr::to_str).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "csv" | "tsv" => Ok(InputFormat::Csv),
        "jsonl" | "ndjson" | "json" => Ok(InputFormat::Jsonl),
        _ => {
            let name = args.file.display();
            let message = match args.file == Path::new("-") {
                true => "nothing says how the rows on stdin are written".into(),
                false => format!("the name {name} does not say how its rows are written"),
            };
            Err(Failure::usage(message).hint("give --format csv or --format jsonl"))
        }
    }
}
