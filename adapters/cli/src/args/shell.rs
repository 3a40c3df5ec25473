//! The whole command as clap knows it, and the options of the commands that tell of it.

use crate::args::Cli;
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::path::PathBuf;

pub(super) const EXIT_CODES: &str = "\
Exit codes, of every command:
  0    done
  1    the answer is no: a bad row, an unknown id, a wrong version, a locked store, damage
  2    wrong usage, or nothing could be looked at: no store there, a file that can't be read
  130  stopped by Ctrl-C; what was said to be done is done

The store is given to every command in the same way: --store DIR, or ANNALS_STORE.
Answers go to stdout; notes, errors and progress to stderr, progress only where it is a terminal.
Colours are off where the output is no terminal, and where NO_COLOR is set.";

const EXIT_CODES_SHORT: &str = "\
Exit codes: 0 done, 1 the answer is no, 2 wrong usage or nothing to look at, 130 stopped";

pub(super) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  annals completions bash > ~/.local/share/bash-completion/completions/annals
  annals completions zsh > ~/.zfunc/_annals
  annals completions fish > ~/.config/fish/completions/annals.fish";

pub(super) const MAN_EXAMPLES: &str = "\
Examples:
  annals man > annals.1
  annals man query | man -l -
  annals man --out ~/.local/share/man/man1";

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The page of this command, such as `query`
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    pub(crate) out: Option<PathBuf>,
}

/// The command, with the exit codes in the help of each of its commands.
pub(crate) fn command() -> clap::Command {
    Cli::command().mut_subcommands(|command| {
        let said = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        if said.contains("Exit codes") {
            return command;
        }
        let gap = if said.is_empty() { "" } else { "\n\n" };
        command.after_help(format!("{said}{gap}{EXIT_CODES_SHORT}"))
    })
}
