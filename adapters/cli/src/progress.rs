//! Progress bars on stderr, only where it is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::Duration;

const BYTES: &str =
    "{spinner:.cyan} {bar:32.cyan/dim} {percent:>3}%  {bytes} of {total_bytes}  {msg}  {eta} left";
const STREAM: &str = "{spinner:.cyan} {bytes}  {msg}  {elapsed}";
const COUNT: &str =
    "{spinner:.cyan} {bar:32.cyan/dim} {percent:>3}%  {human_pos} of {human_len} {msg}  {eta} left";

/// How far through so many bytes; `None` where nobody knows how many come.
pub(crate) fn of_bytes(len: Option<u64>) -> ProgressBar {
    bar(len, if len.is_some() { BYTES } else { STREAM })
}

/// How far through so many things, named in the plural.
pub(crate) fn of_things(len: u64, many: &'static str) -> ProgressBar {
    bar(Some(len), COUNT).with_message(many)
}

fn bar(len: Option<u64>, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template(template).expect("the templates are right");
    bar.set_style(style.progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
