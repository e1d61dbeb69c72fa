//! How far an import has come, on standard error: a bar on a terminal, else a plain line now and then.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use crate::clock;

/// How often a plain line is printed.
const PLAIN_LINE_EVERY: Duration = Duration::from_secs(5);

/// Is told how far an import has come.
pub trait Progress: Send + Sync {
    /// One or more whole lines about rows.
    fn say(&self, lines: &str);

    /// So many bytes of the file have been read, and so many rows are done.
    fn reached(&self, bytes: u64, of_bytes: u64, rows: u64);

    /// Nothing more comes.
    fn finish(&self);
}

/// Progress for whoever started the command.
pub struct StandardError {
    began: Instant,
    bar: Option<ProgressBar>,
    last_line: Mutex<Instant>,
}

impl Default for StandardError {
    fn default() -> Self {
        let began = clock::monotonic();
        let bar = std::io::stderr().is_terminal().then(bar);
        Self { began, bar, last_line: Mutex::new(began) }
    }
}

fn bar() -> ProgressBar {
    let template = "{bar:30} {percent:>3} %  {msg}  {eta} left";
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

impl StandardError {
    fn rate(&self, rows: u64) -> String {
        let seconds = clock::monotonic().duration_since(self.began).as_secs_f64().max(0.001);
        format!("{rows} rows, {:.0}/s", rows as f64 / seconds)
    }

    /// The time that the rest of the file takes at the pace so far.
    fn left(&self, bytes: u64, of_bytes: u64) -> Duration {
        let took = clock::monotonic().duration_since(self.began);
        took.mul_f64(of_bytes.saturating_sub(bytes) as f64 / bytes.max(1) as f64)
    }
}

impl Progress for StandardError {
    fn say(&self, lines: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{lines}")),
            None => eprintln!("{lines}"),
        }
    }

    fn reached(&self, bytes: u64, of_bytes: u64, rows: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(of_bytes);
            bar.set_position(bytes);
            bar.set_message(self.rate(rows));
            return;
        }
        let now = clock::monotonic();
        let mut last = self.last_line.lock();
        if now.duration_since(*last) >= PLAIN_LINE_EVERY {
            *last = now;
            let percent = bytes * 100 / of_bytes.max(1);
            let left = self.left(bytes, of_bytes).as_secs();
            eprintln!("{percent} %, {}, {left} s left", self.rate(rows));
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
