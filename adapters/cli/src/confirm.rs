//! Asking before something is gone for good.

use crate::failure::Failure;
use std::io::{self, BufRead, IsTerminal, Write};

/// Goes on where the user says yes: by the option, or at the terminal.
///
/// # Errors
///
/// Where nobody can be asked, or the answer is another.
pub(crate) fn sure(yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let (stdin, mut stderr) = (io::stdin(), io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(Failure::usage(format!("nobody can be asked: {question}"))
            .hint("--dry-run says what would be done, --yes does it"));
    }
    let mut answer = String::new();
    let asked = write!(stderr, "{question} Type yes to go on: ").and_then(|()| stderr.flush());
    asked.and_then(|()| stdin.lock().read_line(&mut answer))?;
    match answer.trim() {
        "yes" | "y" => Ok(()),
        _ => Err(Failure::no("nothing was changed")),
    }
}
