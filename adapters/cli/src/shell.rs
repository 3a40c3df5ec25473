//! `annals completions` and `annals man`: what a shell and `man` want to know of the command.

use crate::args::{CompletionsArgs, ManArgs, command};
use crate::failure::{Code, Failure};
use crate::output::Output;
use clap_mangen::Man;
use std::io::Write;
use std::path::Path;

pub(crate) fn completions(args: &CompletionsArgs, out: &mut Output) -> Result<Code, Failure> {
    // The generator can't be told that a write failed, and panics: it gets memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "annals", &mut script);
    out.bytes().write_all(&script)?;
    Ok(Code::Done)
}

pub(crate) fn man(args: &ManArgs, out: &mut Output) -> Result<Code, Failure> {
    // Pages of `annals help` would say what the others say.
    let mut annals = command().disable_help_subcommand(true);
    annals.build();
    if let Some(dir) = &args.out {
        return all_pages(annals, dir, out);
    }
    let page = match &args.command {
        None => annals,
        Some(name) => {
            let found = annals.find_subcommand(name).cloned();
            found.ok_or_else(|| {
                Failure::usage(format!("annals has no command {name:?}"))
                    .hint("`annals --help` lists the commands")
            })?
        }
    };
    Man::new(page).render(&mut out.bytes())?;
    Ok(Code::Done)
}

fn all_pages(annals: clap::Command, dir: &Path, out: &mut Output) -> Result<Code, Failure> {
    clap_mangen::generate_to(annals, dir).map_err(|error| {
        Failure::usage(format!("can't write the pages to {}: {error}", dir.display()))
            .hint("name a directory that is there and can be written to")
    })?;
    out.line(format_args!("wrote annals.1 and a page for each command to {}", dir.display()))?;
    Ok(Code::Done)
}
