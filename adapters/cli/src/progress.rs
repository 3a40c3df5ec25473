//! Progress bars on stderr, only where it is a terminal.

use crate::output::Output;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
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

/// How far a walk over a store is that ends at this sequence; not where the answer itself goes to a
/// terminal.
pub(crate) fn beside(out: &Output, end: u64) -> ProgressBar {
    match out.width() {
        Some(_) => ProgressBar::hidden(),
        None => of_things(end, "events"),
    }
}

fn bar(len: Option<u64>, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let target = ProgressDrawTarget::stderr_with_hz(10);
    // An error is not told beside a bar that stands still.
    let bar = ProgressBar::with_draw_target(len, target).with_finish(ProgressFinish::AndClear);
    let style = ProgressStyle::with_template(template).expect("the templates are right");
    bar.set_style(style.progress_chars("━╸─"));
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}
