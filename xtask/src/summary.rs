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
    /// Runs `cargo nextest` to its end and keeps its closing line.
    pub(crate) fn nextest(&mut self, mut run: Command, signals: &Signals) -> anyhow::Result<()> {
        let (success, kept) =
            command::run_keeping(&mut run, signals, |line| line.contains("Summary ["))?;
        self.failed |= !success;
        self.lines.extend(kept);
        Ok(())
    }

    /// Runs `cargo test` to its end and sums the closing lines of its binaries.
    pub(crate) fn libtest(&mut self, mut run: Command, signals: &Signals) -> anyhow::Result<()> {
        let (success, kept) =
            command::run_keeping(&mut run, signals, |line| line.starts_with("test result:"))?;
        self.failed |= !success;
        kept.iter().for_each(|line| self.libtest.add(line));
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
                "cargo test, {binaries} crates and binaries: \
                 {passed} passed, {failed} failed, {ignored} ignored"
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
    /// Adds a line `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn add(&mut self, line: &str) {
        let counts = line.split_once(". ").map_or(line, |(_, counts)| counts);
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
    }
}

/// What to tell runners about colours: their output goes through a pipe.
pub(crate) fn color() -> &'static str {
    if std::io::stderr().is_terminal() { "always" } else { "auto" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_lines_of_several_test_binaries_are_summed() {
        let mut count = Count::default();
        count.add("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured");
        count.add("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured");
        assert_eq!(count, Count { binaries: 2, passed: 4, failed: 2, ignored: 1 });
    }
}
