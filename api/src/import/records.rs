//! A CSV file's records (RFC 4180) by column name, each with the line on which it begins.
//!
//! The `csv` crate splits fields; records are put together here, because its line numbers go astray on blank lines
//! and carriage returns, and because one stray quote must not swallow the rest of a file.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::bad_row::{Fault, Faults};
use super::lines::{LINE_BYTES_MAX, Line, Lines};

/// A row of fields.
#[derive(Debug)]
pub(super) struct Record {
    /// The line on which it begins, from 1.
    pub(super) line: u64,
    /// What is wrong with it as a record; its fields are there as far as they could be read.
    pub(super) faults: Faults,
    fields: Vec<String>,
    columns: Arc<HashMap<String, usize>>,
}

impl Record {
    /// The field of a column; empty where there is none.
    pub(super) fn get(&self, column: &str) -> &str {
        let field = self.columns.get(column).and_then(|&index| self.fields.get(index));
        field.map_or("", String::as_str)
    }

    /// Every field, in the order of the file.
    pub(super) fn fields(&self) -> &[String] {
        &self.fields
    }
}

/// Reads records below a header.
pub(super) struct Records {
    lines: Lines,
    names: Vec<String>,
    columns: Arc<HashMap<String, usize>>,
}

impl Records {
    /// Reads the header, or says what is wrong with it.
    pub(super) fn open(mut lines: Lines) -> io::Result<Result<Self, String>> {
        let Some((_, Gathered::Whole(bytes))) = gather(&mut lines)? else {
            return Ok(Err("has no first line with the names of its columns".to_owned()));
        };
        let Ok(names) =
            split(&bytes).into_iter().map(String::from_utf8).collect::<Result<Vec<_>, _>>()
        else {
            return Ok(Err("the names of its columns are not UTF-8".to_owned()));
        };
        let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
        let mut columns = HashMap::new();
        for (index, name) in names.iter().enumerate() {
            if columns.insert(name.clone(), index).is_some() && !name.is_empty() {
                return Ok(Err(format!("has two columns named `{name}`")));
            }
        }
        Ok(Ok(Self { lines, names, columns: Arc::new(columns) }))
    }

    /// The columns in the order of the file.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Bytes that have been read.
    pub(super) const fn bytes_read(&self) -> u64 {
        self.lines.bytes_read()
    }

    /// The next record; none at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        let Some((line, gathered)) = gather(&mut self.lines)? else { return Ok(None) };
        let mut faults = Faults::default();
        let raw = match gathered {
            Gathered::Whole(bytes) => split(&bytes),
            Gathered::Broken(what, bytes) => {
                faults.0.push(Fault::new("row", what));
                split(&bytes)
            }
        };
        if faults.0.is_empty() && raw.len() != self.names.len() {
            let (has, wants) = (raw.len(), self.names.len());
            faults.0.push(Fault::new("row", format!("has {has} fields instead of {wants}")));
        }
        let mut fields = Vec::with_capacity(raw.len());
        for (index, bytes) in raw.into_iter().enumerate() {
            let name = self.names.get(index).map_or("row", String::as_str);
            let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned());
            let text = text.and_then(|text| match text.contains('\0') {
                true => Err("holds a NUL character".to_owned()),
                false => Ok(text),
            });
            fields.push(faults.take(name, text).unwrap_or_default());
        }
        let columns = Arc::clone(&self.columns);
        Ok(Some(Record { line, faults, fields, columns }))
    }
}

/// The bytes of one record.
enum Gathered {
    Whole(Vec<u8>),
    /// What is wrong, and the first line of it.
    Broken(&'static str, Vec<u8>),
}

/// Puts the lines of one record together; blank lines are none.
fn gather(lines: &mut Lines) -> io::Result<Option<(u64, Gathered)>> {
    let first = loop {
        let Some(line) = lines.next()? else { return Ok(None) };
        if line.is_overlong() {
            return Ok(Some((line.number, Gathered::Broken("is longer than 2 MiB", Vec::new()))));
        }
        if !matches!(line.bytes.as_slice(), b"\n" | b"\r\n") {
            break line;
        }
    };
    let mut bytes = first.bytes.clone();
    let mut place = Place::default().after(&bytes);
    let mut more: Vec<Line> = Vec::new();
    while place == Place::Quoted {
        let Some(line) = lines.next()? else { return Ok(Some(unclosed(lines, first, more))) };
        if line.is_overlong() || bytes.len() + line.bytes.len() > LINE_BYTES_MAX {
            more.push(line);
            return Ok(Some(unclosed(lines, first, more)));
        }
        place = place.after(&line.bytes);
        bytes.extend_from_slice(&line.bytes);
        more.push(line);
    }
    Ok(Some((first.number, Gathered::Whole(bytes))))
}

/// Only the first line is lost to the quote; those after it are read as rows of their own.
fn unclosed(lines: &mut Lines, first: Line, more: Vec<Line>) -> (u64, Gathered) {
    lines.give_back(more.into_iter());
    (first.number, Gathered::Broken("has a quote that is never closed", first.bytes))
}

/// Where in a record a reader stands, as the `csv` crate sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    FieldStart,
    Plain,
    Quoted,
    AfterQuote,
}

impl Place {
    fn after(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |place, byte| match (place, byte) {
            (Self::Quoted, b'"') => Self::AfterQuote,
            (Self::FieldStart | Self::AfterQuote, b'"') | (Self::Quoted, _) => Self::Quoted,
            (_, b',') => Self::FieldStart,
            _ => Self::Plain,
        })
    }
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let end = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let end = end.strip_suffix(b"\r").unwrap_or(end);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(csv::Terminator::Any(b'\n'))
        .buffer_capacity(end.len().max(1))
        .from_reader(end);
    let mut record = csv::ByteRecord::new();
    // Reading from memory does not fail, and any bytes are some record.
    match reader.read_byte_record(&mut record) {
        Ok(true) => record.iter().map(<[u8]>::to_vec).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &'static str) -> Vec<(u64, Vec<String>, Vec<String>)> {
        let mut records = Records::open(Lines::new(text.as_bytes())).unwrap().unwrap();
        let mut all = Vec::new();
        while let Some(record) = records.next().unwrap() {
            let faults = record.faults.0.iter().map(|fault| fault.what.clone()).collect();
            all.push((record.line, record.fields.clone(), faults));
        }
        all
    }

    fn row(line: u64, fields: &[&str]) -> (u64, Vec<String>, Vec<String>) {
        (line, fields.iter().map(|field| (*field).to_owned()).collect(), Vec::new())
    }

    #[test]
    fn a_record_has_the_line_on_which_it_begins() {
        let text = "a,b\r\n1,\"x\r\n\r\ny\"\"z\"\r\n\r\n\n2,\" \"\r\n3,4";
        let expected = [row(2, &["1", "x\r\n\r\ny\"z"]), row(7, &["2", " "]), row(8, &["3", "4"])];
        assert_eq!(read(text), expected);
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_own_row_only() {
        let rows = read("a,b\n1,\"2\n3,4\n5,6\" \n");
        assert_eq!(rows.len(), 1, "closed on line 4: one record of four lines");
        let rows = read("a,b\n1,\"2\n3,4\n5,6\n");
        assert_eq!(rows[0].2, ["has a quote that is never closed"]);
        assert_eq!(rows[1..], [row(3, &["3", "4"]), row(4, &["5", "6"])]);
    }

    #[test]
    fn a_quote_within_a_field_and_a_lone_carriage_return_are_text() {
        assert_eq!(
            read("a,b\n5\" disk,x\ry\n1,2\n"),
            [row(2, &["5\" disk", "x\ry"]), row(3, &["1", "2"])]
        );
    }

    #[test]
    fn a_row_of_another_length_or_encoding_says_so() {
        assert_eq!(read("a,b\n1\n")[0].2, ["has 1 fields instead of 2"]);
        assert_eq!(read("a,b\n1,\0\n")[0].2, ["holds a NUL character"]);
        let mut records = Records::open(Lines::new(&b"a,b\n1,\xff\n"[..])).unwrap().unwrap();
        assert_eq!(records.next().unwrap().unwrap().faults.0, [Fault::new("b", "is not UTF-8")]);
    }
}
