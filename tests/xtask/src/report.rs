//! Counts that test runners print, and the table at the end of a run.
//!
//! Counts are read from the closing lines of nextest, libtest and wasm-bindgen-test; a step
//! without a test runner has none. The very last line of a run sums them in plain words.

use std::ops::AddAssign;
use std::time::Duration;

/// How many tests a step ran.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    /// Adds what every closing line in `output` says.
    pub(crate) fn add_from_output(&mut self, output: &str) {
        for line in output.lines() {
            let line = without_colors(line);
            if let Some(counts) = libtest_line(&line).or_else(|| nextest_line(&line)) {
                *self += counts;
            }
        }
    }

    /// How many tests really ran.
    pub(crate) fn ran(self) -> u64 {
        self.passed + self.failed
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// How a step ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Ending {
    Passed,
    Failed(String),
    Skipped(String),
}

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) step: &'static str,
    pub(crate) ending: Ending,
    pub(crate) duration: Duration,
    pub(crate) counts: Counts,
}

/// The table, the reasons below it, and the closing line.
pub(crate) fn summary(entries: &[Entry]) -> String {
    let mut text = format!("{:<12} {:<8} {:>9}   tests\n", "step", "result", "time");
    for entry in entries {
        let (result, remark) = match &entry.ending {
            Ending::Passed => ("ok", shown_counts(entry.counts)),
            Ending::Failed(_) => ("FAILED", shown_counts(entry.counts)),
            Ending::Skipped(why) => ("skipped", why.clone()),
        };
        let time = shown_duration(entry.duration);
        let line = format!("{:<12} {result:<8} {time:>9}   {remark}", entry.step);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    for entry in entries {
        if let Ending::Failed(why) = &entry.ending {
            text.push_str(&format!("\n{} FAILED: {why}\n", entry.step));
        }
    }
    let mut sum = Counts::default();
    for entry in entries {
        sum += entry.counts;
    }
    text.push_str(&format!(
        "\n{} passed, {} failed, {} skipped\n",
        sum.passed, sum.failed, sum.skipped
    ));
    text
}

fn shown_counts(counts: Counts) -> String {
    if counts == Counts::default() {
        return String::new();
    }
    format!("{} passed, {} failed, {} skipped", counts.passed, counts.failed, counts.skipped)
}

fn shown_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds >= 60 {
        return format!("{} m {:02} s", seconds / 60, seconds % 60);
    }
    format!("{:.1} s", duration.as_secs_f64())
}

/// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; ..`, which
/// wasm-bindgen-test prints too.
fn libtest_line(line: &str) -> Option<Counts> {
    let (_, rest) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for part in rest.split(';') {
        let Some((number, what)) = numbered(part) else { continue };
        match what {
            "passed" => counts.passed += number,
            "failed" => counts.failed += number,
            "ignored" | "filtered out" => counts.skipped += number,
            _ => {}
        }
    }
    Some(counts)
}

/// `Summary [ 0.52s] 5/7 tests run: 3 passed (1 slow), 1 failed, 1 timed out, 2 skipped`.
fn nextest_line(line: &str) -> Option<Counts> {
    let line = line.trim().strip_prefix("Summary [")?;
    let (head, rest) = line.split_once(" run: ")?;
    if !head.ends_with("test") && !head.ends_with("tests") {
        return None;
    }
    let mut counts = Counts::default();
    for part in without_parentheses(rest).split(',') {
        let Some((number, what)) = numbered(part) else { continue };
        match what {
            "passed" => counts.passed += number,
            "failed" | "timed out" | "exec failed" => counts.failed += number,
            "skipped" => counts.skipped += number,
            _ => {}
        }
    }
    Some(counts)
}

fn numbered(part: &str) -> Option<(u64, &str)> {
    let (number, what) = part.trim().split_once(' ')?;
    Some((number.parse().ok()?, what.trim()))
}

fn without_parentheses(text: &str) -> String {
    let mut depth = 0_usize;
    let outside = text.chars().filter(|character| {
        match character {
            '(' => depth += 1,
            ')' => {
                depth = depth.saturating_sub(1);
                return false;
            }
            _ => {}
        }
        depth == 0
    });
    outside.collect()
}

/// Drops terminal colours: escape, `[`, up to the first letter.
fn without_colors(line: &str) -> String {
    let mut plain = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(output: &str) -> (u64, u64, u64) {
        let mut counts = Counts::default();
        counts.add_from_output(output);
        (counts.passed, counts.failed, counts.skipped)
    }

    #[test]
    fn libtest_lines_are_summed() {
        let output = "\
running 3 tests
test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s
   Doc-tests annals
test result: FAILED. 5 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.2s
";
        assert_eq!(counted(output), (8, 2, 3));
    }

    #[test]
    fn wasm_bindgen_test_lines_are_summed() {
        let output = "test result: ok. 4 passed; 0 failed; 1 ignored; 0 filtered out; \
                      finished in 0.01s";
        assert_eq!(counted(output), (4, 0, 1));
    }

    #[test]
    fn nextest_lines_are_summed() {
        let line = "     Summary [   0.018s] 14 tests run: 14 passed, 3 skipped";
        assert_eq!(counted(line), (14, 0, 3));
        let line = "Summary [ 9s] 1 test run: 1 passed (1 slow, 1 leaky), 0 skipped";
        assert_eq!(counted(line), (1, 0, 0));
        let line = "Summary [ 9s] 7/9 tests run: 3 passed (1 slow, 1 flaky), 1 failed, \
                    1 exec failed, 2 timed out (1 leaky), 2 skipped";
        assert_eq!(counted(line), (3, 4, 2));
    }

    #[test]
    fn colors_do_not_hide_counts() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.018s] \u{1b}[1m14\u{1b}[0m tests \
                    run: \u{1b}[1m14\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \
                    \u{1b}[1m1\u{1b}[0m \u{1b}[33;1mskipped\u{1b}[0m";
        assert_eq!(counted(line), (14, 0, 1));
    }

    #[test]
    fn other_lines_count_nothing() {
        assert_eq!(counted("3 passed\nSummary of it: 3 passed\ntest result: unknown"), (0, 0, 0));
    }

    #[test]
    fn the_last_line_sums_all_steps_in_plain_words() {
        let entry = |step, ending, counts| Entry {
            step,
            ending,
            duration: Duration::from_millis(61_300),
            counts,
        };
        let text = summary(&[
            entry("format", Ending::Passed, Counts::default()),
            entry("native", Ending::Passed, Counts { passed: 7, failed: 0, skipped: 1 }),
            entry(
                "wasm",
                Ending::Failed("boom".into()),
                Counts { passed: 2, failed: 1, skipped: 0 },
            ),
            entry("docs", Ending::Skipped("asked for".into()), Counts::default()),
        ]);
        assert_eq!(text.lines().last(), Some("9 passed, 1 failed, 1 skipped"));
        assert!(text.contains("native       ok        1 m 01 s   7 passed, 0 failed, 1 skipped"));
        assert!(text.contains("format       ok        1 m 01 s\n"), "{text}");
        assert!(text.contains("wasm FAILED: boom"));
        assert!(text.contains("docs         skipped   1 m 01 s   asked for\n"), "{text}");
    }
}
