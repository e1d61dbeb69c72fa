//! Standard output, whose reader may go before it is told everything, as `head` does.

use std::error::Error;
use std::fmt::Display;
use std::io::{self, ErrorKind, Stdout, Write};

/// Standard output. A write fails with [`ReaderGone`] once nobody reads on.
pub(super) struct Output(Stdout);

/// Nobody reads on what a command prints: it ends, and has not failed.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
struct ReaderGone;

impl Output {
    pub(super) fn open() -> Self {
        Self(io::stdout())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(told_apart)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(told_apart)
    }
}

/// Tells the pipe of standard output from those of databases and servers.
fn told_apart(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::BrokenPipe => io::Error::new(ErrorKind::BrokenPipe, ReaderGone),
        _ => error,
    }
}

/// Prints a line at once: whoever reads it may wait for it.
pub(super) fn print_line(line: impl Display) -> io::Result<()> {
    let mut out = Output::open();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Whether a command ended because nobody reads on.
pub(super) fn is_reader_gone(failure: &(dyn Error + 'static)) -> bool {
    let mut error = Some(failure);
    while let Some(one) = error {
        let inner = one.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if inner.is_some_and(|inner| inner.is::<ReaderGone>()) {
            return true;
        }
        error = one.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pipe_of_standard_output_ends_a_command_quietly() {
        let broken = || io::Error::from(ErrorKind::BrokenPipe);
        assert!(is_reader_gone(&told_apart(broken())));
        let export = crate::export::ExportError::Output(told_apart(broken()));
        assert!(is_reader_gone(&export), "also where it is the source");
        assert!(!is_reader_gone(&broken()), "a server's connection");
        assert!(!is_reader_gone(&told_apart(io::Error::from(ErrorKind::StorageFull))));
    }
}
