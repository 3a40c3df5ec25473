//! The options of `annals inspect`.

use clap::Args;
use std::path::PathBuf;

pub(super) const INSPECT_LONG: &str = "\
Show the store on a page in the browser, on this machine alone.

It prints an address with a token in it. Open it in a browser: it works once, and the page goes on \
working until Ctrl-C ends the command. Nothing can be changed through it, it can run beside a \
program that writes, and no request leaves this machine.";

pub(super) const INSPECT_EXAMPLES: &str = "\
Examples:
  annals inspect ./annals-data
  annals inspect --store shop --port 8080";

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The directory of the store, in place of --store
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// The port on 127.0.0.1; by default one that is free
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    pub(crate) port: u16,
}
