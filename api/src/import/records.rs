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
        Ok(match gather(&mut lines, None)? {
            Some(header) => names_of(header).map(|(names, columns)| Self {
                lines,
                names,
                columns: Arc::new(columns),
            }),
            None => Err("is empty: its first line has to name its columns".to_owned()),
        })
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
        let Some(gathered) = gather(&mut self.lines, Some(self.names.len()))? else {
            return Ok(None);
        };
        let mut faults = Faults::default();
        let column = |index: usize| self.names.get(index).map_or("row", String::as_str);
        if let Some(Misshapen { column: index, what }) = gathered.fault {
            faults.0.push(Fault::new(index.map_or("row", column), what));
        }
        let mut fields = Vec::with_capacity(gathered.fields.len());
        for (index, bytes) in gathered.fields.into_iter().enumerate() {
            let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned());
            let text = text.and_then(|text| match text.contains('\0') {
                true => Err("holds a NUL character".to_owned()),
                false => Ok(text),
            });
            fields.push(faults.take(column(index), text).unwrap_or_default());
        }
        let columns = Arc::clone(&self.columns);
        Ok(Some(Record { line: gathered.line, faults, fields, columns }))
    }
}

/// The columns' names in the order of the file, and where each stands.
fn names_of(header: Gathered) -> Result<(Vec<String>, HashMap<String, usize>), String> {
    if let Some(fault) = header.fault {
        return Err(format!("its first line, which names its columns, {}", fault.what));
    }
    let names = header.fields.into_iter().map(String::from_utf8).collect::<Result<Vec<_>, _>>();
    let names = names.map_err(|_| "the names of its columns are not UTF-8".to_owned())?;
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    if names.iter().any(|name| name.contains('\0')) {
        return Err("the name of a column holds a NUL character".to_owned());
    }
    if names.iter().any(|name| name.replace("\r\n", "").contains('\r')) {
        return Err("its lines end in carriage returns without line feeds".to_owned());
    }
    let mut columns = HashMap::new();
    for (index, name) in names.iter().enumerate() {
        if columns.insert(name.clone(), index).is_some() && !name.is_empty() {
            return Err(format!("has two columns named `{name}`"));
        }
    }
    Ok((names, columns))
}

/// The lines of one record.
struct Gathered {
    /// The first of them, from 1.
    line: u64,
    /// Of the first line alone where the record is misshapen.
    fields: Vec<Vec<u8>>,
    fault: Option<Misshapen>,
}

/// Why lines are no record.
struct Misshapen {
    /// The column whose quotes are wrong, from 0; none where it is none's.
    column: Option<usize>,
    what: String,
}

/// Puts the lines of one record together; blank lines are none.
///
/// A misshapen record costs its first line only: those after it are read as rows of their own, for a stray quote may
/// have joined them.
fn gather(lines: &mut Lines, columns: Option<usize>) -> io::Result<Option<Gathered>> {
    let first = loop {
        let Some(line) = lines.next()? else { return Ok(None) };
        if line.is_overlong() || !matches!(line.bytes.as_slice(), b"\n" | b"\r\n") {
            break line;
        }
    };
    let line = first.number;
    if first.is_overlong() {
        let fault = Some(Misshapen { column: None, what: "is longer than 2 MiB".to_owned() });
        return Ok(Some(Gathered { line, fields: Vec::new(), fault }));
    }
    let mut bytes = first.bytes.clone();
    let mut more: Vec<Line> = Vec::new();
    let quotes = close(lines, &mut bytes, &mut more)?;
    let fields = split(&bytes, Quotes::Enclose);
    let last = more.last().map_or(line, |line| line.number);
    let fault = quotes.or_else(|| miscounted(&fields, columns?, (line, last)));
    if fault.is_none() {
        return Ok(Some(Gathered { line, fields, fault }));
    }
    lines.give_back(more.into_iter());
    Ok(Some(Gathered { line, fields: split(&first.bytes, Quotes::Text), fault }))
}

/// Adds lines until every quote is closed, or says why none closes it.
fn close(
    lines: &mut Lines,
    bytes: &mut Vec<u8>,
    more: &mut Vec<Line>,
) -> io::Result<Option<Misshapen>> {
    let mut scan = Scan::default();
    scan.read(bytes);
    let what = loop {
        match scan.place {
            Place::Quoted => {}
            Place::Broken => {
                let on = more
                    .last()
                    .map_or_else(String::new, |line| format!(" on line {}", line.number));
                break format!("has text after its closing quote{on}");
            }
            _ => return Ok(None),
        }
        let Some(line) = lines.next()? else {
            break "has a quote that is never closed".to_owned();
        };
        let fits = !line.is_overlong() && bytes.len() + line.bytes.len() <= LINE_BYTES_MAX;
        if fits {
            scan.read(&line.bytes);
            bytes.extend_from_slice(&line.bytes);
        }
        more.push(line);
        if !fits {
            break "has a quote that is not closed within 2 MiB".to_owned();
        }
    };
    Ok(Some(Misshapen { column: Some(scan.column), what }))
}

fn miscounted(fields: &[Vec<u8>], wants: usize, (line, last): (u64, u64)) -> Option<Misshapen> {
    let has = fields.len();
    let what = match last {
        _ if has == wants => return None,
        _ if last == line => format!("has {has} fields instead of {wants}"),
        _ => format!("has {has} fields instead of {wants}, with the lines to {last} in its quotes"),
    };
    Some(Misshapen { column: None, what })
}

/// Reads a record byte by byte.
#[derive(Default)]
struct Scan {
    place: Place,
    /// From 0.
    column: usize,
}

impl Scan {
    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.place == Place::Broken {
                return;
            }
            self.place = self.place.after(*byte);
            self.column += usize::from(self.place == Place::FieldStart);
        }
    }
}

/// Where in a record a reader stands, as the `csv` crate sees it; but that one takes anything after a closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Place {
    #[default]
    FieldStart,
    Plain,
    Quoted,
    AfterQuote,
    /// After the closing quote of the last field, in the end of the line.
    Ended,
    /// After a closing quote that nothing may follow as it does.
    Broken,
}

impl Place {
    const fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::AfterQuote,
            (Self::FieldStart | Self::AfterQuote, b'"') | (Self::Quoted, _) => Self::Quoted,
            (Self::FieldStart | Self::Plain | Self::AfterQuote, b',') => Self::FieldStart,
            (Self::FieldStart | Self::Plain, _) => Self::Plain,
            (Self::AfterQuote, b'\r' | b'\n') | (Self::Ended, b'\n') => Self::Ended,
            (Self::AfterQuote | Self::Ended | Self::Broken, _) => Self::Broken,
        }
    }
}

/// What a quote is at the start of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    /// What RFC 4180 says.
    Enclose,
    /// A character like any other.
    Text,
}

fn split(bytes: &[u8], quotes: Quotes) -> Vec<Vec<u8>> {
    let end = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let end = end.strip_suffix(b"\r").unwrap_or(end);
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .quoting(quotes == Quotes::Enclose)
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

    /// The rows with nothing wrong, by their lines, and what is wrong with the others.
    fn told(text: &'static str) -> (Vec<u64>, Vec<String>) {
        let mut records = Records::open(Lines::new(text.as_bytes())).unwrap().unwrap();
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        while let Some(record) = records.next().unwrap() {
            match record.faults.0.as_slice() {
                [] => good.push(record.line),
                [fault] => bad.push(format!("{} {}: {}", record.line, fault.field, fault.what)),
                faults => panic!("{faults:?}"),
            }
        }
        (good, bad)
    }

    fn check_told(text: &'static str, good: &[u64], bad: &[&str]) {
        assert_eq!(told(text), (good.to_vec(), bad.iter().map(ToString::to_string).collect()));
    }

    #[test]
    fn a_quote_that_is_never_closed_costs_its_own_row_only() {
        check_told("a,b\n1,\"2\n3,4\n5,6\n", &[3, 4], &["2 b: has a quote that is never closed"]);
        check_told("a,b\n1,\"2\n3,4\n5,6\"\n7,8\n", &[2, 5], &[]);
    }

    #[test]
    fn text_after_a_closing_quote_costs_its_own_row_only() {
        check_told(
            "a,b\na,mia\n\"b,mia\nc,mia\nd \"x\",mia\ne,mia\n",
            &[2, 4, 5, 6],
            &["3 a: has text after its closing quote on line 5"],
        );
        let told = ["2 b: has text after its closing quote"];
        for text in ["a,b\n1,\"2\" \n3,4\n", "a,b\n1,\"2\"x\n3,4\n", "a,b\n1,\"2\"\ry\n3,4\n"] {
            check_told(text, &[3], &told);
        }
        check_told("a,b\r\n\"1\",\"2\"\r\n\"3\",\"\"\"4\"\"\"\r\n5,\"6\"\r", &[2, 3, 4], &[]);
    }

    #[test]
    fn a_record_of_several_lines_and_another_length_costs_its_first_line_only() {
        check_told(
            "a,b\n\"1,2\n3,4\n5,\"\n6,7\n",
            &[3, 5],
            &[
                "2 row: has 1 fields instead of 2, with the lines to 4 in its quotes",
                "4 b: has a quote that is never closed",
            ],
        );
    }

    #[test]
    fn an_overlong_line_costs_its_own_row_only() {
        let mut text = b"a,b\n1,".to_vec();
        text.resize(3 * LINE_BYTES_MAX, b'x');
        text.extend_from_slice(b"\n1,\"2\n");
        text.resize(6 * LINE_BYTES_MAX, b'x');
        text.extend_from_slice(b"\n3,4\n");
        check_told(
            String::from_utf8(text).unwrap().leak(),
            &[5],
            &[
                "2 row: is longer than 2 MiB",
                "3 b: has a quote that is not closed within 2 MiB",
                "4 row: is longer than 2 MiB",
            ],
        );
    }

    #[test]
    fn a_header_that_names_no_columns_says_why() {
        let told = |text: &'static [u8]| match Records::open(Lines::new(text)).unwrap() {
            Ok(records) => panic!("{:?}", records.names()),
            Err(what) => what,
        };
        let long: &'static [u8] = vec![b'x'; 2 * LINE_BYTES_MAX].leak();
        for (text, what) in [
            (&b""[..], "is empty: its first line has to name its columns"),
            (b"\xef\xbb\xbf", "is empty: its first line has to name its columns"),
            (b"\r\n\n", "is empty: its first line has to name its columns"),
            (
                b"a,\"b\n1,2\n",
                "its first line, which names its columns, has a quote that is never closed",
            ),
            (long, "its first line, which names its columns, is longer than 2 MiB"),
            (b"a,b\xe4\n1,2\n", "the names of its columns are not UTF-8"),
            (b"\xff\xfea\0,\0b\0\n\0", "the names of its columns are not UTF-8"),
            (b"a,b\0\n1,2\n", "the name of a column holds a NUL character"),
            (b"a,b\r1,2\r", "its lines end in carriage returns without line feeds"),
            (b"a,b , a\n1,2,3\n", "has two columns named `a`"),
        ] {
            assert_eq!(told(text), what);
        }
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
