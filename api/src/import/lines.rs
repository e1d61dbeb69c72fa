//! A file's lines with their numbers, each of bounded length.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};

/// Longest line, and longest CSV record: a 64 KiB message with every byte escaped fits three times.
pub(super) const LINE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What programs for spreadsheets put before UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// From 1.
    pub(super) number: u64,
    /// Its bytes with the line feed; empty where it was longer than [`LINE_BYTES_MAX`].
    pub(super) bytes: Vec<u8>,
}

impl Line {
    /// Whether it was too long to be kept.
    pub(super) const fn is_overlong(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Reads lines.
pub(super) struct Lines {
    from: BufReader<Box<dyn Read + Send>>,
    lines: u64,
    bytes: u64,
    again: VecDeque<Line>,
}

impl Lines {
    pub(super) fn new(from: impl Read + Send + 'static) -> Self {
        let from = BufReader::new(Box::new(from) as Box<dyn Read + Send>);
        Self { from, lines: 0, bytes: 0, again: VecDeque::new() }
    }

    /// Bytes that have been read.
    pub(super) const fn bytes_read(&self) -> u64 {
        self.bytes
    }

    /// The next line; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        if let Some(line) = self.again.pop_front() {
            return Ok(Some(line));
        }
        let mut bytes = Vec::new();
        let limit = LINE_BYTES_MAX as u64;
        let read = (&mut self.from).take(limit).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.bytes += read as u64;
        self.lines += 1;
        if self.lines == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
            if bytes.is_empty() {
                return Ok(None);
            }
        }
        if read == LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
            self.bytes += self.from.skip_until(b'\n')? as u64;
            bytes.clear();
        }
        Ok(Some(Line { number: self.lines, bytes }))
    }

    /// Gives lines back, to be read again before all others.
    pub(super) fn give_back(&mut self, lines: impl DoubleEndedIterator<Item = Line>) {
        for line in lines.rev() {
            self.again.push_front(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlong_line_is_passed_over_and_the_next_has_its_own_number() {
        let mut text = b"\xef\xbb\xbfa\r\n".to_vec();
        text.resize(text.len() + 3 * LINE_BYTES_MAX, b'x');
        text.extend_from_slice(b"\nlast");
        let length = text.len() as u64;
        let mut lines = Lines::new(io::Cursor::new(text));
        assert_eq!(lines.next().unwrap().unwrap(), Line { number: 1, bytes: b"a\r\n".to_vec() });
        assert!(lines.next().unwrap().unwrap().is_overlong());
        assert_eq!(lines.next().unwrap().unwrap(), Line { number: 3, bytes: b"last".to_vec() });
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.bytes_read(), length);
    }
}
