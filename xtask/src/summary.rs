//! The closing lines of test runners, gathered so that they stand at the end.

use std::io::IsTerminal as _;
use std::process::Command;

use crate::command;
use crate::signals::Signals;

/// What the runners said, and whether all of them succeeded.
#[derive(Default)]
pub(crate) struct Summary {
    lines: Vec<String>,
    libtest: Count,
    failed: bool,
}

/// Sums of the lines that every test binary of `cargo test` closes with.
#[derive(Default, Debug, PartialEq)]
struct Count {
    binaries: usize,
    passed: usize,
    failed: usize,
    ignored: usize,
}

impl Summary {
    /// Runs one test runner to its end and keeps its closing lines.
    pub(crate) fn add(&mut self, mut runner: Command, signals: &Signals) -> anyhow::Result<()> {
        let (success, kept) = command::run_keeping(&mut runner, signals, is_closing)?;
        self.failed |= !success;
        for line in kept {
            if !self.libtest.add(&line) {
                self.lines.push(line);
            }
        }
        Ok(())
    }

    /// Prints the closing lines.
    pub(crate) fn print(&self) {
        command::announce("summary");
        for line in &self.lines {
            println!("{}", line.trim_start());
        }
        if self.libtest.binaries > 0 {
            let Count { binaries, passed, failed, ignored } = &self.libtest;
            println!(
                "cargo test: {binaries} binaries: {passed} passed, {failed} failed, {ignored} ignored"
            );
        }
        println!("result: {}", if self.failed { "FAILED" } else { "ok" });
    }

    /// Whether every runner succeeded.
    pub(crate) fn passed(&self) -> bool {
        !self.failed
    }
}

impl Count {
    /// Adds a line `test result: ok. 3 passed; 0 failed; 1 ignored; …`; false for any other line.
    fn add(&mut self, line: &str) -> bool {
        let Some((_, counts)) = line.split_once("test result:") else {
            return false;
        };
        let counts = counts.split_once(". ").map_or(counts, |(_, counts)| counts);
        self.binaries += 1;
        for part in counts.split(';') {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.ignored += number,
                _ => {}
            }
        }
        true
    }
}

/// What to tell runners about colours: their output goes through a pipe.
pub(crate) fn color() -> &'static str {
    if std::io::stderr().is_terminal() { "always" } else { "auto" }
}

fn is_closing(line: &str) -> bool {
    line.contains("test result:") || line.contains("Summary") && line.contains("tests run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_several_test_binaries_are_summed() {
        let mut count = Count::default();
        assert!(count.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured"));
        assert!(count.add("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured"));
        assert!(!count.add("running 3 tests"));
        assert_eq!(count, Count { binaries: 2, passed: 4, failed: 2, ignored: 1 });
    }
}
